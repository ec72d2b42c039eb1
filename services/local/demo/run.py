"""The demo: develops photos on an embedded lab, orders prints, and shows every result."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from services.local import develop, lab
from services.local.demo import walkthrough
from services.local.demo.contact_sheet import Sheet, write_html, write_png
from services.local.demo.samples.photos import sample_photos
from services.local.develop import Outcome, UploadOptions
from services.local.mailbox import SentMail, sent_mails
from services.local.state import LabState
from services.local.terminal import (
    develop_with_progress,
    page,
    people,
    show_outcomes,
    shown_path,
)
from services.platform.checkout import require_checkout, state_folder

FOLDER = state_folder() / "demo"
MAIL_WAIT_SECONDS = 60
_MAILS_SHOWN = 2


@dataclass
class _Clock:
    """The durations of the demo's steps, in seconds."""

    began: float = field(default_factory=time.monotonic)
    steps: list[tuple[str, float]] = field(default_factory=list)
    _mark: float = field(default_factory=time.monotonic)

    def lap(self, step: str) -> None:
        now = time.monotonic()
        self.steps.append((step, now - self._mark))
        self._mark = now

    @property
    def total(self) -> float:
        return time.monotonic() - self.began


def run(photos_folder: Path | None) -> int:
    """Runs the demo on sample photos, or on those in `photos_folder`. Returns the exit code: 0,
    also if photos were rejected, since the samples include some that must be.

    The results are in FOLDER, which they replace when they are complete: a demo that fails leaves
    the last one's results as they are. Raises PermanentError if `photos_folder` has no photos.
    """
    require_checkout("the demo")
    clock = _Clock()
    if photos_folder is not None:
        photos = develop.find_photos([photos_folder])
    else:
        with people.status("preparing the sample photos"):
            photos = sample_photos()
        clock.lap("preparing the sample photos")
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="demo-", dir=FOLDER.parent))
    try:
        _make(photos, draft, clock)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return 0


def _make(photos: Sequence[Path], draft: Path, clock: _Clock) -> None:
    """Develops `photos` and writes the results to `draft`, then replaces FOLDER by it."""
    with ExitStack() as stack:
        # The lab ends first when the demo fails; then the customer's next call fails at once.
        visitors = stack.enter_context(ThreadPoolExecutor(1))
        with people.status("starting the lab: emulator, Postgres, mailbox, workers, API"):
            state = stack.enter_context(lab.temporary_lab())
        people.print(f"the lab is ready at {state.endpoint}")
        clock.lap("starting the lab")
        mails_before = len(sent_mails(Path(state.mail_folder)))
        visitor = _Visitor(state, visitors)
        outcomes = develop_with_progress(state, photos, UploadOptions(), visitor.order_first)
        clock.lap(f"developing {len(photos)} photos")
        for outcome in outcomes:
            if outcome.record is not None:
                develop.download(state, outcome.record, draft / "renditions")
        with people.status("a new customer's calls to the API"):
            visit = visitor.visit()
        orders = visit.orders if visit else ()
        prints = [develop.download_prints(state, o["id"], draft / "prints") for o in orders]
        expected = len(outcomes) + sum(map(walkthrough.mails_about, orders))
        expected += walkthrough.CUSTOMER_MAILS if visit else 0
        mails = _wait_for_mails(state, mails_before, expected)
        clock.lap("the rest of a new customer's calls to the API")
        sheet = Sheet(
            tuple(outcomes),
            mails,
            draft,
            tuple(clock.steps),
            tuple(path for made in prints for path in made),
        )
        write_html(sheet, draft / "index.html")
        write_png(sheet, draft / "contact-sheet.png")
        clock.lap("the contact sheet")
    clock.lap("stopping the lab")
    shutil.rmtree(FOLDER, ignore_errors=True)
    draft.rename(FOLDER)
    FOLDER.chmod(0o755)
    show_outcomes(outcomes)
    _show_mails(mails)
    if visit:
        walkthrough.show(visit, state.api)
    _show_timings(outcomes, clock)


class _Visitor:
    """A new customer, who orders prints of the first developed photo while others are developed."""

    def __init__(self, state: LabState, pool: ThreadPoolExecutor) -> None:
        self._state, self._pool = state, pool
        self._visit: Future[walkthrough.Visit] | None = None

    def order_first(self, outcome: Outcome) -> None:
        """Starts the visit if this is the first developed photo with a known extension."""
        known = outcome.path.suffix.lower() in (".jpg", ".jpeg", ".png", ".heic")
        if self._visit is None and outcome.developed and known:
            self._visit = self._pool.submit(
                walkthrough.walk, self._state.api, Path(self._state.mail_folder), outcome.path
            )

    def visit(self) -> walkthrough.Visit | None:
        """The visit when it is over; None if there was no photo to order. Raises TransientError or
        PermanentError when a call failed."""
        return self._visit.result() if self._visit is not None else None


def _wait_for_mails(state: LabState, before: int, expected: int) -> tuple[SentMail, ...]:
    """The e-mails of this demo; fewer than `expected` if they do not arrive in time."""
    give_up_at = time.monotonic() + MAIL_WAIT_SECONDS
    while True:
        mails = sent_mails(Path(state.mail_folder))[before:]
        if len(mails) >= expected or time.monotonic() > give_up_at:
            return mails
        time.sleep(0.1)


def _show_mails(mails: Sequence[SentMail]) -> None:
    page.print(f"\n[bold]{len(mails)} e-mails were sent[/], for example:")
    rejected = [mail for mail in mails if "could not" in mail.subject]
    developed = [mail for mail in mails if mail not in rejected]
    for mail in (developed[:1] + rejected[:1]) or list(mails[:_MAILS_SHOWN]):
        page.print(
            Panel(
                escape(mail.text.strip()),
                title=escape(mail.subject),
                subtitle=escape(f"to {mail.recipient}"),
                width=min(page.width, 90),
            )
        )


def _show_timings(outcomes: Sequence[Outcome], clock: _Clock) -> None:
    table = Table("step", "seconds", box=None, pad_edge=False, header_style="bold")
    table.columns[1].justify = "right"
    for step, seconds in (*clock.steps, ("total", clock.total)):
        table.add_row(step, f"{seconds:.1f}")
    page.print(table)
    developed = sum(outcome.developed for outcome in outcomes)
    page.print(
        f"\n[bold]{developed} developed, {len(outcomes) - developed} rejected.[/] "
        f"Open [bold]{shown_path(FOLDER / 'index.html')}[/] or "
        f"[bold]{shown_path(FOLDER / 'contact-sheet.png')}[/]."
    )
