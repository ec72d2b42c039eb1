"""Watches CloudWatch alarms while a new version has a share of the calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from services.platform.errors import TransientError

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
ALARMS_A_CALL = 100
POLL_SECONDS = 15.0
# Without a working watch the release must not go on.
FAILURES_ALLOWED = 3


class AlarmError(TransientError):
    """An alarm went off while it was watched, or could not be watched."""


@dataclass(frozen=True)
class Watch:
    """Alarms to watch. `cloudwatch` is a client; time and sleep are given for tests."""

    cloudwatch: Any
    names: tuple[str, ...]
    poll_seconds: float = POLL_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def in_alarm(self) -> tuple[str, ...]:
        """Names of those that are in alarm now. Raises AlarmError when one does not exist."""
        found: dict[str, str] = {}
        for start in range(0, len(self.names), ALARMS_A_CALL):
            answer = self.cloudwatch.describe_alarms(
                AlarmNames=list(self.names[start : start + ALARMS_A_CALL]),
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                MaxRecords=ALARMS_A_CALL,
            )
            for alarm in (*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())):
                found[alarm["AlarmName"]] = alarm["StateValue"]
        if missing := sorted(set(self.names) - found.keys()):
            raise AlarmError(
                f"expected the alarms {', '.join(missing)}, found none: apply Terraform first"
            )
        return tuple(sorted(name for name, state in found.items() if state == "ALARM"))

    def through(self, seconds: float, progress: Callable[[float], None]) -> None:
        """Returns after `seconds` in which no alarm went off. `progress` receives the seconds
        left. Raises AlarmError as soon as one did, or when CloudWatch does not answer."""
        until = self.clock() + seconds
        failures = 0
        while True:
            try:
                alarmed: Sequence[str] = self.in_alarm()
                failures = 0
            except (BotoCoreError, ClientError) as error:
                alarmed = ()
                failures += 1
                if failures >= FAILURES_ALLOWED:
                    raise AlarmError(f"the alarms cannot be watched: {error}") from error
            if alarmed:
                raise AlarmError(f"in alarm: {', '.join(alarmed)}")
            left = until - self.clock()
            if left <= 0 and not failures:
                return
            progress(max(0.0, left))
            self.sleep(min(self.poll_seconds, max(left, 1.0)))
