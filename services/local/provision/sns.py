"""Topics, who may publish to them, and the queues that subscribe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from services.local.provision.names import POLICY_VERSION, account_of, resource_name, role_arn
from services.local.topology import Topic
from services.platform.manifest import Manifest, Reference, Resource, Source

# AWS's own key for topics; the emulator only stores the name.
TOPIC_KEY = "alias/aws/sns"


def make_topic(
    sns: Any, topic: Topic, name: str, manifests: Sequence[Manifest], prefix: str
) -> str:
    """Creates the topic, to which only functions with the grant, or the AWS service that publishes
    to it, may publish. Returns its ARN."""
    key = {} if topic.published_by else {"KmsMasterKeyId": TOPIC_KEY}
    created = sns.create_topic(Name=resource_name(name, prefix), Attributes=key)
    arn = str(created["TopicArn"])
    if topic.published_by:
        _set_policy(sns, arn, _service_statement(topic.published_by, arn))
        return arn
    # On Lambda, and as a worker.
    publishers = [
        f"{manifest.name}{suffix}"
        for manifest in sorted(manifests, key=lambda manifest: manifest.name)
        for suffix in (("", "-worker") if manifest.queue else ("",))
        for grant in manifest.grants
        if grant.reference == Reference(Resource.TOPIC, name) and "sns:Publish" in grant.actions
    ]
    statement = {
        "Sid": "Publishers",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account_of(arn)}:root"},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {
            "ArnEquals": {
                "aws:PrincipalArn": [
                    role_arn(resource_name(publisher, prefix), account_of(arn))
                    for publisher in publishers
                ]
            }
        },
    }
    _set_policy(sns, arn, statement)
    return arn


def _service_statement(service: str, arn: str) -> dict[str, Any]:
    return {
        "Sid": "Service",
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": account_of(arn)}},
    }


def _set_policy(sns: Any, arn: str, statement: dict[str, Any]) -> None:
    policy = json.dumps({"Version": POLICY_VERSION, "Statement": [statement]})
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


def subscribe(sns: Any, topic_arn: str, source: Source, queue_arn: str) -> None:
    attributes = {}
    if source.filter:
        attributes["FilterPolicy"] = json.dumps({k: sorted(v) for k, v in source.filter.items()})
    sns.subscribe(
        TopicArn=topic_arn,
        Protocol="sqs",
        Endpoint=queue_arn,
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )
