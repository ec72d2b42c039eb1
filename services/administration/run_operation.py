"""run-operation: runs an operation of an operator at the database, which nothing outside reaches.

IAM decides who may invoke it. Every operation leaves a log event `operation_completed` or
`operation_refused` with the operator. The operator's name comes from the command that invokes the
function, so it is a statement and no proof: the proof is CloudTrail's data event of the request id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from services.accounts.model import Role
from services.accounts.reset_second_factor import SecondFactorReset
from services.accounts.roles import change_role
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.administration.offers import read_offers
from services.orders.products import Products
from services.platform import log
from services.platform.errors import PermanentError
from services.platform.idempotency import Claim, Completed, IdempotencyStore
from services.platform.validation import InvalidInputError, convert

T = TypeVar("T", bound=msgspec.Struct)
IDEMPOTENCY_PREFIX = "run-operation/"


class Operation(StrEnum):
    OFFER_PRODUCTS = "offer-products"
    CHANGE_ROLE = "change-role"
    RESET_SECOND_FACTOR = "reset-second-factor"


class RefusedError(PermanentError):
    """The operation cannot be done; the message says why. Nothing was changed."""


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An event. A repetition with the same `id` is not done again; it gets the first result."""

    id: Annotated[str, Meta(min_length=8, max_length=64)]
    operator: Annotated[str, Meta(min_length=1, max_length=200)]
    operation: Operation
    arguments: dict[str, Any]


class _ChangeRole(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    email: Annotated[str, Meta(min_length=3, max_length=254)]
    role: Role


class _ResetSecondFactor(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    email: Annotated[str, Meta(min_length=3, max_length=254)]


@dataclass(frozen=True)
class RunOperation:
    """Runs operations. `operations` does the work of each: it takes the arguments, and returns the
    result and the facts to log, which contain no personal data."""

    operations: Mapping[Operation, Callable[[Mapping[str, Any]], tuple[Any, dict[str, Any]]]]
    store: IdempotencyStore

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """Runs the operation of the event, a `Request`.

        Returns `{"result": ...}`, or `{"refused": MESSAGE}` when the request is invalid or the
        operation cannot be done. Raises TransientError when the database is unavailable, and
        AlreadyInProgressError while the same request runs.
        """
        try:
            request = convert(event, Request)
        except InvalidInputError as error:
            return _refused(_mistakes(error))
        payload = {"operation": request.operation.value, "arguments": request.arguments}
        log.bind(operation=request.operation.value, operation_id=request.id)
        claim = self.store.claim(f"{IDEMPOTENCY_PREFIX}{request.id}", payload)
        if isinstance(claim, Completed):
            result: dict[str, Any] = claim.result
            return result
        if claim.takes_over:
            return _refused("an earlier attempt ended without a result; see what it did first")
        return self._run(request, claim)

    def _run(self, request: Request, claim: Claim) -> dict[str, Any]:
        logger = log.logger()
        try:
            result, facts = self.operations[request.operation](request.arguments)
        except PermanentError as error:
            self.store.release(claim)
            logger.warning("operation_refused", operator=request.operator)
            return _refused(str(error))
        logger.info("operation_completed", operator=request.operator, **facts)
        done = {"result": result}
        self.store.complete(claim, done)
        return done


def operations(
    products: Products, users: Users, sessions: SessionStore, factors: SecondFactorReset
) -> dict[Operation, Callable[[Mapping[str, Any]], tuple[Any, dict[str, Any]]]]:
    """What each operation does."""

    def offer_products(arguments: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        offers = read_offers(arguments.get("products"), "products")
        products.offer_all(offers)
        ids = [product.id for product, _ in offers]
        return ids, {"products": ids, "delivered": sum(delivered for _, delivered in offers)}

    def change(arguments: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        wanted = _converted(arguments, _ChangeRole)
        user = change_role(users, sessions, wanted.email, wanted.role)
        if user is None:
            raise RefusedError(f"{wanted.email!r} has no account")
        found = {"id": user.id, "email": user.email, "role": user.role.value}
        return found, {"user_id": user.id, "role": user.role.value}

    def reset(arguments: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        wanted = _converted(arguments, _ResetSecondFactor)
        found = factors.reset(wanted.email)
        if found is None:
            raise RefusedError(f"{wanted.email!r} has no account")
        user, removed = found
        facts = {"user_id": user.id, "removed": removed}
        return {"id": user.id, "email": user.email, "removed": removed}, facts

    return {
        Operation.OFFER_PRODUCTS: offer_products,
        Operation.CHANGE_ROLE: change,
        Operation.RESET_SECOND_FACTOR: reset,
    }


def _converted(arguments: Mapping[str, Any], wanted: type[T]) -> T:
    """The arguments as a Struct. Raises RefusedError."""
    try:
        return convert(dict(arguments), wanted)
    except InvalidInputError as error:
        raise RefusedError(_mistakes(error)) from error


def _mistakes(error: InvalidInputError) -> str:
    return "; ".join(f"{e.field}: expected {e.expected}, got {e.got}" for e in error.errors)


def _refused(message: str) -> dict[str, Any]:
    return {"refused": message}
