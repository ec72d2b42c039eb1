"""Log lines of functions."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from services.platform import log


@pytest.mark.parametrize("version", ["7", None])
def test_log_line_on_lambda_names_the_version(
    version: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if version is None:
        monkeypatch.delenv("AWS_LAMBDA_FUNCTION_VERSION", raising=False)
    else:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", version)
    log.configure("info")
    log.logger().warning("message_failed", reason="a reason")
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["level"], line.get("version")) == (
        "message_failed", "warning", version,
    )  # fmt: skip
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)
