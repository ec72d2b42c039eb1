"""The Lambda authorizer: payload format 2.0, simple answers, decisions kept by identity source.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

IDENTITY_HEADER = "authorization"
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
ANSWER_SECONDS = 10.0
# Each is a digest and a small context: some megabytes at most.
MAX_DECISIONS = 10_000


class AuthorizerError(Exception):
    """No decision: the authorizer failed, was late, or answered what cannot be read."""


class AuthorizerStartingError(AuthorizerError):
    """No decision yet: the authorizer's environment did not start in time."""


@dataclass(frozen=True)
class Decision:
    """What the authorizer said of a token."""

    allowed: bool
    context: Mapping[str, Any]


Ask = Callable[[bytes], Awaitable[bytes]]
"""Gives the authorizer an event and returns its answer, both JSON; raises AuthorizerError."""


class Authorizer:
    """Asks, and remembers for `cache_seconds`. For one event loop.

    As API Gateway: a decision holds for every route, since the token alone identifies it. Failures
    are not remembered. Requests that come with a token which is being asked about wait for that
    answer; without a cache each asks for itself.
    """

    def __init__(
        self,
        ask: Ask,
        cache_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        max_decisions: int = MAX_DECISIONS,
        starting: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ask = ask
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._max_decisions = max_decisions
        self._starting = starting
        self._kept: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Decision]] = {}

    async def decide(self, identity: str, event: Callable[[], bytes]) -> Decision:
        """The decision on a token; `event` makes the question, if it has to be asked. Raises
        AuthorizerError."""
        if self._cache_seconds <= 0:
            return await self._decision(event())
        # A digest, so that tokens neither lie around in memory nor decide how much of it is used.
        key = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
        kept = self._kept.get(key)
        if kept is not None:
            if kept[0] > self._clock():
                self._kept.move_to_end(key)
                return kept[1]
            del self._kept[key]
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._decide_and_keep(key, event()))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        # One client that goes away does not take the answer from the others.
        return await asyncio.shield(task)

    async def _decide_and_keep(self, key: bytes, event: bytes) -> Decision:
        decision = await self._decision(event)
        self._kept[key] = (self._clock() + self._cache_seconds, decision)
        while len(self._kept) > self._max_decisions:
            self._kept.popitem(last=False)
        return decision

    def _asked(self, key: bytes, task: asyncio.Task[Decision]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # retrieved, in case no request waits for it

    async def _decision(self, event: bytes) -> Decision:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._ask(event)
        except TimeoutError:
            message = f"no answer within {ANSWER_SECONDS:g} seconds"
            if self._starting():
                raise AuthorizerStartingError(message) from None
            raise AuthorizerError(message) from None
        return read_decision(answer)


def read_decision(answer: bytes) -> Decision:
    """A simple answer: {"isAuthorized": bool, "context": {...}}. Raises AuthorizerError."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):  # the latter for thousands of nested brackets
        raise AuthorizerError("expected JSON") from None
    allowed = document.get("isAuthorized") if isinstance(document, dict) else None
    if not isinstance(allowed, bool):
        raise AuthorizerError("expected isAuthorized to be true or false")
    context = document.get("context")
    if context is not None and not isinstance(context, dict):
        raise AuthorizerError("expected context to be an object")
    return Decision(allowed, context or {})
