"""What the printer gets of an order. In the prints bucket, by owner and order, always under the
same keys:

    <owner>/<order>/01-<product>.jpg    a file for each line
    <owner>/<order>/job-sheet.pdf       the last to be written: the printer begins with it
"""

from __future__ import annotations

from typing import Any

from services.orders.model import Order
from services.platform.aws.objects import delete_objects

JOB_SHEET = "job-sheet.pdf"


def order_prefix(order: Order) -> str:
    return f"{order.user_id}/{order.id}/"


def names(s3: Any, bucket: str, order: Order) -> frozenset[str]:
    """The names of the order's files that are there, without their prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=order_prefix(order))
    keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
    return frozenset(key.removeprefix(order_prefix(order)) for key in keys)


def withdraw(s3: Any, bucket: str, order: Order) -> None:
    """Takes everything back: nothing is printed of an order that was given up. The job sheet goes
    first. Raises TransientError while something is left."""
    found = sorted(names(s3, bucket, order), key=lambda name: (name != JOB_SHEET, name))
    delete_objects(s3, bucket, [order_prefix(order) + name for name in found])
