"""The sandbox provider without its HTTP: what it takes, and that its threads never wait for each
other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.local.payment_sandbox import Bank, Book, Method, Notices, Status

SECRET = "whsec_of_the_lab"
WANTED = {
    "order_id": "order-1",
    "amount_minor": 1995,
    "currency": "EUR",
    "payment_method": Method.OK.value,
}


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    book = Book(tmp_path / "book.sqlite")
    # Nobody sends them: the test says when one was taken.
    yield Bank(book, 5.0, Notices(book, "http://127.0.0.1:9/notices", SECRET))
    book._sql.close()


def opened(bank: Bank, **wanted: object) -> str:
    answer = bank.open(WANTED | wanted, None)
    assert answer.status == 201
    return str(answer.document["id"])


@pytest.mark.parametrize(
    "wanted",
    [
        None, [], "payment", {},
        *[{name: value for name, value in WANTED.items() if name != left} for left in WANTED],
        *[WANTED | {"amount_minor": amount}
          for amount in (19.95, 1995.0, "1995", True, 0, -1, None)],
        *[WANTED | {name: value} for name in ("order_id", "currency", "payment_method")
          for value in ("", None, 7, ["EUR"])],
    ],
)  # fmt: skip
def test_what_is_no_payment_is_refused(bank: Bank, wanted: Any) -> None:
    """An amount is never made to fit: 19.95 is not 19."""
    assert bank.open(wanted, "key").status == 400
    assert bank.payments(None).document == {"payments": []}


def test_a_method_that_is_not_known_is_declined(bank: Bank) -> None:
    assert bank.open(WANTED | {"payment_method": "pm_card_visa"}, None).status == 402


def test_the_same_key_is_the_same_payment_and_nothing_else(bank: Bank) -> None:
    first, second = bank.open(WANTED, "key"), bank.open(WANTED, "key")
    assert (first.status, second.status) == (201, 200)
    assert first.document == second.document
    for other in ({"amount_minor": 1}, {"order_id": "order-2"}, {"currency": "CHF"}):
        answer = bank.open(WANTED | other, "key")
        assert (answer.status, answer.document["code"]) == (400, "key_reused")


@pytest.mark.parametrize(
    ("steps", "statuses", "end"),
    [
        (["confirm", "confirm", "cancel", "refund", "refund"], [200, 200, 409, 200, 200],
         Status.CHARGED),
        (["cancel", "confirm", "cancel", "refund"], [200, 409, 200, 400], Status.CANCELLED),
        (["refund", "confirm"], [400, 200], Status.CHARGED),
    ],
)  # fmt: skip
def test_the_ways_of_a_payment(
    bank: Bank, steps: list[str], statuses: list[int], end: Status
) -> None:
    payment = opened(bank)
    assert [getattr(bank, step)(payment).status for step in steps] == statuses
    assert bank._payment(payment)["status"] == end


@pytest.mark.parametrize("step", ["confirm", "cancel", "refund"])
def test_a_payment_that_there_is_not(bank: Bank, step: str) -> None:
    assert getattr(bank, step)("pay_0").status == 404


def test_whoever_waits_for_a_notice_keeps_nobody_from_the_book(bank: Bank) -> None:
    """A charge that waits for its webhook, and another that has one sent meanwhile."""
    waited = bank.notices.add("payment.received", WANTED | {"id": "pay_1"}, 1)
    with bank.book.transaction():
        waits = threading.Thread(target=bank.notices.wait_for, args=(waited, 5.0), daemon=True)
        waits.start()
        waits.join(0.2)
        # What adding a notice takes, with the book in hand.
        free = bank.notices._changed.acquire(timeout=2)
        assert free, "whoever waits holds the one, and waits for the other"
        bank.notices._changed.release()
    bank.book.execute("DELETE FROM notices")
    waits.join(5)
    assert not waits.is_alive()


def test_a_notice_that_is_not_taken_is_not_waited_for_for_ever(bank: Bank) -> None:
    waited = bank.notices.add("payment.received", WANTED | {"id": "pay_1"}, 1)
    bank.notices.wait_for(waited, 0.1)


def test_the_secret_is_not_shown(bank: Bank) -> None:
    assert SECRET not in repr(bank)
