"""The roles that Terraform created: their grants, a session of each, and the removal of single
grants."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.infrastructure.environment import Cloud

POLICY = "function"
# Statements that the Lambda service uses, not the function's code; no emulator uses them.
SERVICE_SIDS = frozenset({"Log"})
SERVICE_POLICIES = frozenset({"network", "tracing"})
# MiniStack does not resolve the resource of these actions (the state machine of a task token, the
# identity of a sender) and checks them against "*". On AWS they apply to what Terraform names:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonses.html
UNRESOLVED = ("states:SendTask", "ses:SendRawEmail")
# MiniStack has separate actions for batches; on AWS the permission of the single call covers them:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
BATCHED = {
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
    # Of objects with a version too, for which AWS asks for s3:DeleteObjectVersion:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    "s3:DeleteObjectVersion": "s3:DeleteObject",
}
SESSION_SECONDS = 3600

Document = dict[str, Any]


@contextmanager
def assumable(cloud: Cloud, role: str) -> Iterator[None]:
    """Lets the root of the account assume a role, for a `with` block."""
    iam = cloud.client("iam")
    found = iam.get_role(RoleName=role)["Role"]
    trust: Document = found["AssumeRolePolicyDocument"]
    root = found["Arn"].rpartition(":role/")[0] + ":root"
    by_root = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
    widened = {**trust, "Statement": [*trust["Statement"], by_root]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(widened))
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))


def session(cloud: Cloud, role_arn: str, name: str) -> dict[str, str]:
    """The AWS environment variables of a session of a role."""
    got = cloud.client("sts").assume_role(
        RoleArn=role_arn, RoleSessionName=name, DurationSeconds=SESSION_SECONDS
    )["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": got["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": got["SecretAccessKey"],
        "AWS_SESSION_TOKEN": got["SessionToken"],
    }


@dataclass(frozen=True, order=True)
class Grant:
    """One action of one statement of a function's role."""

    function: str
    sid: str
    action: str

    def __str__(self) -> str:
        return f"{self.function}: {self.action} ({self.sid})"


@dataclass(frozen=True)
class Roles:
    """The role of every function. `credentials` works within `assumable_by_root`."""

    cloud: Cloud
    output: Mapping[str, Any]
    _documents: dict[str, Document] = field(default_factory=dict)
    _removed: dict[str, set[Grant]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def assumable_by_root(self) -> Iterator[None]:
        """Lets the root of the account assume each role, in place of Lambda and ECS, for a `with`
        block. The permissions stay those of Terraform, translated for MiniStack."""
        with ExitStack() as stack:
            for function in self.functions:
                self._documents[function] = self.document(function)
                self._removed[function] = set()
                stack.enter_context(assumable(self.cloud, self.name(function)))
                stack.callback(self._put, function, self._documents[function])
                self._apply(function)
            yield

    @property
    def functions(self) -> tuple[str, ...]:
        return tuple(sorted(self.output["functions"]))

    def name(self, function: str) -> str:
        arn: str = self.output["functions"][function]["role_arn"]
        return arn.rpartition("/")[2]

    def document(self, function: str) -> Document:
        """The current policy of the function. Asserts that the role has no other policy."""
        name = self.name(function)
        names = set(self._iam.list_role_policies(RoleName=name)["PolicyNames"])
        attached = self._iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        assert names - SERVICE_POLICIES == {POLICY}, f"{name} has other policies: {names}"
        assert attached == [], f"{name} has other policies: {attached}"
        found: Document = self._iam.get_role_policy(RoleName=name, PolicyName=POLICY)[
            "PolicyDocument"
        ]
        return found

    def grants(self, function: str) -> list[Grant]:
        """Every grant of the function's own code."""
        return [
            Grant(function, statement["Sid"], action)
            for statement in self._documents[function]["Statement"]
            if statement["Sid"] not in SERVICE_SIDS
            for action in statement["Action"]
        ]

    def grant(self, function: str, action: str, sid: str | None = None) -> Grant:
        """The function's only grant of `action`."""
        (found,) = (g for g in self.grants(function) if g.action == action and sid in (None, g.sid))
        return found

    def credentials(self, function: str) -> dict[str, str]:
        """The AWS environment variables of a session of the function's role."""
        arn: str = self.output["functions"][function]["role_arn"]
        return session(self.cloud, arn, function)

    @contextmanager
    def without(self, *grants: Grant) -> Iterator[None]:
        """Removes grants from their roles for a `with` block."""
        self._change(dict.fromkeys(grants, True))
        try:
            yield
        finally:
            self._change(dict.fromkeys(grants, False))

    def _change(self, changes: Mapping[Grant, bool]) -> None:
        with self._lock:
            for grant, removed in changes.items():
                change = set.add if removed else set.discard
                change(self._removed[grant.function], grant)
            for function in {grant.function for grant in changes}:
                self._apply(function)

    def _apply(self, function: str) -> None:
        document = copy.deepcopy(self._documents[function])
        for statement in document["Statement"]:
            statement["Action"] = [
                action
                for action in statement["Action"]
                if Grant(function, statement["Sid"], action) not in self._removed[function]
            ]
            statement["Action"] += [BATCHED[a] for a in statement["Action"] if a in BATCHED]
            if all(action.startswith(UNRESOLVED) for action in statement["Action"]):
                statement["Resource"] = ["*"]
        document["Statement"] = [s for s in document["Statement"] if s["Action"]]
        self._put(function, document)

    def _put(self, function: str, document: Document) -> None:
        name = self.name(function)
        if document["Statement"]:
            self._iam.put_role_policy(
                RoleName=name, PolicyName=POLICY, PolicyDocument=json.dumps(document)
            )
        else:
            self._iam.delete_role_policy(RoleName=name, PolicyName=POLICY)

    @property
    def _iam(self) -> Any:
        return self.cloud.client("iam")
