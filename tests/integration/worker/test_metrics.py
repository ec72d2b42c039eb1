"""What a worker serves over HTTP: metrics of its functions, and its health."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from services.local.emulator import Emulator
from services.runtime.metrics import CONTENT_TYPE
from tests.integration.worker.support import Queues, worker, write_function
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

WRITES_METRICS = """
    from services.platform import metrics
    from services.platform.functions.sqs import queue_function
    from services.platform.metrics import Metric

    def work(message):
        if message.body == "poison":
            raise ValueError("poisoned")
        metrics.record(Metric.PHOTOS, outcome="developed", reason="none")

    handler = queue_function(work)
"""


def test_worker_serves_metrics_of_its_function_and_its_health(
    queues: Queues, emulator: Emulator, tmp_path: Path
) -> None:
    folder = write_function(tmp_path / "developer", WRITES_METRICS)
    log = tmp_path / "worker.log"
    with worker(folder, queues, emulator.endpoint, log, WORKER_METRICS_PORT=0) as running:
        (served,) = running.await_event("metrics_served")
        address = f"http://127.0.0.1:{served['port']}"

        def metrics() -> str:
            with urllib.request.urlopen(f"{address}/metrics", timeout=scaled(HTTP_SECONDS)) as got:
                assert got.headers["content-type"] == CONTENT_TYPE
                return str(got.read().decode())

        queues.send("a", "b", "poison")
        wanted = 'darkroom_photos_total{function="developer",outcome="developed",reason="none"} 2\n'
        eventually(lambda: wanted in metrics(), "both photos are counted")
        eventually(
            lambda: 'darkroom_failed_events_total{function="developer",outcome=' in metrics(),
            "the poisoned message is counted",
        )
        text = metrics()
        assert 'darkroom_cold_starts_total{function="developer"} 1\n' in text
        assert 'darkroom_init_duration_seconds_count{function="developer"} 1\n' in text
        assert "darkroom_healthy 1\n" in text
        with urllib.request.urlopen(f"{address}/health", timeout=scaled(HTTP_SECONDS)) as got:
            document = json.load(got)
        assert document["status"] == "healthy"
        assert document["functions"]["developer"]["invocations"] >= 3
