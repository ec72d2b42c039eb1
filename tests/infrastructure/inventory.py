"""Lists the names of all resources of an account, of the kinds that Terraform creates here."""

from __future__ import annotations

from typing import Any

from tests.infrastructure.environment import Cloud

# Service, operation, key of the list in its response, key of an item's name (None: the item).
LISTS = (
    ("sqs", "list_queues", "QueueUrls", None),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("dynamodb", "list_tables", "TableNames", None),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    ("stepfunctions", "list_state_machines", "stateMachines", "name"),
    ("secretsmanager", "list_secrets", "SecretList", "Name"),
    ("ses", "list_identities", "Identities", None),
    ("ssm", "describe_parameters", "Parameters", "Name"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("events", "list_rules", "Rules", "Name"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
)
# Not in the open edition of LocalStack.
MORE_LISTS = (
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    ("apigatewayv2", "get_apis", "Items", "Name"),
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("ecs", "list_clusters", "clusterArns", None),
    ("ecs", "list_task_definitions", "taskDefinitionArns", None),
    ("iam", "list_policies", "Policies", "PolicyName"),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
)


def inventory(cloud: Cloud, *, whole: bool = True) -> dict[str, list[str]]:
    """Names by kind. `whole` includes kinds that only MiniStack has."""
    return {
        f"{service} {operation}": sorted(_names(cloud, service, operation, key, name))
        for service, operation, key, name in LISTS + (MORE_LISTS if whole else ())
    }


def _names(cloud: Cloud, service: str, operation: str, key: str, name: str | None) -> list[str]:
    client = cloud.client(service)
    scope = {"Scope": "Local"} if operation == "list_policies" else {}
    pages: list[dict[str, Any]] = (
        list(client.get_paginator(operation).paginate(**scope))
        if client.can_paginate(operation)
        else [getattr(client, operation)(**scope)]
    )
    found = [item for page in pages for item in page.get(key) or []]
    return [item if name is None else item[name] for item in found]
