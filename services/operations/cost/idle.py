"""What a lab costs while it is idle, from its Terraform plan.

The plan's form: https://developer.hashicorp.com/terraform/internals/json-format
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.operations.cost.prices import Item, Prices

# Always free: https://aws.amazon.com/cloudwatch/pricing/ and https://aws.amazon.com/sqs/pricing/
FREE_ALARM_METRICS = 10
FREE_DASHBOARDS = 3
FREE_DASHBOARD_METRICS = 50
FREE_SQS_REQUESTS = 1_000_000
# Lambda polls an idle queue with five long polls of 20 seconds.
POLLS_A_MONTH = 5 * 730 * 3600 / 20
# The least that RDS Proxy charges.
PROXY_VCPUS = 2
SECONDS_A_MONTH = 730 * 3600
MIB_PER_GIB = 1024
PROVISIONED = "provisioned_concurrent_executions"
# Resources that cost nothing without requests.
FREE = (
    "aws_apigatewayv2_", "aws_appautoscaling_", "aws_cloudwatch_event_", "aws_cloudwatch_log_",
    "aws_backup_", "aws_db_instance_automated_backups_replication", "aws_db_parameter_group",
    "aws_db_proxy_", "aws_db_subnet_group", "aws_default_",
    "aws_dynamodb_table", "aws_ecs_cluster", "aws_ecs_task_definition", "aws_iam_",
    "aws_internet_gateway", "aws_kms_alias", "aws_lambda_alias", "aws_lambda_function",
    "aws_lambda_invocation", "aws_lambda_permission", "aws_rds_cluster_parameter_group",
    "aws_route", "aws_s3_", "aws_secretsmanager_secret_rotation",
    "aws_secretsmanager_secret_version",
    "aws_security_group", "aws_ses_", "aws_sfn_",
    "aws_sns_", "aws_sqs_", "aws_ssm_parameter", "aws_subnet", "aws_vpc_security_group_",
    "terraform_data", "time_",
)  # fmt: skip


@dataclass(frozen=True)
class IdleBill:
    """The bill of an idle month. `unpriced` are resource types that this module does not know."""

    items: tuple[Item, ...]
    unpriced: tuple[str, ...]

    @property
    def total(self) -> float:
        return sum(item.dollars for item in self.items)


@dataclass(frozen=True)
class Resource:
    """A planned resource; `values` has only what is known before the apply."""

    address: str
    type: str
    values: Mapping[str, Any]


def resources(plan: Mapping[str, Any]) -> Iterator[Resource]:
    """The resources that exist after an apply of the plan."""

    def walk(module: Mapping[str, Any]) -> Iterator[Resource]:
        for item in module.get("resources", ()):
            if item["mode"] == "managed":
                yield Resource(item["address"], item["type"], item.get("values", {}))
        for child in module.get("child_modules", ()):
            yield from walk(child)

    yield from walk(plan["planned_values"]["root_module"])


def idle_bill(plan: Mapping[str, Any], prices: Prices) -> IdleBill:
    """The bill of an idle month of the planned lab, largest items first. Raises PermanentError for
    a database class without a price."""
    found = list(resources(plan))
    by_type: dict[str, list[Resource]] = {}
    for resource in found:
        by_type.setdefault(resource.type, []).append(resource)
    items = [
        *_databases(by_type, prices),
        *_network(plan, by_type, prices),
        *_monitoring(by_type, prices),
        *_compute(by_type, prices),
    ]
    known = {
        "aws_cloudwatch_dashboard", "aws_cloudwatch_metric_alarm", "aws_db_instance",
        "aws_db_proxy", "aws_ecs_service", "aws_eip", "aws_kms_key",
        "aws_lambda_event_source_mapping", "aws_lambda_provisioned_concurrency_config",
        "aws_nat_gateway", "aws_rds_cluster", "aws_rds_cluster_instance",
        "aws_secretsmanager_secret", "aws_vpc", "aws_vpc_endpoint",
    }  # fmt: skip
    unpriced = {kind for kind in by_type if kind not in known and not kind.startswith(FREE)}
    return IdleBill(
        tuple(sorted((i for i in items if i.dollars), key=lambda i: (-i.dollars, i.what))),
        tuple(sorted(unpriced)),
    )


def _databases(by_type: Mapping[str, list[Resource]], prices: Prices) -> Iterator[Item]:
    for database in by_type.get("aws_db_instance", ()):
        values = database.values
        zones = 2 if values.get("multi_az") else 1
        name, gib = values["instance_class"], values["allocated_storage"]
        dollars = zones * (prices.hourly(name) + gib * prices.of("db_gib_month"))
        yield Item("RDS", f"{name}, {gib} GB, zones: {zones}", dollars)
    for cluster in by_type.get("aws_rds_cluster", ()):
        (scaling,) = cluster.values.get("serverlessv2_scaling_configuration") or [{}]
        units = scaling.get("min_capacity", 0)
        instances = len(by_type.get("aws_rds_cluster_instance", ()))
        dollars = units * instances * prices.hourly("aurora_acu_hour")
        yield Item("Aurora", f"{instances} x {units:g} ACU at least", dollars)
    if proxies := len(by_type.get("aws_db_proxy", ())):
        dollars = proxies * PROXY_VCPUS * prices.hourly("proxy_vcpu_hour")
        yield Item("RDS Proxy", f"{PROXY_VCPUS} vCPUs, the least there is", dollars)
    secrets = len(by_type.get("aws_secretsmanager_secret", ()))
    secrets += sum(
        bool(resource.values.get("manage_master_user_password"))
        for kind in ("aws_db_instance", "aws_rds_cluster")
        for resource in by_type.get(kind, ())
    )
    yield Item("Secrets Manager", f"{secrets} secrets", secrets * prices.of("secret"))
    keys = len(by_type.get("aws_kms_key", ()))
    yield Item("KMS", f"{keys} key", keys * prices.of("kms_key"))


def _network(
    plan: Mapping[str, Any], by_type: Mapping[str, list[Resource]], prices: Prices
) -> Iterator[Item]:
    endpoints = [
        e for e in by_type.get("aws_vpc_endpoint", ()) if e.values["vpc_endpoint_type"] != "Gateway"
    ]
    zones = _endpoint_zones(plan, by_type)
    dollars = len(endpoints) * zones * prices.hourly("endpoint_hour")
    yield Item("VPC", f"{len(endpoints)} interface endpoints, zones: {zones}", dollars)
    gateways, addresses = len(by_type.get("aws_nat_gateway", ())), len(by_type.get("aws_eip", ()))
    dollars = gateways * prices.hourly("nat_hour") + addresses * prices.hourly("address_hour")
    yield Item("VPC", f"{gateways} NAT gateway, {addresses} address", dollars)


def _endpoint_zones(plan: Mapping[str, Any], by_type: Mapping[str, list[Resource]]) -> int:
    """Zones of the endpoints. Their subnets are not known before the apply."""
    database = plan.get("variables", {}).get("database", {}).get("value") or {}
    subnets = len([s for s in by_type.get("aws_subnet", ()) if ".private[" in s.address])
    return int(database.get("endpoint_zones") or subnets)


def _monitoring(by_type: Mapping[str, list[Resource]], prices: Prices) -> Iterator[Item]:
    metrics = sum(
        sum(bool(query.get("metric")) for query in alarm.values.get("metric_query") or ()) or 1
        for alarm in by_type.get("aws_cloudwatch_metric_alarm", ())
    )
    dollars = max(0, metrics - FREE_ALARM_METRICS) * prices.of("alarm_metric")
    yield Item("CloudWatch", f"{metrics} alarm metrics, less {FREE_ALARM_METRICS} free", dollars)
    large = [d for d in by_type.get("aws_cloudwatch_dashboard", ()) if not _is_free(d)]
    yield Item("CloudWatch", f"{len(large)} dashboard", len(large) * prices.of("dashboard"))


def _is_free(dashboard: Resource) -> bool:
    body = dashboard.values.get("dashboard_body")
    widgets = json.loads(body)["widgets"] if body else []
    metrics = sum(len(widget["properties"].get("metrics", ())) for widget in widgets)
    return body is not None and metrics <= FREE_DASHBOARD_METRICS


def _compute(by_type: Mapping[str, list[Resource]], prices: Prices) -> Iterator[Item]:
    queues = len(by_type.get("aws_lambda_event_source_mapping", ()))
    requests = max(0.0, queues * POLLS_A_MONTH - FREE_SQS_REQUESTS)
    what = f"Lambda's polling of {queues} queues, less {FREE_SQS_REQUESTS:,} requests free"
    yield Item("SQS", what, requests * prices.of("sqs_request"))
    architectures = Counter(
        architecture
        for function in by_type.get("aws_lambda_function", ())
        for architecture in function.values.get("architectures") or ()
    )
    memory = {
        function.address.rpartition(".aws_lambda_function")[0]: function.values["memory_size"]
        for function in by_type.get("aws_lambda_function", ())
    }
    provisioned = [
        *_provisioned(by_type, "aws_lambda_provisioned_concurrency_config", PROVISIONED),
        *_provisioned(by_type, "aws_appautoscaling_target", "min_capacity"),
    ]
    for module, count in provisioned:
        if module in memory:
            architecture = architectures.most_common(1)[0][0]
            gib_seconds = count * memory[module] / MIB_PER_GIB * SECONDS_A_MONTH
            price = prices.of(f"lambda_provisioned_gib_second_{architecture}")
            what = f"{count} environment of {memory[module]} MiB always initialised"
            yield Item("Lambda", what, gib_seconds * price)


def _provisioned(
    by_type: Mapping[str, list[Resource]], kind: str, attribute: str
) -> Iterator[tuple[str, int]]:
    """Modules and how many environments are always initialised."""
    for found in by_type.get(kind, ()):
        yield found.address.rpartition(f".{kind}")[0], int(found.values[attribute])


def idle_page(bills: Mapping[str, IdleBill], prices: Prices) -> str:
    """The page of the documentation about these labs, by name, in Markdown."""
    lines = [
        "# Costs of an idle lab",
        "",
        "`make idle-costs` writes this page from Terraform plans of the files in "
        "`terraform/environments` and of photos only. `darkroom cost --plan FILE` does the same "
        "for your own plan.",
        "",
        f"List prices of {prices.region} in US dollars, {prices.as_of}, a month of 730 hours, "
        "without tax and without a new account's free tier. Buckets, tables, topics, the API, "
        "the workflow and functions cost nothing without requests; images cost $0.10 a GB in the "
        "registry.",
    ]
    for name, bill in bills.items():
        lines += [
            "",
            f"## {name[0].upper()}{name[1:]}",
            "",
            "| service | what | $ |",
            "|---|---|---:|",
        ]
        lines += [f"| {item.service} | {item.what} | {item.dollars:,.2f} |" for item in bill.items]
        lines += [f"| **together** | | **{bill.total:,.2f}** |"]
    return "\n".join(lines) + "\n"
