"""The role of a state machine, for emulators that enforce IAM."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from services.local.provision.lab import FunctionQueue
from services.local.provision.names import POLICY_VERSION


def make_workflow_role(session: Any, name: str, queues: Mapping[str, FunctionQueue]) -> None:
    """Creates the role with which a state machine sends to the queues of its functions."""
    iam = session.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "states.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    send = {
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Resource": sorted(queue.arn for queue in queues.values()),
    }
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName=name, PolicyName="send", PolicyDocument=_policy(send))


def _policy(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": POLICY_VERSION, "Statement": [statement]})
