"""Least privilege, proven by running: MiniStack checks every signature and every right, and each
function runs under a session of its own role, with what Terraform gave it and nothing else.

DARKROOM_MUTATIONS=all takes away every grant of every function, one at a time, in place of a sample
that another day is another one; DARKROOM_MUTATIONS_SEED repeats a day's.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from services.client.api import Api
from services.local.emulator import REGION
from services.local.mailbox import sent_mails
from services.platform.aws.clients import error_code
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.manifest import Resource
from tests.infrastructure import mutations, shopping
from tests.infrastructure.conftest import Applied
from tests.infrastructure.ground import at_work, manifests
from tests.infrastructure.roles import Grant, Roles, assumable, session
from tests.infrastructure.ways import Stage, new_photo
from tests.support.photos import jpeg

pytestmark = pytest.mark.slow
log = logging.getLogger(__name__)
MUTATIONS, SEED = "DARKROOM_MUTATIONS", "DARKROOM_MUTATIONS_SEED"
SAMPLE = 12
MAIL_SECONDS = 60
# What a message needs at most from a topic to a queue, or from a bucket, on loopback.
DELIVERY_SECONDS = 5
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}

# What SNS gave a topic at first; its own one is aws_sns_topic_policy.
REPLACED = {"aws_sns_topic"}
# Doors: what they let through, callers need rights for all the same.
DOORS = {"aws_vpc_endpoint"}
# Actions that have no resource to name, or none that is known before; why, stands where they are
# granted in terraform/modules.
WITHOUT_RESOURCE = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


# -- what Terraform wrote


@dataclass(frozen=True)
class Allowed:
    """A statement that allows something, and the resource that it is of."""

    address: str
    kind: str
    statement: dict[str, Any]

    def listed(self, name: str) -> list[str]:
        value = self.statement.get(name, [])
        return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def allowed(applied: Applied) -> list[Allowed]:
    """Of every policy of roles and of resources: as they are in the states, and as they would be on
    AWS, where a plan knows that much."""
    on_aws = applied.lab.plan(
        target="aws",
        worker_network=None,
        external_database=None,
        external_database_password=None,
    )
    found = [
        (change["address"], change["type"], change["change"]["after"] or {})
        for change in on_aws["resource_changes"]
    ]
    for root in (applied.lab, applied.registry):
        for resource in json.loads(root.state())["resources"]:
            found += [
                (f"{resource.get('module', '')}.{resource['name']}", resource["type"], attributes)
                for attributes in (instance["attributes"] for instance in resource["instances"])
            ]
    return [
        Allowed(address, kind, statement)
        for address, kind, attributes in found
        if kind not in REPLACED
        for name in ("policy", "assume_role_policy")
        for statement in json.loads(attributes.get(name) or "{}").get("Statement", [])
        if statement["Effect"] == "Allow"
    ]


def test_every_resource_is_named_that_can_be(allowed: list[Allowed]) -> None:
    assert {"aws_iam_role_policy", "aws_sqs_queue", "aws_sns_topic_policy"} <= {
        item.kind for item in allowed
    }
    for item in allowed:
        unnamed = any(r.split(":", 5)[-1].startswith("*") for r in item.listed("Resource"))
        if unnamed and item.kind not in DOORS:
            actions = set(item.listed("Action")) - WITHOUT_RESOURCE
            assert not actions, f"{item.address} allows {sorted(actions)} on all"


def test_every_action_and_every_principal_is_named(allowed: list[Allowed]) -> None:
    for item in allowed:
        assert not {"NotAction", "NotResource", "NotPrincipal"} & set(item.statement), item.address
        if item.kind in DOORS:
            continue
        for action in item.listed("Action"):
            assert "*" not in action, f"{item.address} allows {action}"
        principal = item.statement.get("Principal", {})
        assert principal != "*", f"{item.address} lets everybody in"
        assert "*" not in principal.get("AWS", []), f"{item.address} lets everybody in"


def test_doors_are_open_to_this_account_alone(allowed: list[Allowed]) -> None:
    doors = [item for item in allowed if item.kind in DOORS]
    assert doors
    for door in doors:
        condition = door.statement["Condition"]["StringEquals"]
        assert re.fullmatch(r"\d{12}", condition["aws:PrincipalAccount"]), door.address


# -- other senders


@pytest.fixture(scope="module")
def roles(applied: Applied) -> Iterator[Roles]:
    found = Roles(applied.ground.cloud, applied.output)
    with found.standing_in():
        yield found


def client_of(applied: Applied, service: str, credentials: Mapping[str, str]) -> Any:
    """A client that signs as somebody."""
    return boto3.session.Session(
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=credentials["AWS_SESSION_TOKEN"],
        region_name=REGION,
    ).client(service, endpoint_url=applied.ground.cloud.endpoint)


def test_queues_take_nothing_from_functions(applied: Applied, roles: Roles) -> None:
    """Neither of others nor of the one that works on them, which may write dead letters alone."""
    queues = applied.output["queues"]
    for function in roles.functions:
        sqs = client_of(applied, "sqs", roles.credentials(function))
        for owner, queue in queues.items():
            for url, own in ((queue["url"], False), (queue["dead_letter_url"], owner == function)):
                if not own:
                    with pytest.raises(ClientError) as refused:
                        sqs.send_message(QueueUrl=url, MessageBody="from somebody else")
                    assert error_code(refused.value) in DENIED, f"{function} to {url}"


def test_the_workflow_sends_to_its_own_functions_alone(applied: Applied) -> None:
    """Asked for by the machine's role itself, since MiniStack's Step Functions goes unasked."""
    cloud, (machine,) = applied.ground.cloud, applied.output["workflows"].values()
    role = cloud.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["roleArn"]
    with assumable(cloud, role.rpartition("/")[2]):
        sqs = client_of(applied, "sqs", session(cloud, role, "workflow"))
        for item in manifests():
            if item.queue is None:
                continue
            queue = applied.output["queues"][item.name]
            own = any(s.reference.resource is Resource.WORKFLOW for s in item.queue.sources)
            for url, let_in in ((queue["url"], own), (queue["dead_letter_url"], False)):
                if let_in:
                    sqs.send_message(QueueUrl=url, MessageBody="a task")
                    cloud.client("sqs").purge_queue(QueueUrl=url)
                    continue
                with pytest.raises(ClientError) as refused:
                    sqs.send_message(QueueUrl=url, MessageBody="no task")
                assert error_code(refused.value) in DENIED, url


def test_topics_take_nothing_from_others(applied: Applied, roles: Roles) -> None:
    for topic, arn in applied.output["topics"].items():
        publishers = {
            function
            for function in roles.functions
            if any(
                statement["Resource"] == [arn] and statement["Action"] == ["sns:Publish"]
                for statement in roles.document(function)["Statement"]
            )
        }
        assert publishers, topic
        for function in set(roles.functions) - publishers:
            sns = client_of(applied, "sns", roles.credentials(function))
            with pytest.raises(ClientError) as refused:
                sns.publish(TopicArn=arn, Message="from somebody else")
            assert error_code(refused.value) in DENIED, f"{function} to {topic}"


def test_a_queue_takes_nothing_from_another_bucket(applied: Applied) -> None:
    """S3 asks the queue when it is told to notify it."""
    s3 = applied.ground.cloud.client("s3")
    s3.create_bucket(Bucket="somebody-elses")
    try:
        for queue in applied.output["queues"].values():
            with pytest.raises(ClientError) as refused:
                s3.put_bucket_notification_configuration(
                    Bucket="somebody-elses",
                    NotificationConfiguration={
                        "QueueConfigurations": [
                            {"QueueArn": queue["arn"], "Events": ["s3:ObjectCreated:*"]}
                        ]
                    },
                )
            assert error_code(refused.value) == "InvalidArgument", queue["arn"]
    finally:
        s3.delete_bucket(Bucket="somebody-elses")


def test_a_queue_takes_nothing_from_another_topic(applied: Applied) -> None:
    """SNS asks the queue at each message, and tells nobody of a refusal."""
    cloud = applied.ground.cloud
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    queue = applied.output["queues"]["send-image-email"]
    own = applied.output["topics"]["image-events"]
    another = sns.create_topic(Name="somebody-elses")["TopicArn"]
    sns.subscribe(TopicArn=another, Protocol="sqs", Endpoint=queue["arn"])
    attributes = {"type": {"DataType": "String", "StringValue": "image.developed"}}
    try:
        # The second tells that the first would have come as well.
        for topic, text in ((another, "not to come"), (own, "to come")):
            sns.publish(TopicArn=topic, Message=text, MessageAttributes=attributes)
        found: list[dict[str, Any]] = []
        give_up_at = time.monotonic() + DELIVERY_SECONDS
        while time.monotonic() < give_up_at:
            found += sqs.receive_message(QueueUrl=queue["url"], WaitTimeSeconds=1).get(
                "Messages", []
            )
        assert [json.loads(message["Body"])["Message"] for message in found] == ["to come"]
        for message in found:
            sqs.delete_message(QueueUrl=queue["url"], ReceiptHandle=message["ReceiptHandle"])
    finally:
        sns.delete_topic(TopicArn=another)


# -- the ways


@pytest.fixture(scope="module")
def stage(
    applied: Applied, roles: Roles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """The lab at work, each function under its own role; a customer, and a photo of theirs."""
    folder = Path(tmp_path_factory.mktemp("photos"))
    # Work that failed for want of a right is tried again soon.
    soon = {"WORKER_BACKOFF_BASE_SECONDS": "1", "WORKER_BACKOFF_CAP_SECONDS": "1"}

    def variables(function: str) -> dict[str, str]:
        is_worker = function in applied.output["queues"]
        return {**roles.credentials(function), **(soon if is_worker else {})}

    with ExitStack() as stack:
        stack.enter_context(at_work(applied.ground, applied.output, variables))
        api = stack.enter_context(closing(Api(applied.ground.api)))
        somebody = f"{time.time_ns()}@darkroom.example"
        api.sign_up(somebody, "Anna Muster", shopping.PASSWORD)
        api.sign_in(somebody, shopping.PASSWORD)
        database = applied.output["database"]
        reached = Database(
            read(
                DatabaseConfiguration,
                {"DATABASE_URL": database["url"], "DATABASE_SECRET_ARN": database["secret_arn"]},
            ),
            applied.ground.cloud.client("secretsmanager"),
        )
        stack.callback(reached.close)
        photo = api.developed(api.upload(new_photo(folder)))
        yield Stage(applied.ground, applied.output, roles, reached, mutations.fresh, api, photo)


def test_each_function_is_itself(applied: Applied, roles: Roles) -> None:
    for function in roles.functions:
        sts = client_of(applied, "sts", roles.credentials(function))
        assert f":assumed-role/{roles.name(function)}/" in sts.get_caller_identity()["Arn"]


def test_a_photo_is_developed_and_an_order_of_it_shipped(stage: Stage, tmp_path: Path) -> None:
    before = len(sent_mails(stage.ground.mail))
    image = shopping.develop(stage.api, tmp_path)
    assert image["status"] == "developed"
    order = shopping.order(stage.api, image)
    assert [step["status"] for step in order["history"]] == shopping.SHIPPED
    give_up_at = time.monotonic() + MAIL_SECONDS
    while len(sent_mails(stage.ground.mail)) < before + shopping.MAILS:
        assert time.monotonic() < give_up_at, "e-mails are missing"
        time.sleep(0.2)


def test_a_form_that_was_tampered_with_is_refused(stage: Stage) -> None:
    form = stage.api._call(
        "POST",
        "/uploads",
        json={"filename": "a.jpg", "content_type": "image/jpeg", "keep_location": False},
    )
    fields: dict[str, str] = form["fields"]
    photo = jpeg()

    def posted(**changes: str) -> int:
        changed = {**fields, **changes}
        assert not changes or changed != fields, "the change is none"
        files = {"file": ("a.jpg", photo, changed["Content-Type"])}
        return httpx.post(form["url"], data=changed, files=files, timeout=30).status_code

    def policy(change: Any) -> str:
        document = json.loads(base64.b64decode(fields["policy"]))
        change(document)
        return base64.b64encode(json.dumps(document).encode()).decode()

    def any_size(document: dict[str, Any]) -> None:
        (limits,) = [c for c in document["conditions"] if "content-length-range" in c]
        limits[2] *= 1000

    def for_ever(document: dict[str, Any]) -> None:
        document["expiration"] = "2099-01-01T00:00:00Z"

    signature = fields["x-amz-signature"]
    tampered = {
        "key": {"key": f"somebody-else/{fields['key'].partition('/')[2]}"},
        "type": {"Content-Type": "text/html"},
        "size": {"policy": policy(any_size)},
        "policy": {"policy": policy(for_ever)},
        "signature": {"x-amz-signature": signature[::-1]},
        "field": {"x-amz-meta-more": "of it"},
    }
    assert {what: posted(**changes) for what, changes in tampered.items()} == dict.fromkeys(
        tampered, 403
    )
    assert posted() in (200, 201, 204)


# -- grants taken away


def test_every_grant_is_missed_when_it_is_taken_away(stage: Stage, tmp_path: Path) -> None:
    grants = [grant for grant in granted(stage.roles) if mutations.way_of(grant) is not None]
    seed = os.environ.get(SEED) or datetime.now(UTC).date().isoformat()
    if os.environ.get(MUTATIONS) != "all":
        grants = sorted(random.Random(seed).sample(grants, SAMPLE))
    unneeded = []
    for grant in grants:
        started = time.monotonic()
        line = mutations.missed(stage, grant, tmp_path)
        seconds = time.monotonic() - started
        log.info("%s after %.1f s: %s", "missed" if line else "NOT MISSED", seconds, grant)
        if line is None:
            unneeded.append(str(grant))
    assert not unneeded, (
        f"taken away, and nobody failed ({SEED}={seed}): no function needs these grants, or its "
        f"way does not go where they are needed (tests/infrastructure/mutations.py): {unneeded}"
    )


def test_no_grant_is_left_out_without_need(roles: Roles) -> None:
    left_out = {
        (grant.function, mutations.about(grant))
        for grant in granted(roles)
        if mutations.way_of(grant) is None
    }
    assert left_out == mutations.NOT_MISSED_HERE


def granted(roles: Roles) -> list[Grant]:
    return [grant for function in roles.functions for grant in roles.grants(function)]
