"""Distinguishes an unavailable AWS service from an invalid request, without importing botocore."""

from __future__ import annotations

import sys
from typing import Any

# Errors that pass, by the services' codes:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_PASSING = frozenset(
    {
        "InternalError",
        "InternalServerError",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


def is_transient(error: BaseException) -> bool:
    """Whether `error` is botocore's for a service that does not answer, or not now."""
    # A function that never called AWS has not imported it, and cannot have failed in it.
    exceptions: Any = sys.modules.get("botocore.exceptions")
    if exceptions is None:
        return False
    if isinstance(error, exceptions.ClientError):
        response: dict[str, Any] = error.response
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or response.get("Error", {}).get("Code") in _PASSING
    return isinstance(
        error, exceptions.HTTPClientError | exceptions.ConnectionError | exceptions.ChecksumError
    )
