"""Metrics as log lines in CloudWatch's embedded metric format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.platform import metrics
from services.platform.metrics import LINE_START, Metric

Lines = list[dict[str, Any]]


def flushed(capsys: pytest.CaptureFixture[str]) -> Lines:
    metrics.flush("developer")
    texts = capsys.readouterr().out.splitlines()
    assert all(text.encode().startswith(LINE_START) for text in texts)
    return [json.loads(text) for text in texts]


def published(document: dict[str, Any]) -> dict[str, tuple[str, tuple[str, ...], Any]]:
    """What CloudWatch extracts: metric to unit, dimensions with values, and value. Fails where the
    line breaks the format's rules."""
    found = {}
    for directive in document["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == "Darkroom"
        (names,) = directive["Dimensions"]
        assert len(names) <= 30
        assert all(isinstance(document[name], str) for name in names)
        for metric in directive["Metrics"]:
            dimensions = tuple(f"{name}={document[name]}" for name in names)
            value = document[metric["Name"]]
            assert isinstance(value, int | float) or 1 <= len(value) <= 100
            assert metric["Name"] not in found
            found[metric["Name"]] = (metric["Unit"], dimensions, value)
    return found


def test_values_of_an_invocation_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.record(Metric.PHOTOS, outcome="developed", reason="none")
    metrics.record(Metric.PHOTO_BYTES, 1000)
    metrics.record(Metric.PHOTO_BYTES, 3000)
    (line,) = flushed(capsys)
    assert published(line) == {
        "Photos": (
            "Count",
            ("function=developer", "outcome=developed", "reason=none"),
            1,
        ),
        "PhotoBytes": ("Bytes", ("function=developer",), [1000, 3000]),
    }
    assert line["_aws"]["Timestamp"] > 1_700_000_000_000


def test_other_dimensions_of_a_metric_are_another_line(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.record(Metric.FAILED_EVENTS, outcome="retry")
    metrics.record(Metric.FAILED_EVENTS, outcome="dead_letter")
    metrics.record(Metric.FAILED_EVENTS, outcome="retry")
    lines = flushed(capsys)
    assert [published(line)["FailedEvents"][1:] for line in lines] == [
        (("function=developer", "outcome=retry"), [1, 1]),
        (("function=developer", "outcome=dead_letter"), 1),
    ]


def test_more_than_100_values_are_another_line(capsys: pytest.CaptureFixture[str]) -> None:
    for value in range(150):
        metrics.record(Metric.QUEUE_WAIT, value)
    assert [len(line["QueueWait"]) for line in flushed(capsys)] == [100, 50]


def test_flush_without_values_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.record(Metric.RETRIES)
    assert len(flushed(capsys)) == 1
    assert flushed(capsys) == []


def test_record_with_other_dimensions_is_refused() -> None:
    with pytest.raises(ValueError, match="Photos has the dimensions"):
        metrics.record(Metric.PHOTOS, outcome="developed")
    with pytest.raises(ValueError, match="Retries has the dimensions"):
        metrics.record(Metric.RETRIES, owner="ann")


def test_memory_is_recorded_when_it_grows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks = iter([100.0, 100.5, 140.25])
    monkeypatch.setattr(metrics, "peak_mib", lambda: next(peaks))
    monkeypatch.setattr(metrics, "_memory_written_mib", 0.0)
    for _ in range(3):
        metrics.record_memory()
    (line,) = flushed(capsys)
    assert published(line)["MemoryUsed"] == ("Megabytes", ("function=developer",), [100.0, 140.2])


def test_memory_of_this_process_is_its_peak() -> None:
    block = bytearray(64 * 1024 * 1024)
    block[::4096] = b"x" * len(block[::4096])
    assert metrics.peak_mib() > 64


def test_cold_start_has_the_time_since_the_start_of_the_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics.handler_ready()
    metrics.record_cold_start()
    found = published(flushed(capsys)[0])
    assert found["ColdStarts"] == ("Count", ("function=developer",), 1)
    unit, _, value = found["InitDuration"]
    assert unit == "Milliseconds"
    assert 0 < value < 3_600_000


def test_names_of_metrics_are_unique() -> None:
    names = [metric.value.name for metric in Metric]
    assert len(set(names)) == len(names)
