"""get-trace: answers GET /operations/traces/{id}."""

from __future__ import annotations

from dataclasses import dataclass

from services.monitoring import api
from services.monitoring.telemetry import Telemetry
from services.monitoring.trace import NotInLogs, Story, iso, tell
from services.platform.functions.http import HttpProblem, Request, Response


@dataclass(frozen=True)
class GetTrace:
    """Reports what all functions did for one photo, order or request."""

    telemetry: Telemetry

    def handle(self, request: Request) -> Response:
        """Returns 200 with the trace. Raises HttpProblem 404 if no log line has the id."""
        wanted: api.TraceParameters = request.parameters
        try:
            story = tell(list(self.telemetry.lines_about(wanted.id)), wanted.id)
        except NotInLogs as error:
            raise HttpProblem(api.TRACE_NOT_FOUND, str(error)) from None
        return Response(200, _trace(story))


def _trace(story: Story) -> api.Trace:
    return api.Trace(
        id=story.id,
        correlation_ids=list(story.correlation_ids),
        began=iso(story.began),
        duration_ms=round((story.ended - story.began) * 1000, 1),
        spans=[
            api.TraceSpan(
                function=span.function,
                began=iso(span.began),
                duration_ms=span.duration_ms,
                init_ms=span.init_ms,
                outcome=span.outcome,
                cold_start=span.cold_start,
                attempt=span.attempt,
                request_id=span.request_id,
            )
            for span in story.spans
        ],
        events=[
            api.TraceEvent(
                at=iso(event.at),
                function=event.function,
                event=event.name,
                details=dict(event.details),
            )
            for event in story.events
        ],
    )
