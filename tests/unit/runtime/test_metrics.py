"""Metrics of functions in Prometheus' text format."""

from __future__ import annotations

import json
import re

import pytest

from services.platform import metrics
from services.platform.metrics import Metric
from services.runtime.metrics import SERIES_MAX, Registry, exposition, prometheus_name
from services.runtime.status import FunctionStatus

# https://prometheus.io/docs/instrumenting/exposition_formats/#comments-help-text-and-type-information
SAMPLE = re.compile(r'[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? [0-9.e+-]+')


def line(capsys: pytest.CaptureFixture[str], function: str = "developer") -> bytes:
    metrics.flush(function)
    return capsys.readouterr().out.strip().encode()


def test_lines_of_functions_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    registry = Registry()
    for milliseconds in (40, 40, 7000):
        metrics.record(Metric.PHOTOS, outcome="developed", reason="none")
        metrics.record(Metric.QUEUE_WAIT, milliseconds)
        metrics.record(Metric.MEMORY_USED, milliseconds / 10)
        registry.observe(line(capsys))
    text = registry.text()
    assert 'darkroom_photos_total{function="developer",outcome="developed",reason="none"} 3' in text
    assert 'darkroom_queue_wait_seconds_bucket{function="developer",le="0.05"} 2' in text
    assert 'darkroom_queue_wait_seconds_bucket{function="developer",le="10"} 3' in text
    assert 'darkroom_queue_wait_seconds_bucket{function="developer",le="+Inf"} 3' in text
    assert 'darkroom_queue_wait_seconds_sum{function="developer"} 7.08' in text
    assert 'darkroom_memory_used_bytes{function="developer"} 734003200' in text
    samples = [one for one in text.splitlines() if not one.startswith("#")]
    assert all(SAMPLE.fullmatch(one) for one in samples)


def test_lines_of_others_are_ignored() -> None:
    registry = Registry()
    foreign = {
        "_aws": {"CloudWatchMetrics": [{"Metrics": [{"Name": "Foreign"}, {"Name": ["x"]}]}]},
        "Foreign": 1,
    }
    for text in (
        json.dumps(foreign, separators=(",", ":")),
        '{"_aws":1}',
        '{"_aws":',
        '{"event":"email_sent"}',
        '{"_aws":' + "[" * 100_000,
        '{"_aws":{"CloudWatchMetrics":[{"Metrics":[{"Name":"Photos"}]}]},"Photos":"many"}',
    ):
        registry.observe(text.encode())
    assert [one for one in registry.text().splitlines() if not one.startswith("#")] == [
        'darkroom_photos_total{function="None",outcome="None",reason="None"} 0'
    ]


def test_series_of_a_metric_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    registry = Registry()
    for number in range(SERIES_MAX + 10):
        metrics.record(Metric.EMAILS, outcome=f"x{number}")
        registry.observe(line(capsys))
    assert registry.text().count("darkroom_emails_total{") == SERIES_MAX


def test_label_values_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    registry = Registry()
    metrics.record(Metric.EMAILS, outcome='a"b\\c\nd')
    registry.observe(line(capsys))
    assert r'outcome="a\"b\\c\nd"' in registry.text()


def test_exposition_has_the_state_of_each_function() -> None:
    status = FunctionStatus("developer")
    status.environment_started()
    status.invocation_started()
    text = exposition([status], healthy=False)
    assert "darkroom_healthy 0\n" in text
    assert 'darkroom_environments{function="developer"} 1\n' in text
    assert 'darkroom_environments_busy{function="developer"} 1\n' in text


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (Metric.PHOTOS, "darkroom_photos_total"),
        (Metric.UPLOAD_TO_DEVELOPED, "darkroom_upload_to_developed_seconds"),
        (Metric.PHOTO_BYTES, "darkroom_photo_bytes"),
        (Metric.MEMORY_USED, "darkroom_memory_used_bytes"),
    ],
)
def test_names_have_the_base_unit(metric: Metric, name: str) -> None:
    assert prometheus_name(metric.value) == name
