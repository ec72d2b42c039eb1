"""Between plain Python values and DynamoDB's typed attributes; DynamoDB's pages and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Item = dict[str, dict[str, Any]]


def pages(read: Callable[..., Any], **request: Any) -> Iterator[list[Item]]:
    """The items of each page that `read`, a client's `query` or `scan`, returns for `request`."""
    while True:
        answer = read(**request)
        yield answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def to_item(values: dict[str, Any]) -> Item:
    """`values` as a DynamoDB item. Entries that are None are left out."""
    return {name: to_attribute(value) for name, value in values.items() if value is not None}


def from_item(item: Item) -> dict[str, Any]:
    """A DynamoDB item as plain values; numbers come back as int where whole, else float."""
    return {name: _from_attribute(attribute) for name, attribute in item.items()}


def to_attribute(value: Any) -> dict[str, Any]:
    """One value as a typed attribute. Raises TypeError for a type the catalogue does not use."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, float):
        return {"N": repr(value)}
    if isinstance(value, frozenset | set):
        return {"SS": sorted(value)}
    if isinstance(value, dict):
        return {"M": to_item(value)}
    if isinstance(value, list | tuple):
        return {"L": [to_attribute(element) for element in value]}
    raise TypeError(f"expected a text, number, boolean, set, list or dict, got {type(value)}")


def _from_attribute(attribute: dict[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return int(value) if value.lstrip("-").isdigit() else float(value)
        case "M":
            return from_item(value)
        case "L":
            return [_from_attribute(element) for element in value]
        case "SS":
            return frozenset(value)
        case "NULL":
            return None
        case _:
            return value


def cancellation_codes(error: Any) -> set[str]:
    """The codes for which DynamoDB cancelled a transaction: "None" for an item that was right."""
    return {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ())}
