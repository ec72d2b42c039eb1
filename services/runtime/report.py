"""The line that ends every invocation in the log, after Lambda's REPORT line."""

from __future__ import annotations

import math
from typing import Any

from services.runtime.execution import Invocation, Outcome


def report(function: str, memory_mib: int, invocation: Invocation, records: int) -> dict[str, Any]:
    """The fields of the report.

    Billed is what Lambda would bill: the duration and, of a cold start, the initialisation,
    rounded up to whole milliseconds: https://aws.amazon.com/lambda/pricing/
    """
    fields: dict[str, Any] = {
        "event": "report",
        "function": function,
        "request_id": invocation.request_id,
        "outcome": invocation.outcome.value,
        "records": records,
        "duration_ms": round(invocation.duration_ms, 2),
        "billed_duration_ms": math.ceil(invocation.duration_ms + invocation.init_ms),
        "memory_size_mib": memory_mib,
        "max_memory_used_mib": math.ceil(invocation.peak_mib),
        "cold": invocation.cold,
    }
    if invocation.cold:
        fields["init_duration_ms"] = round(invocation.init_ms, 2)
    if invocation.outcome is not Outcome.SUCCESS:
        fields["error_type"] = invocation.error_type
        fields["error_message"] = invocation.error_message
    return fields
