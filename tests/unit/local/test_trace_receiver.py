"""The lab's receiver of traces, and what `darkroom trace` makes of them."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local import trace_receiver
from services.monitoring import spans
from services.platform import tracing
from services.platform.otlp import Recorder, trace_id
from services.platform.tracing import Kind
from tests.support.waiting import HTTP_SECONDS, scaled


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[str]:
    server = trace_receiver.make_server(tmp_path / "traces.jsonl", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_spans_of_two_functions_are_one_tree(
    receiver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for function in ("request-upload", "process-image"):
        recorder = Recorder(receiver, {}, function)
        monkeypatch.setattr(tracing, "_recorder", lambda recorder=recorder: recorder)
        with tracing.invocation(function, Kind.SERVER):
            tracing.follow("upload-1", origin=function == "request-upload")
            with tracing.span(f"step of {function}"):
                pass
    exports = (tmp_path / "traces.jsonl").read_text().splitlines()
    assert len(exports) == 2
    wanted = frozenset([trace_id("upload-1")])
    found = spans.read([*exports, "no JSON", '{"resourceSpans": 1}'], wanted)
    assert [(span.depth, span.name) for span in found] == [
        (0, "request-upload"),
        (1, "step of request-upload"),
        (1, "process-image"),
        (2, "step of process-image"),
    ]
    assert spans.read(exports, frozenset([trace_id("another")])) == ()
    text = spans.waterfall(found, 80)
    assert [line.split()[0] for line in text.splitlines()][::2] == [
        "request-upload",
        "process-image",
    ]
    assert all(len(line) <= 80 for line in text.splitlines())
    picture = ET.fromstring(spans.picture(found, "a <photo>"))
    assert "process-image" in {element.text for element in picture.iter()}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/v1/traces", b"no JSON", 400), ("/v1/logs", b"{}", 404), ("/v1/traces", b"", 404)],
)
def test_what_is_no_export_is_refused(
    receiver: str, tmp_path: Path, path: str, body: bytes, status: int
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(receiver + path, body, timeout=scaled(HTTP_SECONDS))
    with caught.value as error:
        assert error.code == status
    assert not (tmp_path / "traces.jsonl").exists()


def test_every_line_is_one_export(receiver: str, tmp_path: Path) -> None:
    body = json.dumps({"resourceSpans": []}, indent=2).encode()
    for _ in range(2):
        request = urllib.request.Request(f"{receiver}/v1/traces", body)
        with urllib.request.urlopen(request, timeout=scaled(HTTP_SECONDS)) as answer:
            assert answer.status == 200
    assert (tmp_path / "traces.jsonl").read_text() == '{"resourceSpans":[]}\n' * 2
