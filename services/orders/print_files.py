"""The print files of an order: what each print looks like, and where the printer finds its file.

The prints bucket holds them under fixed keys, by owner and order:

    <owner>/<order>/01-<product>.jpg    one file a line
    <owner>/<order>/job-sheet.pdf       written last: the printer starts when it appears
"""

from __future__ import annotations

from typing import Any

from services.imaging.printing.model import Focus, PrintOrientation, PrintSpec
from services.orders.model import Line, Order
from services.platform.aws.objects import delete_objects

JOB_SHEET = "job-sheet.pdf"


def print_spec(line: Line) -> PrintSpec:
    """The print of an order line, in the printer's default format: JPEG in sRGB."""
    return PrintSpec(
        width_mm=line.width_mm,
        height_mm=line.height_mm,
        orientation=PrintOrientation(line.orientation.value),
        focus=Focus(*line.focus) if line.focus is not None else None,
    )


def file_name(line: Line) -> str:
    """The name of a line's file, such as `01-10x15-matte.jpg`."""
    return f"{line.number:02d}-{line.product_id}.jpg"


def order_prefix(order: Order) -> str:
    """The key prefix of the order's files, `<owner>/<order>/`."""
    return f"{order.user_id}/{order.id}/"


def list_files(s3: Any, bucket: str, order: Order) -> frozenset[str]:
    """The names of the order's existing files, without their prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=order_prefix(order))
    keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
    return frozenset(key.removeprefix(order_prefix(order)) for key in keys)


def delete_files(s3: Any, bucket: str, order: Order) -> None:
    """Deletes the order's files, the job sheet first, so that the printer does not start.

    Raises TransientError if an object could not be deleted.
    """
    found = sorted(list_files(s3, bucket, order), key=lambda name: (name != JOB_SHEET, name))
    delete_objects(s3, bucket, [order_prefix(order) + name for name in found])
