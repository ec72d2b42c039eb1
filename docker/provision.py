"""Makes the lab's resources on the clouds of compose.yaml, and ends. Safe to repeat."""

import functools
import sys
from pathlib import Path

import boto3

from services.local import provision, topology
from services.platform.manifest import load_all

PROJECT = Path(__file__).resolve().parents[1]
# As compose.yaml has them.
DATABASE_URL = "postgresql://darkroom@postgres:5432/darkroom?sslmode=disable"
NO_SECRET = "not-a-secret"  # noqa: S105


class Session:
    """boto3's clients; endpoints come from AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_DYNAMODB."""

    client = staticmethod(functools.cache(boto3.client))


def main() -> None:
    lab = provision.provision(
        Session(),
        topology.load(PROJECT / "terraform" / "lab" / "topology.yaml"),
        load_all(PROJECT / "images"),
        database=provision.Database(DATABASE_URL, "darkroom", NO_SECRET),
        payments=provision.Payments(api_key=NO_SECRET, webhook_secret=NO_SECRET),
    )
    for name, queue in lab.queues.items():
        sys.stdout.write(f"provisioned {name}: {queue.url}\n")


if __name__ == "__main__":
    main()
