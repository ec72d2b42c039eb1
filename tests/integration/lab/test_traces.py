"""A lab that keeps traces: one trace of a photo, and its metrics for Prometheus."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from services.local import develop, logs
from services.local import lab as labs
from services.local.options import LabOptions
from services.local.state import LabFiles
from services.monitoring import spans
from services.platform.manifest import Feature
from services.platform.otlp import trace_id
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

pytestmark = pytest.mark.slow

STEPS = ["fetch", "develop", "inspect", "decode", "render large jpeg", "store", "announce"]


def test_trace_of_a_photo_has_every_step_and_its_metrics_are_served(tmp_path: Path) -> None:
    photo = tmp_path / "one.png"
    Image.new("RGB", (2400, 1800), "teal").save(photo)
    state = labs.up(tmp_path / "lab", LabOptions(features=(Feature.PHOTOS,), traces=True))
    files = LabFiles(tmp_path / "lab")
    try:
        (outcome,) = develop.develop_all(state, [photo])
        assert outcome.developed
        eventually(files.traces.exists, "the spans are exported")
        ids = {
            str(line.fields["correlation_id"])
            for line in logs.read(files, function="process-image")
            if line.fields is not None and "correlation_id" in line.fields
        }
        wanted = frozenset(map(trace_id, ids))
        names = [span.name for span in spans.read(files.traces.read_text().splitlines(), wanted)]
        assert names[0] == "process-image"
        assert [name for name in names if name in STEPS] == STEPS
        assert {"S3.GetObject", "S3.PutObject", "SNS.Publish"} <= set(names)
        with urllib.request.urlopen(
            state.metrics["worker"], timeout=scaled(HTTP_SECONDS)
        ) as answer:
            metrics = answer.read().decode()
        assert (
            'darkroom_photos_total{function="process-image",outcome="developed",reason="none"} 1\n'
            in metrics
        )
        assert 'darkroom_upload_to_developed_seconds_count{function="process-image"} 1' in metrics
    finally:
        labs.down(tmp_path / "lab")
