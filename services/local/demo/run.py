"""`make demo`: photos through a lab, then a contact sheet, the e-mails and the timings."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from services.local import develop, lab
from services.local.demo import tour
from services.local.demo.contact_sheet import Sheet, write_html, write_png
from services.local.demo.samples.photos import make_sample_photos
from services.local.develop import Outcome
from services.local.mailbox import SentMail, sent_mails
from services.local.state import PROJECT, LabState
from services.local.terminal import (
    develop_with_progress,
    page,
    people,
    show_outcomes,
    shown_path,
)

FOLDER = PROJECT / ".darkroom" / "demo"
MAIL_WAIT_SECONDS = 30
_MAILS_SHOWN = 2


def run(photos_folder: Path | None) -> int:
    """Runs the demo; the exit code, 0 also when photos were rejected: the demo means to show it.

    Everything it makes is in `.darkroom/demo`, which is emptied first.
    """
    began = time.monotonic()
    for made in ("renditions", "prints"):
        shutil.rmtree(FOLDER / made, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    timings: list[tuple[str, float]] = []

    def timed(what: str, since: float) -> float:
        now = time.monotonic()
        timings.append((what, now - since))
        return now

    if photos_folder is None:
        with people.status("making sample photos"):
            shutil.rmtree(FOLDER / "photos", ignore_errors=True)
            (FOLDER / "photos").mkdir()
            photos = make_sample_photos(FOLDER / "photos")
        people.print(f"made {len(photos)} sample photos in {shown_path(FOLDER / 'photos')}")
        mark = timed("making the sample photos", began)
    else:
        photos = develop.find_photos([photos_folder])
        mark = began
    with ExitStack() as stack:
        with people.status("starting the lab: emulator, Postgres, mailbox, workers, API"):
            state = stack.enter_context(lab.temporary_lab())
        people.print(f"the lab is ready at {state.endpoint}")
        mark = timed("starting the lab", mark)
        mails_before = len(sent_mails(Path(state.mail_folder)))
        outcomes = develop_with_progress(state, photos, keep_location=False)
        mark = timed(f"developing {len(photos)} photos", mark)
        _wait_for_mails(state, mails_before, len(outcomes))
        mark = timed("waiting for the last e-mail", mark)
        for outcome in outcomes:
            if outcome.record is not None:
                develop.download(state, outcome.record, FOLDER / "renditions")
        with people.status("a new customer at the API") as status:
            chosen = _photo_for_the_tour(outcomes)
            visit = (
                tour.take(state.api, chosen, lambda s: status.update(s.call)) if chosen else None
            )
        orders = visit.orders if visit else ()
        prints = [develop.download_prints(state, o["id"], FOLDER / "prints") for o in orders]
        expected = len(outcomes) + sum(map(tour.mails_about, orders)) + bool(visit)
        mails = _wait_for_mails(state, mails_before, expected)
        mark = timed("a new customer's way through the API", mark)
        sheet = Sheet(
            tuple(outcomes),
            mails,
            FOLDER,
            tuple(timings),
            tuple(path for made in prints for path in made),
        )
        write_html(sheet, FOLDER / "index.html")
        write_png(sheet, FOLDER / "contact-sheet.png")
        mark = timed("the contact sheet", mark)
    timed("stopping the lab", mark)
    show_outcomes(outcomes)
    _show_mails(mails)
    if visit:
        tour.show(visit, state.api)
    _show_timings(outcomes, timings, time.monotonic() - began)
    return 0


def _photo_for_the_tour(outcomes: Sequence[Outcome]) -> Path | None:
    """A photo that develops, with a name that tells its type; None where there is none."""
    for outcome in outcomes:
        if outcome.developed and outcome.path.suffix.lower() in (".jpg", ".jpeg", ".png", ".heic"):
            return outcome.path
    return None


def _wait_for_mails(state: LabState, before: int, expected: int) -> tuple[SentMail, ...]:
    """The e-mails of this run; fewer than `expected` when they do not come in time."""
    give_up_at = time.monotonic() + MAIL_WAIT_SECONDS
    while True:
        mails = sent_mails(Path(state.mail_folder))[before:]
        if len(mails) >= expected or time.monotonic() > give_up_at:
            return mails
        time.sleep(0.1)


def _show_mails(mails: Sequence[SentMail]) -> None:
    page.print(f"\n[bold]{len(mails)} e-mails were sent[/], such as:")
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


def _show_timings(
    outcomes: Sequence[Outcome],
    timings: Sequence[tuple[str, float]],
    total: float,
) -> None:
    table = Table("what", "seconds", box=None, pad_edge=False, header_style="bold")
    table.columns[1].justify = "right"
    for what, seconds in (*timings, ("in all", total)):
        table.add_row(what, f"{seconds:.1f}")
    page.print(table)
    developed = sum(outcome.developed for outcome in outcomes)
    page.print(
        f"\n[bold]{developed} developed, {len(outcomes) - developed} rejected.[/] "
        f"Look at [bold]{shown_path(FOLDER / 'index.html')}[/] and "
        f"[bold]{shown_path(FOLDER / 'contact-sheet.png')}[/]."
    )
