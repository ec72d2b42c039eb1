"""State machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.local.provision.lab import FunctionQueue
from services.local.provision.names import account_of, role_arn, workflow_name
from services.local.topology import Workflow


def make_workflow(
    session: Any,
    workflow: Workflow,
    name: str,
    queues: Mapping[str, FunctionQueue],
    prefix: str,
) -> str:
    """Creates the state machine, or updates its definition. Returns its ARN."""
    states = session.client("stepfunctions")
    machine = workflow_name(name, prefix)
    definition = workflow.definition({function: queue.url for function, queue in queues.items()})
    # The emulator wants a role and does not enforce it.
    role = role_arn(machine, account_of(next(iter(queues.values())).arn))
    try:
        made = states.create_state_machine(name=machine, definition=definition, roleArn=role)
    except states.exceptions.StateMachineAlreadyExists:
        (found,) = [
            item["stateMachineArn"]
            for page in states.get_paginator("list_state_machines").paginate()
            for item in page["stateMachines"]
            if item["name"] == machine
        ]
        states.update_state_machine(stateMachineArn=found, definition=definition, roleArn=role)
        return str(found)
    return str(made["stateMachineArn"])
