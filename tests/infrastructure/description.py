"""Describes the resources of a lab as the services report them, to compare two labs."""

from __future__ import annotations

import json
from typing import Any

from services.platform.aws.clients import error_code
from tests.infrastructure.environment import Cloud

# Attributes that differ between two equal labs: times, ids, contents.
QUEUE_INSTANCE = {
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
}
TABLE_INSTANCE = {
    "CreationDateTime", "TableId", "TableStatus", "TableSizeBytes", "ItemCount",
    "LatestStreamArn", "LatestStreamLabel",
    # Statistics of an on-demand table.
    "ProvisionedThroughput", "WarmThroughput", "BillingModeSummary",
}  # fmt: skip
INDEX_INSTANCE = {
    "IndexStatus", "IndexSizeBytes", "ItemCount", "ProvisionedThroughput", "WarmThroughput",
}  # fmt: skip
SUBSCRIPTION_INSTANCE = {"SubscriptionArn", "ConfirmationWasAuthenticated"}
JSON_ATTRIBUTES = {
    "Policy", "RedrivePolicy", "RedriveAllowPolicy", "FilterPolicy", "EffectiveDeliveryPolicy",
    "DeliveryPolicy",
}  # fmt: skip


def describe(cloud: Cloud) -> dict[str, Any]:
    """Queues, rules, topics, subscriptions, buckets, tables and state machines, by name."""
    return {
        "queues": queues(cloud),
        "rules": rules(cloud),
        "topics": topics(cloud),
        "subscriptions": subscriptions(cloud),
        "buckets": buckets(cloud),
        "tables": tables(cloud),
        "workflows": workflows(cloud),
        "senders": sorted(cloud.client("ses").list_identities()["Identities"]),
    }


def queues(cloud: Cloud) -> dict[str, Any]:
    """Every attribute of every queue."""
    sqs = cloud.client("sqs")
    found = {}
    for page in sqs.get_paginator("list_queues").paginate():
        for url in page.get("QueueUrls", []):
            got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            found[url.rpartition("/")[2]] = _attributes(got, QUEUE_INSTANCE)
    return found


def rules(cloud: Cloud) -> dict[str, Any]:
    """Every attribute of every rule, and its targets."""
    events = cloud.client("events")
    return {
        item["Name"]: {
            **item,
            "targets": _by(events.list_targets_by_rule(Rule=item["Name"])["Targets"], "Id"),
        }
        for page in events.get_paginator("list_rules").paginate()
        for item in page["Rules"]
    }


def topics(cloud: Cloud) -> dict[str, Any]:
    """Every attribute of every topic."""
    sns = cloud.client("sns")
    return {
        item["TopicArn"].rpartition(":")[2]: _attributes(
            _without_defaults(sns.get_topic_attributes(TopicArn=item["TopicArn"])["Attributes"]),
            set(),
        )
        for page in sns.get_paginator("list_topics").paginate()
        for item in page["Topics"]
    }


def subscriptions(cloud: Cloud) -> dict[str, Any]:
    """Every attribute of every subscription, by topic and queue."""
    sns = cloud.client("sns")
    return {
        f"{item['TopicArn']} to {item['Endpoint']}": _attributes(
            sns.get_subscription_attributes(SubscriptionArn=item["SubscriptionArn"])["Attributes"],
            SUBSCRIPTION_INSTANCE,
        )
        for page in sns.get_paginator("list_subscriptions").paginate()
        for item in page["Subscriptions"]
    }


def buckets(cloud: Cloud) -> dict[str, Any]:
    """Versioning, notifications and CORS of every bucket: what the embedded lab sets as well."""
    s3 = cloud.client("s3")
    found = {}
    for item in s3.list_buckets()["Buckets"]:
        name = item["Name"]
        notifications = s3.get_bucket_notification_configuration(Bucket=name)
        notifications.pop("ResponseMetadata")
        try:
            cors = s3.get_bucket_cors(Bucket=name)["CORSRules"]
        except s3.exceptions.ClientError as error:
            if error_code(error) != "NoSuchCORSConfiguration":
                raise
            cors = []
        found[name] = {
            "versioning": s3.get_bucket_versioning(Bucket=name).get("Status"),
            "notifications": {
                kind: sorted(_sorted(rules), key=lambda rule: str(rule["Id"]))
                for kind, rules in notifications.items()
            },
            "cors": _sorted(cors),
        }
    return found


def tables(cloud: Cloud) -> dict[str, Any]:
    """Every table with its indexes and its TTL."""
    dynamodb = cloud.client("dynamodb")
    found = {}
    for page in dynamodb.get_paginator("list_tables").paginate():
        for name in page["TableNames"]:
            table = dynamodb.describe_table(TableName=name)["Table"]
            description = {k: v for k, v in table.items() if k not in TABLE_INSTANCE}
            description["AttributeDefinitions"] = _by(
                table["AttributeDefinitions"], "AttributeName"
            )
            description["GlobalSecondaryIndexes"] = [
                {k: v for k, v in index.items() if k not in INDEX_INSTANCE}
                for index in _by(table.get("GlobalSecondaryIndexes", []), "IndexName")
            ]
            description["billing"] = table.get("BillingModeSummary", {}).get("BillingMode")
            expiry = dynamodb.describe_time_to_live(TableName=name)
            description["expiry"] = expiry["TimeToLiveDescription"]
            found[name] = description
    return found


def workflows(cloud: Cloud) -> dict[str, Any]:
    """Definition, type and role of every state machine."""
    states = cloud.client("stepfunctions")
    found = {}
    for page in states.get_paginator("list_state_machines").paginate():
        for item in page["stateMachines"]:
            machine = states.describe_state_machine(stateMachineArn=item["stateMachineArn"])
            found[machine["name"]] = {
                "definition": json.loads(machine["definition"]),
                "type": machine["type"],
                "role": machine["roleArn"],
            }
    return found


def _attributes(attributes: dict[str, str], instance: set[str]) -> dict[str, Any]:
    return {
        name: json.loads(value) if name in JSON_ATTRIBUTES and value else value
        for name, value in attributes.items()
        if name not in instance
    }


def _without_defaults(attributes: dict[str, str]) -> dict[str, str]:
    """Without sampling rates of 0, the default, which Terraform sets explicitly."""
    return {
        name: value
        for name, value in attributes.items()
        if not (name.endswith("SuccessFeedbackSampleRate") and value == "0")
    }


def _by(items: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: str(item[key]))


def _sorted(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorts lists whose order has no meaning."""
    return [{k: sorted(v) if isinstance(v, list) else v for k, v in rule.items()} for rule in rules]
