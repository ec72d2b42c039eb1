"""The report says what happened, and first whether all is well."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from services.load_test import plots, report, summary
from services.load_test.figures import figures
from services.load_test.reconciliation import reconcile
from services.load_test.unconfirmed_emails import UnconfirmedEmail, Verdict

from .examples import event, observations
from .test_figures import run


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of the page of `run()`."""
    done = run()
    return report.write(done, figures(done), tmp_path_factory.mktemp("report")).read_text()


def test_page_is_self_contained_and_begins_with_verdict(written: str) -> None:
    assert "3 photos, nothing lost, nothing doubled." in written.split("</title>")[0]
    assert "nothing\u00a0doubled." in written.split("</h1>")[0]
    assert written.count("<svg") == 8 * len(plots.Size)
    without_namespaces = re.sub(r'xmlns(:xlink)?="http://www.w3.org/[0-9a-z/]+"', "", written)
    for outside in ("http://", "https://", "<script", "@import", "url("):
        assert outside not in without_namespaces, outside
    assert "What is wrong" not in written


def test_page_of_short_run_says_that_price_leaves_out_cold_starts(written: str) -> None:
    assert written.count("a million photos, x86_64, without cold starts") == 1
    assert "fewer than 100 invocations" in written.split("A million photos on Lambda</h2>")[1]


def test_page_with_discrepancies_escapes_them() -> None:
    found = observations()
    reconciliation = reconcile(replace(found, mails=(*found.mails, "<unknown>")))
    done = run(reconciliation=reconciliation)
    text = report.page(done, figures(done))
    assert '<h1 class="bad">3\u00a0photos:\u00a01\u00a0doubled.</h1>' in text
    assert "&lt;unknown&gt;" in text
    assert "<unknown>" not in text


def test_json_report_has_the_same_figures(tmp_path: Path) -> None:
    done = run(
        unconfirmed_emails=(
            UnconfirmedEmail(event(0), Verdict.SENT),
            UnconfirmedEmail(event(1), Verdict.REPLAYED),
        )
    )
    report.write(done, figures(done), tmp_path)
    read = json.loads((tmp_path / "report.json").read_text())
    assert read["balanced"] is True
    assert read["books"]["uploaded"] == 3
    assert [d["verdict"] for d in read["in_doubt"]] == ["was sent", "was not sent: replayed"]
    assert read["figures"]["latency"]["p50"] == 3.0
    assert read["kills"] == [{"at": 3.0, "worker": "process-image-1"}]
    assert len(read["latency_seconds"]) == 3


def test_page_of_empty_run_is_written() -> None:
    from services.load_test.worker_log import WorkerLogs

    done = run(uploads=(), samples=(), kills=(), seen={}, logs=WorkerLogs((), {}, {}, 0))
    assert "<svg" in report.page(done, figures(done))


def test_summary_shows_unconfirmed_emails_and_discrepancies() -> None:
    found = observations()
    reconciliation = reconcile(replace(found, mails=found.mails[:2]))
    done = run(
        reconciliation=reconciliation,
        unconfirmed_emails=(UnconfirmedEmail(event(1), Verdict.REPLAYED),),
    )
    out = io.StringIO()
    summary.show(done, figures(done), Console(file=out, width=200))
    text = out.getvalue()
    assert "3 photos: 1 lost." in text
    assert "unconfirmed e-mails that were not sent, replayed once" in text
    assert "e-mail lost" in text
