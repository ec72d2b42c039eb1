"""Tables."""

from __future__ import annotations

from typing import Any

from services.local.provision.names import resource_name
from services.local.topology import Table


def make_table(session: Any, table: Table, name: str, prefix: str) -> str:
    dynamodb = session.client("dynamodb")
    table_name = resource_name(name, prefix)
    keys = {table.hash_key, *([table.range_key] if table.range_key else [])}
    for index in table.indexes.values():
        keys |= {index.hash_key, index.range_key}
    indexes = [
        {
            "IndexName": index_name,
            "KeySchema": _key_schema(index.hash_key, index.range_key),
            "Projection": {"ProjectionType": "ALL"},
        }
        for index_name, index in table.indexes.items()
    ]
    optional = {"GlobalSecondaryIndexes": indexes} if indexes else {}
    try:
        dynamodb.create_table(
            TableName=table_name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in sorted(keys)],
            KeySchema=_key_schema(table.hash_key, table.range_key),
            **optional,
        )
    except dynamodb.exceptions.ResourceInUseException:
        return table_name
    dynamodb.get_waiter("table_exists").wait(
        TableName=table_name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    if table.ttl:
        dynamodb.update_time_to_live(
            TableName=table_name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl},
        )
    return table_name


def _key_schema(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    if range_key:
        schema.append({"AttributeName": range_key, "KeyType": "RANGE"})
    return schema
