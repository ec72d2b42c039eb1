"""The log of one invocation, in every wrapper."""

from dataclasses import dataclass
from typing import Any

import pytest

from services.platform.functions import invocation
from services.platform.functions.invocation import plain_function
from tests.support.log_lines import events


@dataclass
class Context:
    aws_request_id: str = "request-1"
    function_name: str = "example"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture(autouse=True)
def _new_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_first", True)


def ends(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = events(capsys.readouterr().out)
    return [line for line in lines if line["event"] == "invocation_completed"]


def test_plain_function_logs_duration_and_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    assert plain_function(lambda event: event)({"a": 1}, Context()) == {"a": 1}
    (end,) = ends(capsys)
    assert (end["function"], end["request_id"], end["outcome"]) == (
        "example", "request-1", "success",
    )  # fmt: skip
    assert end["duration_ms"] >= 0


def test_plain_function_that_raises_logs_the_error_and_raises(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work(_: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        plain_function(work)({}, Context())
    (end,) = ends(capsys)
    assert (end["outcome"], end["error_type"]) == ("error", "ValueError")


def test_only_the_first_invocation_is_a_cold_start(capsys: pytest.CaptureFixture[str]) -> None:
    handler = plain_function(lambda _: {})
    for _ in range(3):
        handler({}, Context())
    assert [end["cold_start"] for end in ends(capsys)] == [True, False, False]


def test_invocation_after_a_warmer_is_no_cold_start(capsys: pytest.CaptureFixture[str]) -> None:
    handler = plain_function(lambda _: {})
    assert handler({"warmer": True}, Context()) == {"warm": True}
    handler({}, Context())
    assert [end["cold_start"] for end in ends(capsys)] == [False]
