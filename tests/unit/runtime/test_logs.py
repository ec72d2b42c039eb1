"""A handler's output: passed on, wrapped, cut and bounded."""

from __future__ import annotations

import json
import os
from typing import Any

from services.runtime.logs import BURST_BYTES, BYTES_PER_SECOND, MAX_LINE_BYTES, LogPump
from tests.support.clock import Clock


class Feed:
    """A pump that is fed by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lines: list[bytes] = []
        self.pump = LogPump(-1, "developer", self.lines.append, self.clock)
        self.pump.request_id = "r-1"

    def __call__(self, *pieces: bytes) -> list[Any]:
        for piece in pieces:
            self.pump.feed(piece)
        found = [json.loads(line) for line in self.lines]
        self.lines.clear()
        return found


def test_json_passes_as_it_is() -> None:
    feed = Feed()
    feed.pump.feed(b'{"event":  "kept as written"}\n')
    assert feed.lines == [b'{"event":  "kept as written"}']


def test_words_become_json_with_the_request_id() -> None:
    (line,) = Feed()(b"plain words\n")
    assert line["event"] == "plain words"
    assert (line["request_id"], line["function"], line["level"]) == ("r-1", "developer", "info")


def test_what_only_looks_like_json_is_wrapped() -> None:
    lines = Feed()(b"{not json}\n", b'{"a":' * 9000 + b"\n", b"[1]\n", b"\xff\xfe\n")
    assert [line["event"][:6] for line in lines] == ["{not j", '{"a":{', "[1]", "��"]


def test_pieces_become_lines() -> None:
    assert [line["event"] for line in Feed()(b"one", b" line\nand", b" another\n\n\nopen")] == [
        "one line",
        "and another",
    ]


def test_a_long_line_is_cut_once() -> None:
    lines = Feed()(b"x" * 60_000, b"x" * 60_000, b"x" * 60_000, b"end\nnext\n")
    assert [line["event"][:4] for line in lines] == ["xxxx", "next"]
    assert len(lines[0]["event"]) == MAX_LINE_BYTES
    assert lines[0]["truncated"] is True


def test_too_much_is_dropped_and_counted() -> None:
    feed = Feed()
    line = b"y" * 1023 + b"\n"
    passed = feed(*[line] * (BURST_BYTES // 1024 + 100))
    assert len(passed) == BURST_BYTES // 1024
    feed.clock.now += 10
    dropped, after = feed(b"after\n")
    assert dropped["event"] == "output_dropped"
    assert dropped["bytes"] == 100 * 1024
    assert after["event"] == "after"


def test_the_bound_is_a_rate() -> None:
    feed = Feed()
    chunk = b"z" * 65535 + b"\n"
    feed(*[chunk] * 100)
    feed.clock.now += 2
    passed = [line for line in feed(*[chunk] * 100) if line["event"].startswith("z")]
    assert len(passed) == 2 * BYTES_PER_SECOND // 65536


def test_a_line_that_lost_its_beginning_is_not_passed_off_as_whole() -> None:
    feed = Feed()
    feed(*[b"z" * 65535 + b"\n"] * (BURST_BYTES // 65536))
    feed(b"beginning ")
    feed.clock.now += 10
    events = [line["event"] for line in feed(b"end\nwhole\n")]
    assert events == ["output_dropped", "whole"]


def test_a_real_pipe_is_in_the_log_when_it_has_caught_up() -> None:
    read_end, write_end = os.pipe()
    lines: list[bytes] = []
    pump = LogPump(read_end, "developer", lines.append)
    pump.start()
    for number in range(50):
        os.write(write_end, b"a\nb\nc\n" * 500)
        pump.catch_up()
        assert len(lines) == (number + 1) * 1500
    os.write(write_end, b"without an end")
    os.close(write_end)
    pump.join()
    assert json.loads(lines[-1])["event"] == "without an end"
