"""Scenarios of messages that no function can handle."""

from __future__ import annotations

from pathlib import Path

from tests.infrastructure.scenarios.run import (
    Scenario,
    ScenarioRun,
)


def malformed_message(function: str) -> Scenario:
    """Sends a message that is not an event: it becomes a dead letter."""

    def send(run: ScenarioRun, _folder: Path) -> None:
        queue = run.lab.output["queues"][function]
        run.lab.client("sqs").send_message(QueueUrl=queue["url"], MessageBody="no event")

    return send


def malformed_message_without_dead_letters(function: str) -> Scenario:
    """The same while the dead letter queue refuses messages: the message is retried."""

    def send(run: ScenarioRun, folder: Path) -> None:
        with run.blocked(function, "sqs:SendMessage"):
            malformed_message(function)(run, folder)
            run.until("the end", lambda: False)

    return send
