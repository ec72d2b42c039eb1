"""Buckets and their notifications to queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from services.local.provision.lab import FunctionQueue
from services.local.provision.names import resource_name
from services.local.topology import Topology
from services.platform.aws.clients import error_code
from services.platform.manifest import Manifest, Reference, Resource

# How long a browser caches the preflight response for uploads.
UPLOAD_MAX_AGE_SECONDS = 600


def make_bucket(session: Any, topology: Topology, name: str, prefix: str) -> str:
    s3 = session.client("s3")
    bucket = resource_name(name, prefix)
    try:
        s3.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error_code(error) not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise
    if topology.buckets[name].versioned:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    site = topology.buckets[name].uploads_from
    if site is not None:
        rule = {
            "ID": "uploads",
            "AllowedMethods": ["POST"],
            "AllowedOrigins": sorted(topology.sites[site]),
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": UPLOAD_MAX_AGE_SECONDS,
        }
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    return bucket


def connect_buckets(
    session: Any,
    manifests: Sequence[Manifest],
    queues: Mapping[str, FunctionQueue],
    values: Mapping[Reference, str],
) -> None:
    """One notification configuration a bucket, since each put replaces the one before."""
    s3 = session.client("s3")
    by_bucket: dict[Reference, list[dict[str, Any]]] = {}
    for manifest in manifests:
        for source in manifest.queue.sources if manifest.queue else ():
            if source.reference.resource is Resource.BUCKET:
                by_bucket.setdefault(source.reference, []).append(
                    {
                        "Id": manifest.name,
                        "QueueArn": queues[manifest.name].arn,
                        "Events": sorted(source.events),
                    }
                )
    for reference, configurations in by_bucket.items():
        s3.put_bucket_notification_configuration(
            Bucket=values[reference],
            NotificationConfiguration={"QueueConfigurations": configurations},
        )
