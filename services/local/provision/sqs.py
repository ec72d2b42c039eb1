"""Queues with their dead letter queues, and the policies that let senders in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.local.provision.lab import FunctionQueue, Lab
from services.local.provision.names import (
    POLICY_VERSION,
    PREFIX,
    account_of,
    resource_name,
    role_arn,
    rule_arn,
    workflow_name,
)
from services.platform.manifest import Manifest, QueueTrigger, Reference, Resource

# The maximum of SQS: a dead letter can still be inspected after a holiday.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
DEAD_LETTER_RETENTION_SECONDS = 14 * 24 * 3600

RETENTION_SECONDS = 4 * 24 * 3600

LONG_POLL_SECONDS = 20

# The largest message of SNS and Step Functions.
MESSAGE_BYTES_MAX = 262_144

EVENTS_QUEUE = "gateway-events"
EVENT_TOPICS = tuple(Reference(Resource.TOPIC, name) for name in ("image-events", "order-events"))
# The minimum of SQS.
EVENTS_RETENTION_SECONDS = 60


def make_queue(
    session: Any,
    manifest: Manifest,
    trigger: QueueTrigger,
    values: Mapping[Reference, str],
    prefix: str,
) -> FunctionQueue:
    sqs = session.client("sqs")
    name = resource_name(manifest.name, prefix)
    both = {"SqsManagedSseEnabled": "true", "MaximumMessageSize": str(MESSAGE_BYTES_MAX)}
    dead_url, dead_arn = _queue(
        sqs,
        f"{name}-dead-letters",
        {"MessageRetentionPeriod": str(DEAD_LETTER_RETENTION_SECONDS), **both},
    )
    url, arn = _queue(
        sqs,
        name,
        {
            "MessageRetentionPeriod": str(RETENTION_SECONDS),
            "VisibilityTimeout": str(manifest.visibility_timeout_seconds),
            "ReceiveMessageWaitTimeSeconds": str(LONG_POLL_SECONDS),
            "RedrivePolicy": json.dumps(
                {"deadLetterTargetArn": dead_arn, "maxReceiveCount": trigger.max_receive_count}
            ),
            **both,
        },
    )
    redrive = {"redrivePermission": "byQueue", "sourceQueueArns": [arn]}
    sqs.set_queue_attributes(
        QueueUrl=dead_url, Attributes={"RedriveAllowPolicy": json.dumps(redrive)}
    )
    if trigger.sources or trigger.schedule:
        senders = [s.reference for s in trigger.sources]
        rule = rule_arn(name, arn) if trigger.schedule else None
        policy = _queue_policy(arn, senders, rule, values, prefix)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return FunctionQueue(url, arn, dead_url, dead_arn)


def make_events_queue(session: Any, lab: Lab, name: str = EVENTS_QUEUE) -> str:
    """Creates the queue of the gateway's event stream, which subscribes to the topics of photos and
    orders that the lab has. Returns its URL.

    It is no function's, so its name has no prefix: the console does not list it. Terraform has none
    (docs/decisions.md).
    """
    sqs, sns = session.client("sqs"), session.client("sns")
    topics = [reference for reference in EVENT_TOPICS if reference in lab.values]
    # It is read only while a stream is open.
    attributes = {"MessageRetentionPeriod": str(EVENTS_RETENTION_SECONDS)}
    url, arn = _queue(sqs, name, attributes)
    policy = _queue_policy(arn, topics, None, lab.values, PREFIX)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    for reference in topics:
        sns.subscribe(TopicArn=lab.values[reference], Protocol="sqs", Endpoint=arn)
    return url


def _queue(sqs: Any, name: str, attributes: dict[str, str]) -> tuple[str, str]:
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, got["Attributes"]["QueueArn"]


def _queue_policy(
    queue_arn: str,
    sources: Sequence[Reference],
    rule_arn: str | None,
    values: Mapping[Reference, str],
    prefix: str,
) -> str:
    """A queue policy that admits only the named buckets, topics and workflows, and a schedule's
    rule."""
    ordered = sorted(sources, key=lambda source: (source.resource.value, source.name))
    statements = [
        {
            "Sid": _statement_id(source),
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            **_sender(source, values, prefix, account_of(queue_arn)),
        }
        for source in ordered
    ]
    if rule_arn is not None:
        statements.append(
            {
                "Sid": "Schedule",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
            }
        )
    return json.dumps({"Version": POLICY_VERSION, "Statement": statements})


def _statement_id(source: Reference) -> str:
    words = [source.resource.value, *source.name.split("-")]
    return "".join(word.capitalize() for word in words)


def _sender(
    source: Reference, values: Mapping[Reference, str], prefix: str, account: str
) -> dict[str, Any]:
    """Principal and condition of the statement that admits `source`."""
    if source.resource is Resource.BUCKET:
        # A bucket's ARN names no account.
        return {
            "Principal": {"Service": "s3.amazonaws.com"},
            "Condition": {
                "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{values[source]}"},
                "StringEquals": {"aws:SourceAccount": account},
            },
        }
    if source.resource is Resource.TOPIC:
        return {
            "Principal": {"Service": "sns.amazonaws.com"},
            "Condition": {"ArnEquals": {"aws:SourceArn": values[source]}},
        }
    # The workflow is created after the queues, so its role is addressed by name.
    role = role_arn(workflow_name(source.name, prefix), account)
    return {
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Condition": {"ArnEquals": {"aws:PrincipalArn": role}},
    }
