"""Least privilege, tested at run time: MiniStack enforces signatures and IAM, and each function
runs under a session of its own role with the permissions that Terraform granted.

DARKROOM_MUTATIONS=all removes every grant of every function, one at a time, in place of a sample
that changes daily; names of functions, with commas, remove theirs. DARKROOM_MUTATIONS_SEED repeats
the sample of a day.
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
from tests.infrastructure import customer, grant_removal
from tests.infrastructure.conftest import Applied
from tests.infrastructure.environment import loaded_topology, manifests, running_functions
from tests.infrastructure.roles import Grant, Roles, assumable, session
from tests.infrastructure.scenarios.run import RunningLab, new_photo
from tests.support.photos import jpeg
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

pytestmark = pytest.mark.slow
log = logging.getLogger(__name__)
MUTATIONS, SEED = "DARKROOM_MUTATIONS", "DARKROOM_MUTATIONS_SEED"
SAMPLE = 12
MAIL_SECONDS = 60
# The longest delivery from a topic or a bucket to a queue on loopback.
DELIVERY_SECONDS = 5
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}

# The default policy of a topic, which aws_sns_topic_policy replaces.
REPLACED = {"aws_sns_topic"}
# Policies of endpoints: callers need permissions in addition.
ENDPOINT_POLICIES = {"aws_vpc_endpoint"}
# Functions that send messages back to all queues.
REPLAYING = {"replay-dead-letters"}
# Actions without a resource that could be named; terraform/modules gives the reason at each grant.
WITHOUT_RESOURCE = {
    "cloudwatch:GetMetricData",
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
    "logs:GetQueryResults",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "sqs:ListQueues",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


# -- policies


@dataclass(frozen=True)
class Allowed:
    """An Allow statement, and the Terraform resource that contains it."""

    address: str
    kind: str
    statement: dict[str, Any]

    def listed(self, name: str) -> list[str]:
        value = self.statement.get(name, [])
        return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def allowed(applied: Applied) -> list[Allowed]:
    """The Allow statements of all role and resource policies: from the states, and from a plan for
    AWS where it knows them."""
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


def test_policies_name_every_resource(allowed: list[Allowed]) -> None:
    assert {"aws_iam_role_policy", "aws_sqs_queue", "aws_sns_topic_policy"} <= {
        item.kind for item in allowed
    }
    for item in allowed:
        unnamed = any(r.split(":", 5)[-1].startswith("*") for r in item.listed("Resource"))
        if unnamed and item.kind not in ENDPOINT_POLICIES:
            actions = set(item.listed("Action")) - WITHOUT_RESOURCE
            assert not actions, f"{item.address} allows {sorted(actions)} on every resource"


def test_policies_name_every_action_and_principal(allowed: list[Allowed]) -> None:
    for item in allowed:
        assert not {"NotAction", "NotResource", "NotPrincipal"} & set(item.statement), item.address
        if item.kind in ENDPOINT_POLICIES:
            continue
        for action in item.listed("Action"):
            assert "*" not in action, f"{item.address} allows {action}"
        principal = item.statement.get("Principal", {})
        assert principal != "*", f"{item.address} allows every principal"
        assert "*" not in principal.get("AWS", []), f"{item.address} allows every principal"


def test_endpoint_policies_allow_this_account_only(allowed: list[Allowed]) -> None:
    policies = [item for item in allowed if item.kind in ENDPOINT_POLICIES]
    # ECR keeps image layers in a bucket of its own account; reading them is all that is allowed.
    layers = [item for item in policies if item.statement.get("Sid") == "ImageLayers"]
    for layer in layers:
        assert layer.listed("Action") == ["s3:GetObject"]
        (resource,) = layer.listed("Resource")
        assert re.fullmatch(r"arn:aws:s3:::prod-[a-z0-9-]+-starport-layer-bucket/\*", resource)
    of_this_account = [item for item in policies if item not in layers]
    assert of_this_account
    for policy in of_this_account:
        condition = policy.statement["Condition"]["StringEquals"]
        assert re.fullmatch(r"\d{12}", condition["aws:PrincipalAccount"]), policy.address


# -- other senders


@pytest.fixture(scope="module")
def roles(applied: Applied) -> Iterator[Roles]:
    found = Roles(applied.environment.cloud, applied.output)
    with found.assumable_by_root():
        yield found


def client_of(applied: Applied, service: str, credentials: Mapping[str, str]) -> Any:
    """A client with the given credentials."""
    return boto3.session.Session(
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=credentials["AWS_SESSION_TOKEN"],
        region_name=REGION,
    ).client(service, endpoint_url=applied.environment.cloud.endpoint)


def test_queues_refuse_messages_of_functions(applied: Applied, roles: Roles) -> None:
    """Even of their own function, which may send to its dead letter queue only. A function that
    sends messages again may send to its queue as well."""
    queues = applied.output["queues"]
    resending = {item.name for item in manifests() if item.queue and item.queue.sends_to_itself}
    for function in set(roles.functions) - REPLAYING:
        sqs = client_of(applied, "sqs", roles.credentials(function))
        for owner, queue in queues.items():
            own_queue = owner == function and owner in resending
            for url, own in (
                (queue["url"], own_queue),
                (queue["dead_letter_url"], owner == function),
            ):
                if not own:
                    with pytest.raises(ClientError) as refused:
                        sqs.send_message(QueueUrl=url, MessageBody="from an unauthorized sender")
                    assert error_code(refused.value) in DENIED, f"{function} to {url}"


def test_workflow_role_sends_to_queues_of_its_functions_only(applied: Applied) -> None:
    """Calls SQS under the role, since MiniStack does not check calls of Step Functions."""
    cloud, (machine,) = applied.environment.cloud, applied.output["workflows"].values()
    role = cloud.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["roleArn"]
    with assumable(cloud, role.rpartition("/")[2]):
        sqs = client_of(applied, "sqs", session(cloud, role, "workflow"))
        for item in manifests():
            if item.queue is None:
                continue
            queue = applied.output["queues"][item.name]
            own = any(s.reference.resource is Resource.WORKFLOW for s in item.queue.sources)
            for url, allowed in ((queue["url"], own), (queue["dead_letter_url"], False)):
                if allowed:
                    sqs.send_message(QueueUrl=url, MessageBody="a task")
                    cloud.client("sqs").purge_queue(QueueUrl=url)
                    continue
                with pytest.raises(ClientError) as refused:
                    sqs.send_message(QueueUrl=url, MessageBody="no task")
                assert error_code(refused.value) in DENIED, url


def test_topics_refuse_messages_of_other_functions(applied: Applied, roles: Roles) -> None:
    declared = loaded_topology().topics
    for topic, arn in applied.output["topics"].items():
        publishers = {
            function
            for function in roles.functions
            if any(
                statement["Resource"] == [arn] and statement["Action"] == ["sns:Publish"]
                for statement in roles.document(function)["Statement"]
            )
        }
        assert bool(publishers) is (declared[topic].published_by is None), topic
        for function in set(roles.functions) - publishers:
            sns = client_of(applied, "sns", roles.credentials(function))
            with pytest.raises(ClientError) as refused:
                sns.publish(TopicArn=arn, Message="from an unauthorized sender")
            assert error_code(refused.value) in DENIED, f"{function} to {topic}"


def test_queues_refuse_notifications_of_another_bucket(applied: Applied) -> None:
    """S3 checks the queue policy when the notification is configured."""
    s3 = applied.environment.cloud.client("s3")
    s3.create_bucket(Bucket="foreign")
    try:
        for queue in applied.output["queues"].values():
            with pytest.raises(ClientError) as refused:
                s3.put_bucket_notification_configuration(
                    Bucket="foreign",
                    NotificationConfiguration={
                        "QueueConfigurations": [
                            {"QueueArn": queue["arn"], "Events": ["s3:ObjectCreated:*"]}
                        ]
                    },
                )
            assert error_code(refused.value) == "InvalidArgument", queue["arn"]
    finally:
        s3.delete_bucket(Bucket="foreign")


def test_queue_refuses_messages_of_another_topic(applied: Applied) -> None:
    """SNS checks the queue policy at each message, and reports no refusal."""
    cloud = applied.environment.cloud
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    queue = applied.output["queues"]["send-image-email"]
    own = applied.output["topics"]["image-events"]
    another = sns.create_topic(Name="foreign")["TopicArn"]
    sns.subscribe(TopicArn=another, Protocol="sqs", Endpoint=queue["arn"])
    attributes = {"type": {"DataType": "String", "StringValue": "image.developed"}}
    try:
        # The arrival of the second shows that the first was refused, not late.
        for topic, text in ((another, "not to come"), (own, "to come")):
            sns.publish(TopicArn=topic, Message=text, MessageAttributes=attributes)
        found: list[dict[str, Any]] = []
        give_up_at = time.monotonic() + scaled(DELIVERY_SECONDS)
        while time.monotonic() < give_up_at:
            found += sqs.receive_message(QueueUrl=queue["url"], WaitTimeSeconds=1).get(
                "Messages", []
            )
        assert [json.loads(message["Body"])["Message"] for message in found] == ["to come"]
        for message in found:
            sqs.delete_message(QueueUrl=queue["url"], ReceiptHandle=message["ReceiptHandle"])
    finally:
        sns.delete_topic(TopicArn=another)


# -- functions under their roles


@pytest.fixture(scope="module")
def running_lab(
    applied: Applied, roles: Roles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningLab]:
    """A running lab, each function under its own role, with a customer and a photo."""
    folder = Path(tmp_path_factory.mktemp("photos"))
    # Retry work that failed without a permission soon.
    soon = {"WORKER_BACKOFF_BASE_SECONDS": "1", "WORKER_BACKOFF_CAP_SECONDS": "1"}

    def variables(function: str) -> dict[str, str]:
        is_worker = function in applied.output["queues"]
        return {**roles.credentials(function), **(soon if is_worker else {})}

    with ExitStack() as stack:
        stack.enter_context(running_functions(applied.environment, applied.output, variables))
        api = stack.enter_context(closing(Api(applied.environment.api)))
        email = f"{time.time_ns()}@darkroom.example"
        customer.sign_in(api, applied.environment, email)
        database = applied.output["database"]
        reached = Database(
            read(
                DatabaseConfiguration,
                {"DATABASE_URL": database["url"], "DATABASE_SECRET_ARN": database["secret_arn"]},
            ),
            applied.environment.cloud.client("secretsmanager"),
        )
        stack.callback(reached.close)
        photo = api.developed(api.upload(new_photo(folder)))
        yield RunningLab(
            applied.environment, applied.output, roles, reached, grant_removal.restart, api, photo
        )


def test_each_function_assumes_its_own_role(applied: Applied, roles: Roles) -> None:
    for function in roles.functions:
        sts = client_of(applied, "sts", roles.credentials(function))
        assert f":assumed-role/{roles.name(function)}/" in sts.get_caller_identity()["Arn"]


def test_photo_is_developed_and_order_is_shipped(running_lab: RunningLab, tmp_path: Path) -> None:
    before = len(sent_mails(running_lab.environment.mail))
    image = customer.develop(running_lab.api, tmp_path)
    assert image["status"] == "developed"
    order = customer.order(running_lab.api, image)
    assert [step["status"] for step in order["history"]] == customer.SHIPPED
    eventually(
        lambda: len(sent_mails(running_lab.environment.mail)) >= before + customer.ORDER_MAILS,
        "all e-mails are sent",
        MAIL_SECONDS,
    )


def test_modified_upload_form_is_refused(running_lab: RunningLab) -> None:
    form = running_lab.api._call(
        "POST",
        "/uploads",
        json={"filename": "a.jpg", "content_type": "image/jpeg", "keep_location": False},
    )
    fields: dict[str, str] = form["fields"]
    photo = jpeg()

    def posted(**changes: str) -> int:
        changed = {**fields, **changes}
        assert not changes or changed != fields, "the form does not change"
        files = {"file": ("a.jpg", photo, changed["Content-Type"])}
        return httpx.post(
            form["url"], data=changed, files=files, timeout=scaled(HTTP_SECONDS)
        ).status_code

    def policy(change: Any) -> str:
        document = json.loads(base64.b64decode(fields["policy"]))
        change(document)
        return base64.b64encode(json.dumps(document).encode()).decode()

    def any_size(document: dict[str, Any]) -> None:
        (limits,) = [c for c in document["conditions"] if "content-length-range" in c]
        limits[2] *= 1000

    def without_expiry(document: dict[str, Any]) -> None:
        document["expiration"] = "2099-01-01T00:00:00Z"

    signature = fields["x-amz-signature"]
    tampered = {
        "key": {"key": f"another-owner/{fields['key'].partition('/')[2]}"},
        "type": {"Content-Type": "text/html"},
        "size": {"policy": policy(any_size)},
        "policy": {"policy": policy(without_expiry)},
        "signature": {"x-amz-signature": signature[::-1]},
        "field": {"x-amz-meta-more": "added"},
    }
    assert {what: posted(**changes) for what, changes in tampered.items()} == dict.fromkeys(
        tampered, 403
    )
    assert posted() in (200, 201, 204)


# -- grants removed


def test_removal_of_each_grant_causes_a_failure(running_lab: RunningLab, tmp_path: Path) -> None:
    grants = [
        grant
        for grant in granted(running_lab.roles)
        if grant_removal.scenario_of(grant) is not None
    ]
    seed = os.environ.get(SEED) or datetime.now(UTC).date().isoformat()
    chosen = os.environ.get(MUTATIONS)
    if chosen is None:
        grants = sorted(random.Random(seed).sample(grants, SAMPLE))
    elif chosen != "all":
        grants = [grant for grant in grants if grant.function in chosen.split(",")]
    unneeded = []
    for grant in grants:
        started = time.monotonic()
        line = grant_removal.failure_without(running_lab, grant, tmp_path)
        seconds = time.monotonic() - started
        log.info("%s after %.1f s: %s", "needed" if line else "NOT NEEDED", seconds, grant)
        if line is None:
            unneeded.append(str(grant))
    assert not unneeded, (
        f"removed without a failure ({SEED}={seed}): no function needs these grants, or their "
        f"scenario in tests/infrastructure/grant_removal.py does not use them: {unneeded}"
    )


def test_only_known_grants_have_no_scenario(roles: Roles) -> None:
    without_scenario = {
        (grant.function, grant_removal.about(grant))
        for grant in granted(roles)
        if grant_removal.scenario_of(grant) is None
    }
    assert without_scenario == grant_removal.NOT_TESTABLE_ON_MINISTACK


def granted(roles: Roles) -> list[Grant]:
    return [grant for function in roles.functions for grant in roles.grants(function)]
