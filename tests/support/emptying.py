"""Empties a lab's tables, buckets and queues, so that tests can share it."""

from __future__ import annotations

from typing import Any

from services.local.provision import Lab
from services.local.topology import Topology
from services.platform.aws import items


def empty(lab: Lab, session: Any, topology: Topology) -> None:
    """Deletes every item, object and message of a lab without running functions."""
    dynamodb, s3, sqs = (session.client(name) for name in ("dynamodb", "s3", "sqs"))
    for name, table in topology.tables.items():
        keys = [key for key in (table.hash_key, table.range_key) if key]
        arguments = {"TableName": lab.table(name)}
        for page in items.pages(dynamodb.scan, **arguments):
            for item in page:
                dynamodb.delete_item(**arguments, Key={key: item[key] for key in keys})
    for name in topology.buckets:
        bucket = lab.bucket(name)
        for listed in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for version in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
                s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    for queue in lab.queues.values():
        for url in (queue.url, queue.dead_letter_url):
            sqs.purge_queue(QueueUrl=url)
