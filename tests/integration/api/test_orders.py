"""The routes of orders: valid and invalid requests of customers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import schemathesis

from services.build import openapi
from services.client.api import Api, ApiProblem
from services.local.state import LabState
from services.orders.model import TOTAL_MINOR_MAX, Product
from services.orders.products import Products
from tests.integration.api.conftest import Customer
from tests.integration.api.test_authorization import DELIVERY
from tests.integration.api.test_openapi import CHECKS
from tests.support.photos import jpeg, scene
from tests.support.waiting import HTTP_SECONDS, scaled

PRODUCT = "print-10x15-glossy"
# The payment provider is unavailable: the order stays open until it is cancelled.
WAITING = "sandbox-unavailable"
NO_ORDER = str(uuid.UUID(int=0))


@pytest.fixture(scope="module")
def anna(new_customer: Callable[..., Customer]) -> Customer:
    return new_customer()


@pytest.fixture(scope="module")
def berta(new_customer: Callable[..., Customer]) -> Customer:
    return new_customer()


@pytest.fixture(scope="module")
def image_id(anna: Customer, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("photo") / "annas.jpg"
    path.write_bytes(jpeg(scene(1300, 1900)))
    return str(anna.api.developed(anna.api.upload(path))["id"])


def lines(image_id: str, **changes: Any) -> list[dict[str, Any]]:
    return [{"product_id": PRODUCT, "image_id": image_id, "quantity": 1} | changes]


def order(api: Api, image_id: str, method: str = WAITING, key: str | None = None) -> dict[str, Any]:
    return api.order(lines(image_id), method, DELIVERY, key)


def refused(call: Callable[[], object]) -> ApiProblem:
    with pytest.raises(ApiProblem) as caught:
        call()
    return caught.value


def headers(customer: Customer) -> dict[str, str]:
    return {"authorization": f"Bearer {customer.api.token}"}


# -- access


def test_order_photo_of_another_customer_is_rejected(
    anna: Customer, berta: Customer, lab: LabState, image_id: str
) -> None:
    ended = berta.api.ended(order(berta.api, image_id, "sandbox-ok")["id"])
    assert ended["status"] == "rejected"
    # The same response as for an unknown order.
    none = berta.api.ended(order(berta.api, "0" * 32, "sandbox-ok")["id"])
    details = [
        o["history"][-1]["message"].replace(image_id, "").replace("0" * 32, "")
        for o in (ended, none)
    ]
    assert details[0] == details[1]


def test_orders_of_another_customer_are_not_found(
    anna: Customer, berta: Customer, image_id: str
) -> None:
    annas = order(anna.api, image_id)["id"]
    assert annas in {found["id"] for found in anna.api.orders()}
    assert annas not in {found["id"] for found in berta.api.orders()}
    for call in (berta.api.order_of, berta.api.cancel_order):
        assert refused(lambda call=call: call(annas)).slug == "order-not-found"  # type: ignore[misc]
    assert anna.api.order_of(annas)["status"] != "cancelled"
    # A cursor of one customer shows nothing of another.
    for _ in range(2):
        order(anna.api, image_id)
    url = f"{anna.api.url}/orders"
    page = httpx.get(
        url, params={"limit": "1"}, headers=headers(anna), timeout=scaled(HTTP_SECONDS)
    ).json()
    others = httpx.get(
        url,
        params={"cursor": page["next_cursor"]},
        headers=headers(berta),
        timeout=scaled(HTTP_SECONDS),
    ).json()
    assert annas not in {found["id"] for found in others["orders"]}


# -- idempotency keys


def test_order_repeated_key_returns_the_same_order(
    anna: Customer, berta: Customer, image_id: str
) -> None:
    key = uuid.uuid4().hex
    made = order(anna.api, image_id, key=key)
    assert order(anna.api, image_id, key=key)["id"] == made["id"]
    # Another payload, and the same key of another customer.
    problem = refused(lambda: anna.api.order(lines(image_id, quantity=2), WAITING, DELIVERY, key))
    assert (problem.status, problem.slug) == (422, "idempotency-key-reused")
    others = order(berta.api, image_id, key=key)
    assert others["id"] != made["id"]


def test_order_concurrent_repeated_key_creates_one_order(anna: Customer, image_id: str) -> None:
    key = uuid.uuid4().hex

    def send(_: int) -> httpx.Response:
        return httpx.post(
            f"{anna.api.url}/orders",
            json={"lines": lines(image_id), "payment_method": WAITING, "delivery": DELIVERY},
            headers=headers(anna) | {"idempotency-key": key},
            timeout=scaled(HTTP_SECONDS),
        )

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert [answer.status_code for answer in answers] == [201] * 6
    (one,) = {answer.json()["id"] for answer in answers}
    assert {answer.headers["location"] for answer in answers} == {f"/orders/{one}"}
    assert [found["id"] for found in anna.api.orders()].count(one) == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "ключ".encode(), b"\xff"])
def test_order_invalid_key_is_refused(anna: Customer, image_id: str, key: str | bytes) -> None:
    before = len(list(anna.api.orders()))
    raw = key if isinstance(key, bytes) else key.encode()
    answer = httpx.post(
        f"{anna.api.url}/orders",
        json={"lines": lines(image_id), "payment_method": WAITING, "delivery": DELIVERY},
        headers=[
            *[(k.encode(), v.encode()) for k, v in headers(anna).items()],
            (b"idempotency-key", raw),
        ],
        timeout=scaled(HTTP_SECONDS),
    )
    assert (answer.status_code, answer.json()["type"]) == (
        400, "urn:darkroom:problem:invalid-request",
    )  # fmt: skip
    (error,) = answer.json()["errors"]
    assert error["field"] == "Idempotency-Key"
    assert len(list(anna.api.orders())) == before


# -- refused orders


def test_order_unknown_products_are_named(anna: Customer, image_id: str) -> None:
    several = [*lines(image_id), *lines(image_id, product_id="never-sold"), *lines(image_id)]
    problem = refused(lambda: anna.api.order(several, WAITING, DELIVERY))
    assert problem.document["errors"] == [
        {
            "field": "lines[1].product_id",
            "code": "not-on-sale",
            "expected": "a product on sale",
            "got": '"never-sold"',
        }
    ]


def test_order_not_chargeable_is_refused(anna: Customer, lab: LabState, image_id: str) -> None:
    database = lab.database()
    dear, foreign = (f"t-{uuid.uuid4().hex[:12]}" for _ in range(2))
    facts = ("Test print", "matte", 100, 150)
    Products(database).offer_all(
        [
            (Product(dear, *facts, TOTAL_MINOR_MAX, "EUR"), 1),
            (Product(foreign, *facts, 1, "USD"), 1),
        ]
    )
    database.close()
    for several, code, got in (
        (
            lines(image_id, product_id=dear, quantity=100),
            "total-too-high",
            str(100 * TOTAL_MINOR_MAX),
        ),
        (
            lines(image_id) + lines(image_id, product_id=foreign),
            "several-currencies",
            "EUR, USD",
        ),
    ):
        problem = refused(lambda several=several: anna.api.order(several, WAITING, DELIVERY))  # type: ignore[misc]
        (error,) = problem.document["errors"]
        assert (problem.status, error["field"]) == (400, "lines")
        assert (error["code"], error["got"]) == (code, got)


# -- cancellation


def test_cancellation_is_idempotent_and_refused_after_printing(
    anna: Customer, image_id: str
) -> None:
    made = order(anna.api, image_id)
    cancelled = anna.api.cancel_order(made["id"])
    assert cancelled["status"] == "cancelled"
    again = anna.api.cancel_order(made["id"])
    assert again["history"] == cancelled["history"]
    printed = anna.api.ended(order(anna.api, image_id, "sandbox-ok")["id"])
    assert printed["status"] == "shipped"
    problem = refused(lambda: anna.api.cancel_order(printed["id"]))
    assert (problem.status, problem.slug) == (409, "order-not-cancellable")
    assert "shipped" in str(problem)


# -- pages


@pytest.mark.parametrize(
    "cursor", ["", "x", "=", "AAAA", "eyJhIjoxfQ", "WyJ4IiwieSJd", "x" * 301, "\0", "é"]
)
def test_orders_invalid_cursor_is_refused(anna: Customer, cursor: str) -> None:
    answer = httpx.get(
        f"{anna.api.url}/orders",
        params={"cursor": cursor},
        headers=headers(anna),
        timeout=scaled(HTTP_SECONDS),
    )
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == "cursor"


# -- OpenAPI document


def test_order_responses_match_the_openapi_document(anna: Customer, image_id: str) -> None:
    """Generated requests hardly ever create, read and cancel one order."""
    schema = schemathesis.openapi.from_dict(openapi.document())

    def ask(method: str, path: str, status: int, **values: Any) -> Any:
        case = schema[path][method].Case(**values)
        answer = case.call(
            base_url=anna.api.url, headers=headers(anna), timeout=scaled(HTTP_SECONDS)
        )
        case.validate_response(answer, checks=CHECKS)
        assert answer.status_code == status, answer.text
        return answer.json()

    wanted = lines(image_id, focus={"x": 0, "y": 1}, orientation="portrait")
    body = {"lines": wanted, "payment_method": WAITING, "delivery": DELIVERY}
    made = ask("POST", "/orders", 201, body=body, media_type="application/json")
    path = {"id": made["id"]}
    ask("GET", "/orders/{id}", 200, path_parameters=path)
    ask("GET", "/orders", 200, query={"limit": 1})
    ask("POST", "/orders/{id}/cancellation", 200, path_parameters=path)
    assert ask("GET", "/orders/{id}", 200, path_parameters=path)["status"] == "cancelled"
    ask("GET", "/products", 200)
    ask("GET", "/orders/{id}", 404, path_parameters={"id": NO_ORDER})
