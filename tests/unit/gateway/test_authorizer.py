"""The authorizer's decisions: asked once, kept for a while, never made up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.gateway import authorizer as module
from services.gateway.authorizer import (
    Authorizer,
    AuthorizerError,
    AuthorizerStartingError,
    Decision,
    read_decision,
)


class Asked:
    """Answers {"isAuthorized": true} with the event's text as context."""

    def __init__(self, answer: Callable[[bytes], Awaitable[bytes]] | None = None) -> None:
        self.events: list[bytes] = []
        self._answer = answer

    async def __call__(self, event: bytes) -> bytes:
        self.events.append(event)
        await asyncio.sleep(0.01)
        if self._answer is not None:
            return await self._answer(event)
        return json.dumps({"isAuthorized": True, "context": {"asked": event.decode()}}).encode()


def decide(authorizer: Authorizer, token: str) -> Awaitable[Decision]:
    return authorizer.decide(token, token.encode)


def test_concurrent_requests_with_one_token_ask_once() -> None:
    asked = Asked()

    async def run() -> None:
        authorizer = Authorizer(asked, 30)
        tokens = ["a", "b"] * 50
        decisions = await asyncio.gather(*(decide(authorizer, token) for token in tokens))
        assert [d.context["asked"] for d in decisions] == tokens

    asyncio.run(run())
    assert sorted(asked.events) == [b"a", b"b"]


def test_a_decision_is_kept_for_its_time() -> None:
    asked, now = Asked(), [0.0]

    async def run() -> None:
        authorizer = Authorizer(asked, 30, lambda: now[0])
        await decide(authorizer, "a")
        now[0] = 29.9
        await decide(authorizer, "a")
        assert len(asked.events) == 1
        now[0] = 30.0
        await decide(authorizer, "a")

    asyncio.run(run())
    assert len(asked.events) == 2


def test_without_a_cache_each_request_asks() -> None:
    asked = Asked()

    async def run() -> None:
        authorizer = Authorizer(asked, 0)
        await asyncio.gather(*(decide(authorizer, "a") for _ in range(3)))

    asyncio.run(run())
    assert len(asked.events) == 3


def test_the_least_used_decisions_go_first() -> None:
    asked = Asked()

    async def run() -> None:
        authorizer = Authorizer(asked, 30, max_decisions=2)
        for token in ("a", "b", "a", "c", "a", "b"):
            await decide(authorizer, token)

    asyncio.run(run())
    assert asked.events == [b"a", b"b", b"c", b"b"]


def test_a_client_that_goes_away_does_not_take_the_answer_along() -> None:
    asked = Asked()

    async def run() -> None:
        authorizer = Authorizer(asked, 30)
        first = asyncio.ensure_future(decide(authorizer, "a"))
        second = asyncio.ensure_future(decide(authorizer, "a"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).allowed

    asyncio.run(run())
    assert len(asked.events) == 1


def test_failures_reach_everybody_and_are_not_kept() -> None:
    async def fails(event: bytes) -> bytes:
        raise AuthorizerError("away")

    asked = Asked(fails)

    async def run() -> None:
        authorizer = Authorizer(asked, 30)
        waiting = [asyncio.ensure_future(decide(authorizer, "a")) for _ in range(3)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [AuthorizerError] * 3
        with pytest.raises(AuthorizerError):
            await decide(authorizer, "a")

    asyncio.run(run())
    assert len(asked.events) == 2


def test_an_answer_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(event: bytes) -> bytes:
        await asyncio.sleep(60)
        return b""

    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)

    async def run() -> None:
        with pytest.raises(AuthorizerError, match="no answer within"):
            await decide(Authorizer(Asked(never), 30), "a")

    asyncio.run(run())


def test_a_decision_may_be_no() -> None:
    assert read_decision(b'{"isAuthorized": false}') == Decision(False, {})
    assert read_decision(b'{"isAuthorized": true, "context": null}') == Decision(True, {})


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"isAuthorized": "true"}',
        b'{"isAuthorized": 1}',
        b'{"isAuthorized": true, "context": []}',
        b"[" * 100_000,
    ],
)
def test_answers_that_are_no_decision(answer: bytes) -> None:
    with pytest.raises(AuthorizerError):
        read_decision(answer)


def test_nothing_else_is_a_decision() -> None:
    values: list[Any] = [None, 0, "", [], {}]
    for value in values:
        with pytest.raises(AuthorizerError):
            read_decision(json.dumps({"isAuthorized": value}).encode())


@pytest.mark.parametrize(
    ("starting", "error"), [(True, AuthorizerStartingError), (False, AuthorizerError)]
)
def test_late_decision_of_an_environment_that_starts_is_an_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch, starting: bool, error: type[AuthorizerError]
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.01)

    async def ask(_event: bytes) -> bytes:
        await asyncio.sleep(10)
        return b""

    authorizer = Authorizer(ask, 0, starting=lambda: starting)
    with pytest.raises(AuthorizerError) as raised:
        asyncio.run(authorizer.decide("Bearer ann", lambda: b"{}"))
    assert type(raised.value) is error
