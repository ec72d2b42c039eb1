"""Names of log events, and the pages about them."""

from __future__ import annotations

import re
from pathlib import Path

from services.build.log_events import log_events

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "logs.md"
EVENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def test_log_events_are_in_snake_case() -> None:
    events = log_events(ROOT)
    assert "invocation_completed" in events
    assert {event for event in events if not EVENT.fullmatch(event)} == set()


def test_events_of_the_page_about_log_lines_exist() -> None:
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "services").rglob("*.py")
    )
    text = PAGE.read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]*) \|", text[text.index("## Events of functions") :], re.M)
    listed = {name for cell in cells for name in re.findall(r"`([a-z0-9_]+)`", cell)}
    assert listed
    assert {name for name in listed if f'"{name}"' not in sources} == set()
