"""The feature photos alone, from a bucket that exists and notifies another queue too: the commands
of the page docs/how-to/photos-only.md are run as they stand there."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.local import emulator as emulators
from services.local.emulator import REGION, free_port
from services.local.state import PROJECT
from services.runtime.processes import die_with_parent
from tests.infrastructure import terraform
from tests.infrastructure.environment import Cloud, manifests, worker
from tests.infrastructure.inventory import inventory
from tests.infrastructure.page_commands import PageCommands, sections
from tests.infrastructure.terraform import Terraform, changed
from tests.support.photos import jpeg, scene
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
BUCKET = "existing-originals"
FUNCTIONS = ("add-avif", "process-image", "send-image-email")
SECONDS = 60
PAGE = PROJECT / "docs" / "how-to" / "photos-only.md"
EARLIER = "2025/before.jpg"
# Not a key that the bucket's notification is for.
OTHER_SUFFIX = "2026/scan.JPEG"
EXAMPLE = Path("examples", "photos-only")


@dataclass(frozen=True)
class PhotosLab:
    """A lab of photos; `before` and `notifications` are the account's before the apply."""

    folder: Path
    cloud: Cloud
    lab: Terraform
    output: dict[str, Any]
    before: dict[str, list[str]]
    notifications: dict[str, Any]
    page: PageCommands

    def current_notifications(self) -> dict[str, Any]:
        """The notification configuration of the existing bucket."""
        got: dict[str, Any] = self.cloud.client("s3").get_bucket_notification_configuration(
            Bucket=BUCKET
        )
        got.pop("ResponseMetadata")
        return got

    def waiting(self) -> int:
        """The messages that wait for process-image."""
        name = "ApproximateNumberOfMessages"
        found = self.cloud.client("sqs").get_queue_attributes(
            QueueUrl=self.output["lab"]["queues"]["process-image"]["url"], AttributeNames=[name]
        )
        return int(found["Attributes"][name])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhotosLab]:
    folder = tmp_path_factory.mktemp("photos")
    tree = terraform.copy(tmp_path_factory.mktemp("terraform"))
    emulator = emulators.start(free_port(), folder / "emulator.log", None, die_with_parent)
    try:
        cloud = Cloud(emulator.endpoint)
        s3, sqs = cloud.client("s3"), cloud.client("sqs")
        s3.create_bucket(Bucket=BUCKET)
        url = sqs.create_queue(QueueName="queue-of-others")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:000000000000:queue-of-others"
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
                 "Action": "sqs:SendMessage", "Resource": arn}
            ],
        }  # fmt: skip
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        s3.put_bucket_notification_configuration(
            Bucket=BUCKET,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {"Id": "others", "QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
                ]
            },
        )
        put_photo(cloud, EARLIER, seed=9)
        lab = example(tree, cloud)
        names = {"<bucket>": BUCKET, "<suffix>": BUCKET}
        page = PageCommands(lab.tree, lab.root, lab.variables, lab.aws, names)
        before = inventory(cloud)
        made = PhotosLab(folder, cloud, lab, {}, before, {}, page)
        notifications = made.current_notifications()
        deployment, _ = sections(PAGE)["Deploy"]
        assert len(deployment) == 3
        for command in deployment:
            page.run(command)
        yield PhotosLab(folder, cloud, lab, lab.output(), before, notifications, page)
    finally:
        emulators.stop(emulator)


def example(tree: Path, cloud: Cloud) -> Terraform:
    """The example of the documentation, with the names and the target of this test."""
    lab = tree / "terraform" / "lab"
    # A module has neither a backend nor a backend's override.
    (lab / "backend_override.tf").unlink()
    file = tree / "terraform" / EXAMPLE / "main.tf"
    text = file.read_text(encoding="utf-8").replace('"change-me"', json.dumps(BUCKET), 2)
    text = re.sub(r'"eu-central-1"', json.dumps(REGION), text)
    text = text.replace(
        '  features      = ["photos"]\n',
        '  features      = ["photos"]\n  target = "ministack"\n  protected = false\n'
        f"  python = {json.dumps(sys.executable)}\n"
        f"  compute = {json.dumps(dict.fromkeys(FUNCTIONS, 'worker'))}\n"
        "  worker_network = { subnet_ids = var.subnet_ids, security_group_ids = var.group_ids }\n",
    )
    text += (
        'variable "subnet_ids" { type = list(string) }\n'
        'variable "group_ids" { type = list(string) }\n'
    )
    file.write_text(text, encoding="utf-8")
    ec2 = cloud.client("ec2")
    return Terraform(
        tree, str(EXAMPLE),
        {
            "image_digests": terraform.images([*FUNCTIONS]),
            "subnet_ids": [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]],
            "group_ids": [g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]],
        },
        cloud.variables,
    )  # fmt: skip


def put_photo(cloud: Cloud, key: str, seed: int) -> None:
    cloud.client("s3").put_object(
        Bucket=BUCKET, Key=key, Body=jpeg(scene(1200, 900, seed=seed)), ContentType="image/jpeg"
    )


def test_existing_notification_is_kept_beside_the_new_one(photos: PhotosLab) -> None:
    by_id = {q["Id"]: q for q in photos.current_notifications()["QueueConfigurations"]}
    (others,) = photos.notifications["QueueConfigurations"]
    assert by_id["others"] == others
    own = by_id["photos-process-image"]
    assert own["QueueArn"] == photos.output["lab"]["queues"]["process-image"]["arn"]
    (rule,) = own["Filter"]["Key"]["FilterRules"]
    assert (rule["Name"].lower(), rule["Value"]) == ("suffix", ".jpg")


def test_lab_has_no_database_network_or_api(photos: PhotosLab) -> None:
    created = inventory(photos.cloud)
    for kind in ("ec2 describe_vpcs", "ec2 describe_security_groups", "apigatewayv2 get_apis",
                 "secretsmanager list_secrets", "stepfunctions list_state_machines"):  # fmt: skip
        assert created[kind] == photos.before[kind], kind
    assert set(photos.output["lab"]["functions"]) == set(FUNCTIONS)


def test_second_plan_has_no_changes(photos: PhotosLab) -> None:
    assert changed(photos.lab.plan()) == {}


def test_photo_in_the_existing_bucket_is_developed(photos: PhotosLab) -> None:
    """By the page's commands for an upload and for its renditions."""
    _, (upload, show) = sections(PAGE)["Deploy"]
    (photos.lab.tree / "harbour.jpg").write_bytes(jpeg(scene(1200, 900, seed=7)))
    with ExitStack() as stack:
        start_workers(stack, photos)
        photos.page.run(upload)
        assert await_owner(photos, "anna/1") == ["anna/1"]
    assert "anna/1/" in photos.page.run(show)


def develop(photos: PhotosLab, key: str, seed: int) -> list[str]:
    """Uploads a photo and waits until its owner has a developed photo; returns all owners."""
    with ExitStack() as stack:
        start_workers(stack, photos)
        put_photo(photos.cloud, key, seed)
        return await_owner(photos, key.rpartition("/")[0])


def start_workers(stack: ExitStack, photos: PhotosLab) -> None:
    for item in manifests():
        if item.name in FUNCTIONS:
            stack.enter_context(worker(photos.folder, photos.cloud, photos.output["lab"], item))


def await_owner(photos: PhotosLab, owner: str) -> list[str]:
    """Waits until an owner has a developed photo; returns all owners that have one."""
    table = photos.output["lab"]["tables"]["images"]

    def owners() -> list[str]:
        found = developed(photos, table)
        return found if owner in found else []

    return eventually(owners, f"a photo of {owner} is developed", SECONDS, pause_seconds=0.2)


def developed(photos: PhotosLab, table: str) -> list[str]:
    """The owners of the developed photos."""
    items = photos.cloud.client("dynamodb").scan(TableName=table)["Items"]
    return [i["owner"]["S"] for i in items if i.get("status", {}).get("S") == "developed"]


def test_photo_that_was_there_before_is_developed_by_a_backfill(photos: PhotosLab) -> None:
    """By the page's commands, for a photo that was uploaded before the lab was made."""
    ((outputs, dry_run, backfill),) = sections(PAGE)["Photos that are there already"]
    photos.page.run(outputs)
    assert photos.page.run(dry_run).startswith("1 photos")
    assert "1 photos sent" in photos.page.run(backfill)
    # The bucket notifies of keys that end with .jpg only: no event comes of this photo.
    put_photo(photos.cloud, OTHER_SUFFIX, seed=10)
    others = backfill.replace("/2025/", "/2026/").replace("--suffix .jpg", "--suffix .jpeg")
    assert others != backfill
    assert "1 photos sent" in photos.page.run(others)
    assert photos.waiting() == 2
    with ExitStack() as stack:
        start_workers(stack, photos)
        assert "2025" in await_owner(photos, "2025")
        assert "2026" in await_owner(photos, "2026")


def test_bucket_may_send_its_events_to_eventbridge_instead(photos: PhotosLab) -> None:
    """The bucket's owner enables EventBridge; the lab then has a rule and no notification."""
    s3 = photos.cloud.client("s3")
    enabled = photos.notifications | {"EventBridgeConfiguration": {}}
    file = photos.lab.folder / "main.tf"
    text = file.read_text(encoding="utf-8")
    assert 'suffix = ".jpg"' in text
    file.write_text(
        text.replace('suffix = ".jpg"', 'suffix = ".jpg", events_by = "eventbridge"'),
        encoding="utf-8",
    )
    photos.lab.apply()
    assert photos.current_notifications() == photos.notifications
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=enabled)
    assert sorted(develop(photos, "bert/pier.jpg", seed=8)) == ["2025", "2026", "anna/1", "bert"]
    assert changed(photos.lab.plan()) == {}
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration=photos.notifications
    )


def test_destroy_leaves_the_existing_bucket_as_it_was(photos: PhotosLab) -> None:
    photos.lab.destroy()
    assert photos.current_notifications() == photos.notifications
    assert inventory(photos.cloud) == photos.before
    objects = photos.cloud.client("s3").list_objects_v2(Bucket=BUCKET)
    assert [item["Key"] for item in objects["Contents"]] == [
        EARLIER, OTHER_SUFFIX, "anna/1/harbour.jpg", "bert/pier.jpg"
    ]  # fmt: skip
