"""Adds or removes one queue notification of a bucket and keeps all others.

    python bucket_notification.py add|remove

Environment: BUCKET and ID; for `add` also QUEUE_ARN, EVENTS (separated by spaces), PREFIX and
SUFFIX.

S3 replaces the whole configuration at once and has no conditional write, so do not change the
bucket's notifications elsewhere at the same time.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import boto3

KIND = "QueueConfigurations"


def changed(configuration: dict[str, Any], own: dict[str, Any] | None, id_: str) -> dict[str, Any]:
    """`configuration` with `own` in place of the queue notification `id_`; None removes it."""
    others = [item for item in configuration.get(KIND, []) if item["Id"] != id_]
    queues = others if own is None else [*others, own]
    kept = {name: value for name, value in configuration.items() if name != "ResponseMetadata"}
    return {**kept, KIND: queues} if queues else {n: v for n, v in kept.items() if n != KIND}


def entry(environment: dict[str, str]) -> dict[str, Any]:
    """The queue notification that the environment describes."""
    rules = [
        {"Name": name, "Value": environment[name.upper()]}
        for name in ("prefix", "suffix")
        if environment.get(name.upper())
    ]
    return {
        "Id": environment["ID"],
        "QueueArn": environment["QUEUE_ARN"],
        "Events": environment["EVENTS"].split(),
        **({"Filter": {"Key": {"FilterRules": rules}}} if rules else {}),
    }


def main(action: str, environment: dict[str, str]) -> None:
    """Changes the bucket's configuration. Raises botocore's ClientError when S3 refuses it."""
    s3 = boto3.client("s3")
    before = s3.get_bucket_notification_configuration(Bucket=environment["BUCKET"])
    own = entry(environment) if action == "add" else None
    s3.put_bucket_notification_configuration(
        Bucket=environment["BUCKET"],
        NotificationConfiguration=changed(before, own, environment["ID"]),
    )


if __name__ == "__main__":
    if sys.argv[1:] not in (["add"], ["remove"]):
        sys.exit(f"expected add or remove, got {' '.join(sys.argv[1:]) or 'nothing'}")
    main(sys.argv[1], dict(os.environ))
