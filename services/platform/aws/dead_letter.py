"""Why a message is dead: the SQS message attributes that every dead letter carries.

The queue wrapper (permanent errors) and the worker (crashes, timeouts) write them; the operator's
tools read them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from services.platform import timestamps

REASON: Final = "reason"
ERROR_TYPE: Final = "error_type"
REQUEST_ID: Final = "request_id"
ATTEMPTS: Final = "attempts"
FUNCTION: Final = "function"
FAILED_AT: Final = "failed_at"
# On a message that a person sent back to its queue, after looking into it.
REPLAYED: Final = "replayed"
NAMES: Final = (REASON, ERROR_TYPE, REQUEST_ID, ATTEMPTS, FUNCTION, FAILED_AT)

# Attributes count towards the size of the message, whose body must still fit.
REASON_MAX_CHARACTERS: Final = 1024


def attributes(
    reason: str,
    error_type: str,
    request_id: str,
    attempts: int,
    function: str,
    failed_at: datetime | None = None,
) -> dict[str, dict[str, str]]:
    """`MessageAttributes` for SQS SendMessage; `failed_at` is now unless given.

    SQS refuses empty values and most control characters, so an empty text becomes "unknown" and
    characters it does not take become "?":
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    texts = {
        REASON: _shortened(reason),
        ERROR_TYPE: error_type,
        REQUEST_ID: request_id,
        FUNCTION: function,
        FAILED_AT: timestamps.format_utc(failed_at or datetime.now(UTC)),
    }
    return {
        **{name: {"DataType": "String", "StringValue": _taken(v)} for name, v in texts.items()},
        ATTEMPTS: {"DataType": "Number", "StringValue": str(attempts)},
    }


def _shortened(text: str) -> str:
    if len(text) <= REASON_MAX_CHARACTERS:
        return text
    return text[: REASON_MAX_CHARACTERS - 1] + "…"


def _taken(text: str) -> str:
    """`text` in the characters that SQS takes: #x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD and up."""
    kept = "".join(
        c
        if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
        else "?"
        for c in text
    )
    return kept or "unknown"
