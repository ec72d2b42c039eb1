"""Invokes functions of a lab on AWS for operators: run-operation and migrate-database."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.administration.run_operation import Operation
from services.operations.audit import AuditTrail
from services.operations.deployed import Deployed
from services.platform.errors import DarkroomError, PermanentError

RUN_OPERATION = "run-operation"
MIGRATE_DATABASE = "migrate-database"
# Longer than any function may run; Lambda answers a synchronous call when the function ends.
READ_TIMEOUT_SECONDS = 910


class FunctionFailedError(DarkroomError):
    """The function raised, or could not be invoked."""


@dataclass(frozen=True)
class RemoteFunctions:
    """The functions of a lab, invoked with the credentials of the shell."""

    lab: Deployed

    def run(self, operation: Operation, arguments: Mapping[str, Any], audit: AuditTrail) -> Any:
        """Runs an operation and records it in `audit`; returns its result.

        Raises PermanentError with the reason when it is refused, FunctionFailedError when the
        outcome is not known.
        """
        event = {
            "id": str(uuid.uuid4()),
            "operator": self._operator(),
            "operation": operation.value,
            "arguments": dict(arguments),
        }
        audit.record(
            operation.value, id=event["id"], operator=event["operator"], region=self.lab.region
        )
        answer = self.invoke(RUN_OPERATION, event)
        if refusal := answer.get("refused"):
            raise PermanentError(f"{operation.value} was refused: {refusal}")
        return answer["result"]

    def invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Invokes the live version with the event and returns its answer.

        Raises PermanentError when the lab has no such function, FunctionFailedError when it fails.
        """
        alias = self.lab.aliases.get(function)
        if alias is None:
            raise PermanentError(
                f"the lab's outputs have no function {function}: deploy the current release, and "
                "write `terraform output -json` again"
            )
        try:
            answer = self._client("lambda").invoke(
                FunctionName=alias, Payload=json.dumps(event).encode()
            )
            payload = json.loads(answer["Payload"].read())
        except (BotoCoreError, ClientError) as error:
            raise FunctionFailedError(f"{function} could not be invoked: {error}") from error
        if "FunctionError" in answer:
            raise FunctionFailedError(
                f"{function} failed: {payload.get('errorType')}: {payload.get('errorMessage')} "
                f"(request {answer['ResponseMetadata']['RequestId']})"
            )
        result: dict[str, Any] = payload
        return result

    def _operator(self) -> str:
        """The ARN of the caller's identity."""
        try:
            return str(self._client("sts").get_caller_identity()["Arn"])
        except (BotoCoreError, ClientError) as error:
            raise FunctionFailedError(f"AWS does not know the credentials: {error}") from error

    def _client(self, service: str) -> Any:
        # A repetition of the same event is not done twice: run-operation knows its id, and a
        # migration waits for the one that runs.
        config = Config(
            connect_timeout=5,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 3},
        )
        return botocore.session.get_session().create_client(
            service, region_name=self.lab.region, config=config
        )
