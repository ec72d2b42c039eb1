"""Log lines from CloudWatch Logs Insights.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from services.monitoring.log_reading import as_line
from services.monitoring.trace import Line, related_ids
from services.platform.errors import PermanentError, TransientError

# The service's limits for one query:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
GROUPS_MAX = 50
LINES_MAX = 10_000
QUERY_SECONDS = 120.0
_POLL_SECONDS = 0.5
_RUNNING = frozenset({"Scheduled", "Running", "Unknown"})
_ID = re.compile(r"[A-Za-z0-9._:=@+/-]{1,256}")


def lines_about(
    logs: Any,
    groups: Sequence[str],
    identifier: str,
    since: float,
    until: float,
    pause: Callable[[float], None] = time.sleep,
    seconds: float = QUERY_SECONDS,
) -> list[Line]:
    """The lines about `identifier` from `since` to `until` (seconds since the epoch).

    The first query finds lines with the id; the second finds all lines with the correlation ids,
    invocations and requests of those. `logs` is a client of CloudWatch Logs. Raises PermanentError
    for a text that is no id, TransientError for a query that fails or takes longer than `seconds`.
    """
    if _ID.fullmatch(identifier) is None:
        raise PermanentError(f"expected an id, got {identifier!r}")
    found = _about(logs, groups, [identifier], since, until, pause, seconds)
    related = sorted(i for i in related_ids(found, identifier) if _ID.fullmatch(i))
    if not related:
        return found
    return _about(logs, groups, related, since, until, pause, seconds)


def _about(
    logs: Any,
    groups: Sequence[str],
    ids: Sequence[str],
    since: float,
    until: float,
    pause: Callable[[float], None],
    seconds: float,
) -> list[Line]:
    condition = " or ".join(f'@message like "{identifier}"' for identifier in ids)
    return query(logs, groups, condition, since, until, pause, seconds)


def query(
    logs: Any,
    groups: Sequence[str],
    condition: str,
    since: float,
    until: float,
    pause: Callable[[float], None] = time.sleep,
    seconds: float = QUERY_SECONDS,
) -> list[Line]:
    """The lines for which `condition` holds, in order of time, LINES_MAX of GROUPS_MAX groups at
    most. Raises TransientError for a query that fails or takes longer than `seconds`."""
    text = f"fields @timestamp, @message | filter {condition} | sort @timestamp asc"
    found: list[Line] = []
    for first in range(0, len(groups), GROUPS_MAX):
        started = logs.start_query(
            logGroupNames=list(groups[first : first + GROUPS_MAX]),
            startTime=int(since),
            endTime=int(until) + 1,
            queryString=text,
            limit=LINES_MAX,
        )
        found += _lines(_results(logs, started["queryId"], pause, seconds))
    return sorted(found, key=lambda line: line.at)


def _results(
    logs: Any, query_id: str, pause: Callable[[float], None], seconds: float
) -> Iterable[Any]:
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        answer = logs.get_query_results(queryId=query_id)
        if answer["status"] == "Complete":
            results: list[Any] = answer["results"]
            return results
        if answer["status"] not in _RUNNING:
            raise TransientError(f"the query of CloudWatch Logs Insights: {answer['status']}")
        pause(_POLL_SECONDS)
    raise TransientError(f"CloudWatch Logs Insights did not answer within {seconds:g} s")


def _lines(results: Iterable[Any]) -> Iterable[Line]:
    for row in results:
        fields = {cell["field"]: cell["value"] for cell in row}
        # Insights returns UTC as `2026-11-27 12:00:00.123`.
        at = datetime.fromisoformat(fields["@timestamp"]).replace(tzinfo=UTC).timestamp()
        line = as_line(fields.get("@message", ""), at)
        if line is not None:
            yield line
