"""Figures from CloudWatch metrics, log lines from CloudWatch Logs Insights.

Names of metrics: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html and
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.monitoring import insights
from services.monitoring.lab import LabConfiguration, Queue
from services.monitoring.telemetry import WINDOW_SECONDS, Health, Sample, Usage
from services.monitoring.trace import Line
from services.platform.errors import TransientError

# The limit of one GetMetricData call:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
_QUERIES_MAX = 500
_HOUR = 3600
_RECENT_SECONDS = 300
_SAMPLE_SECONDS = 60
_LOG_PREFIXES = ("/aws/lambda/", "/ecs/")
_TRACE_SECONDS = 24 * 3600
# Less than the function's timeout; a trace takes two queries.
_QUERY_SECONDS = 10.0
_COLD_START = '@message like /"cold_start": ?true/ | filter @message like /invocation_completed/'


@dataclass(frozen=True)
class _Series:
    """One metric of one function, and how it is aggregated."""

    function: str
    namespace: str
    metric: str
    dimension: str
    statistic: str
    period: int
    since: float


@dataclass(frozen=True)
class CloudWatch:
    """Reads with clients of CloudWatch and CloudWatch Logs. `metrics` makes the former: images of
    functions that read log lines only do not have it."""

    configuration: LabConfiguration
    metrics: Callable[[], Any]
    logs: Any
    # CloudWatch charges for each metric of a call, and has new values once a minute.
    refresh_seconds: int = 60

    def health(self, functions: Collection[str]) -> Mapping[str, Health]:
        now = time.time()
        wanted = {
            "invocations": ("Invocations", "Sum", WINDOW_SECONDS),
            "errors": ("Errors", "Sum", WINDOW_SECONDS),
            "p50": ("Duration", "p50", WINDOW_SECONDS),
            "p99": ("Duration", "p99", WINDOW_SECONDS),
            "in_flight": ("ConcurrentExecutions", "Maximum", _RECENT_SECONDS),
        }
        keys, series = [], []
        for function in functions:
            for kind, (metric, statistic, seconds) in wanted.items():
                keys.append((function, kind))
                series.append(
                    _Series(
                        function, "AWS/Lambda", metric, "FunctionName", statistic, seconds,
                        now - seconds,
                    )
                )  # fmt: skip
        values = dict(zip(keys, self._values(series, now), strict=True))
        cold_starts = self._cold_starts(now)
        found = {}
        for function in functions:
            # Periods begin at whole hours, so the window is in two of them.
            figures = {kind: [v for _, v in values[function, kind]] for kind in wanted}
            found[function] = Health(
                invocations=int(sum(figures["invocations"])),
                errors=int(sum(figures["errors"])),
                p50_ms=max(figures["p50"], default=None),
                p99_ms=max(figures["p99"], default=None),
                cold_starts=None if cold_starts is None else cold_starts[function],
                in_flight=int(max(figures["in_flight"], default=0)),
            )
        return found

    def usage(self, functions: Collection[str], since: float) -> Mapping[str, Usage]:
        # Periods of an hour begin at whole hours, as `since` does.
        series = [
            _Series(function, "AWS/Lambda", metric, "FunctionName", "Sum", _HOUR, since)
            for function in functions
            for metric in ("Invocations", "Duration")
        ]
        values = iter(self._values(series, time.time()))
        found = {}
        for function, calls, durations in zip(functions, values, values, strict=True):
            invocations = int(sum(value for _, value in calls))
            if invocations:
                found[function] = Usage(invocations, sum(value for _, value in durations))
        return found

    def history(self, queues: Mapping[str, Queue]) -> Mapping[str, Sequence[Sample]]:
        now = time.time()
        series = [
            _Series(
                function, "AWS/SQS", metric, "QueueName", "Maximum", _SAMPLE_SECONDS,
                now - WINDOW_SECONDS,
            )
            for function in queues
            for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage")
        ]  # fmt: skip
        values = iter(self._values(series, now))
        found = {}
        for function, waiting, ages in zip(queues, values, values, strict=True):
            age_at = dict(ages)
            found[function] = [
                Sample(at, int(depth), age_at.get(at) if depth else None) for at, depth in waiting
            ]
        return found

    def oldest_seconds(self, _queue: Queue) -> float | None:
        """None: the newest sample of the history has it."""
        return None

    def lines_about(self, identifier: str) -> Iterable[Line]:
        now = time.time()
        return insights.lines_about(
            self.logs, self._log_groups(), identifier, now - _TRACE_SECONDS, now,
            seconds=_QUERY_SECONDS,
        )  # fmt: skip

    def _cold_starts(self, now: float) -> Counter[str] | None:
        """Function to its cold starts in the window; None if the query took too long."""
        try:
            lines = insights.query(
                self.logs, self._log_groups(), _COLD_START, now - WINDOW_SECONDS, now,
                seconds=_QUERY_SECONDS,
            )  # fmt: skip
        except TransientError:
            return None
        return Counter(line.text("function") for line in lines if line.fields.get("cold_start"))

    def _log_groups(self) -> list[str]:
        """The log groups of the functions, on Lambda or on ECS, that exist."""
        names = {f"{self.configuration.prefix}-{name}" for name in self.configuration.functions}
        return [
            group["logGroupName"]
            for prefix in _LOG_PREFIXES
            for page in self.logs.get_paginator("describe_log_groups").paginate(
                logGroupNamePrefix=f"{prefix}{self.configuration.prefix}-"
            )
            for group in page["logGroups"]
            if group["logGroupName"].removeprefix(prefix) in names
        ]

    def _values(self, series: Sequence[_Series], until: float) -> list[list[tuple[float, float]]]:
        """The values of each series with their times, oldest first."""
        found: list[list[tuple[float, float]]] = [[] for _ in series]
        since = min((one.since for one in series), default=until)
        for first in range(0, len(series), _QUERIES_MAX):
            queries = [
                {"Id": f"m{first + n}", "MetricStat": self._statistic(one)}
                for n, one in enumerate(series[first : first + _QUERIES_MAX])
            ]
            pages = (
                self.metrics()
                .get_paginator("get_metric_data")
                .paginate(
                    MetricDataQueries=queries,
                    StartTime=since,
                    EndTime=until,
                    ScanBy="TimestampAscending",
                )
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    number = int(result["Id"].removeprefix("m"))
                    found[number] += [
                        (moment.timestamp(), value)
                        for moment, value in zip(
                            result["Timestamps"], result["Values"], strict=True
                        )
                        if moment.timestamp() + series[number].period > series[number].since
                    ]
        return found

    def _statistic(self, one: _Series) -> dict[str, Any]:
        name = f"{self.configuration.prefix}-{one.function}"
        return {
            "Metric": {
                "Namespace": one.namespace,
                "MetricName": one.metric,
                "Dimensions": [{"Name": one.dimension, "Value": name}],
            },
            "Period": one.period,
            "Stat": one.statistic,
        }
