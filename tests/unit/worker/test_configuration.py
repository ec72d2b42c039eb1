"""Mistakes are reported together, before anything is received."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.platform.errors import ConfigurationError
from services.runtime.exit_codes import ExitCode
from services.worker.__main__ import main
from services.worker.configuration import queue_address, single
from services.worker.supervisor import Worker

URL = "http://127.0.0.1:4566/000000000000/photos"


def function(folder: Path, trigger: str = "") -> Path:
    (folder / "handler.py").write_text("def handler(event, context): pass\n")
    (folder / "function.yaml").write_text(
        "description: For a test.\nfeature: photos\nmemory_mib: 128\ntimeout_seconds: 3\n"
        "budgets: {image_mib_over_base: 1, init_kib: 1, init_ms: 1}\n" + trigger
    )
    return folder


TRIGGER = (
    "trigger: {queue: {batch_size: 1, batch_window_seconds: 0, maximum_concurrency: 2, "
    "max_receive_count: 4, sources: []}}\n"
)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        single(
            tmp_path,
            {
                "WORKER_QUEUE_URL": "photos",
                "WORKER_CONCURRENCY": "0",
                "WORKER_VISIBILITY_SECONDS": "soon",
            },
        )
    text = str(caught.value)
    for expected in (
        "WORKER_CONCURRENCY",
        "WORKER_VISIBILITY_SECONDS must be a whole number, got 'soon'",
        "function.yaml",
        "handler.py",
        "AWS_REGION",
        "WORKER_QUEUE_URL must be a queue URL",
    ):
        assert expected in text


def test_a_function_without_a_queue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no queue trigger"):
        single(function(tmp_path), {"WORKER_QUEUE_URL": URL, "AWS_REGION": "eu-west-1"})


def test_a_worker_is_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAX_RECEIVE_COUNT", raising=False)
    plan = single(
        function(tmp_path, TRIGGER),
        {
            "WORKER_QUEUE_URL": URL,
            "WORKER_DEAD_LETTER_QUEUE_URL": URL + "-dead",
            "WORKER_CONCURRENCY": "3",
            "WORKER_FUNCTION_NAME": "developer",
            "AWS_REGION": "eu-west-1",
        },
    )
    worker = Worker(plan)
    assert len(worker.pollers) == 3
    (planned,) = plan.functions
    assert planned.function.name == "developer"
    assert planned.function.arn == "arn:aws:lambda:eu-west-1:000000000000:function:developer"
    assert planned.function.variables["MAX_RECEIVE_COUNT"] == "4"
    assert planned.function.variables["DEAD_LETTER_QUEUE_URL"] == URL + "-dead"
    assert "QUEUE_URL" not in planned.function.variables


def test_fair_function_gets_the_address_of_its_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUEUE_URL", raising=False)
    trigger = TRIGGER.replace("sources: []", "sources: [], fair: true")
    variables = {"WORKER_QUEUE_URL": URL, "AWS_REGION": "eu-west-1"}
    (planned,) = single(function(tmp_path, trigger), variables).functions
    assert planned.function.variables["QUEUE_URL"] == URL


@pytest.mark.parametrize(
    ("url", "region", "arn"),
    [
        (
            "https://sqs.eu-west-1.amazonaws.com/123456789012/photos",
            "eu-west-1",
            "arn:aws:sqs:eu-west-1:123456789012:photos",
        ),
        (URL + "/", "us-east-1", "arn:aws:sqs:us-east-1:000000000000:photos"),
        (
            "https://sqs.cn-north-1.amazonaws.com.cn/1/q",
            "cn-north-1",
            "arn:aws-cn:sqs:cn-north-1:1:q",
        ),
        ("https://sqs/1/q", "us-gov-west-1", "arn:aws-us-gov:sqs:us-gov-west-1:1:q"),
    ],
)
def test_the_arn_is_composed_of_the_url(url: str, region: str, arn: str) -> None:
    assert queue_address(url, region).arn == arn


@pytest.mark.parametrize("url", ["photos", "http://host", "http://host/photos", URL + ".fifo"])
def test_a_url_that_is_none_of_a_standard_queue(url: str) -> None:
    with pytest.raises(ValueError, match="queue"):
        queue_address(url, "eu-west-1")


def test_wrong_configuration_has_its_exit_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--function", str(tmp_path)], {}) == ExitCode.CONFIGURATION
    assert "WORKER_QUEUE_URL" in capfd.readouterr().out


def test_health_is_the_files_age(tmp_path: Path) -> None:
    import os
    import time

    file = tmp_path / "health"
    environ = {"WORKER_HEALTH_FILE": str(file)}
    assert main(["health"], {}) == ExitCode.CONFIGURATION
    assert main(["health"], environ) == ExitCode.FAILED
    file.touch()
    assert main(["health"], environ) == ExitCode.DRAINED
    os.utime(file, (time.time() - 60, time.time() - 60))
    assert main(["health"], environ) == ExitCode.FAILED
