"""create-order with its clients, and the requests to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.orders import api
from services.orders.allowance import UNLIMITED, Allowance
from services.orders.create_order import CreateOrder
from services.orders.start_workflows import WorkflowStarter
from services.orders.store import Orders
from services.platform.functions.access import Caller
from services.platform.functions.http import HttpProblem, Request
from tests.integration.orders.environment import (
    OrderResources,
)


def request(
    user_id: str,
    *,
    body: Any = None,
    parameters: Any = None,
    headers: Mapping[str, str] | None = None,
    address: str = "192.0.2.1",
) -> Request:
    caller = Caller(user_id, "anna@darkroom.example", "customer", "session", 2**40)
    return Request(body, parameters, headers or {}, "/orders", address, "r", b"", caller)


@dataclass
class FailingClient:
    """An AWS client that raises an error "before" or "after" each call named in `failing`."""

    real: Any
    failing: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)
        if name == "exceptions":
            return method

        def call(**arguments: Any) -> Any:
            self.asked.append(arguments)
            when = self.failing.get(name)
            if when != "before":
                answer = method(**arguments)
            if when:
                raise EndpointConnectionError(endpoint_url="http://away")
            return answer

        return call


@dataclass
class CreateOrderSetup:
    """create-order and its starter, with clients that may fail."""

    resources: OrderResources
    machine: str
    states: FailingClient
    sns: FailingClient
    allowance: Allowance = UNLIMITED

    def starter(self, orders: Orders) -> WorkflowStarter:
        return WorkflowStarter(
            orders, self.states, self.sns, self.machine, self.resources.topic_arn
        )

    def order(
        self, orders: Orders, user_id: str, body: api.OrderRequest, key: str | None = None
    ) -> api.OrderDetails:
        headers = {} if key is None else {"idempotency-key": key}
        counter = CreateOrder(orders, self.starter(orders), self.allowance)
        response = counter.handle(request(user_id, body=body, headers=headers))
        details = response.body
        assert isinstance(details, api.OrderDetails)
        assert response.status == 201
        assert response.headers["location"] == f"/orders/{details.id}"
        return details

    def executions(self, order_id: str) -> list[str]:
        """The inputs of the order's executions."""
        arn = self.machine.replace(":stateMachine:", ":execution:") + f":{order_id}"
        states = self.resources.session.client("stepfunctions")
        try:
            return [states.describe_execution(executionArn=arn)["input"]]
        except states.exceptions.ExecutionDoesNotExist:
            return []


def refused(call: Callable[[], Any]) -> HttpProblem:
    with pytest.raises(HttpProblem) as caught:
        call()
    return caught.value


# -- create-order
