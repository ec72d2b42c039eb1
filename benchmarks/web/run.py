"""How long the web page takes: until it can be used, and to scroll a grid of 5,000 photos.

    python -m benchmarks.web.run [--rounds N] [--json]

See README.md beside this file for the method.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, expect, sync_playwright

from services.local import lab as labs
from services.local.state import LabState
from tests.browser.conftest import OPTIONS, chromium
from tests.browser.test_budgets import PHOTOS, many_photos, wait_until
from tests.browser.visitors import sign_in

WINDOW_PIXELS = 850
# Records when the button for files is there, and every task of more than 50 ms.
_OBSERVE = """
    window.usable = 0; window.tasks = [];
    const look = () => {
      if (document.querySelector('.drop button')) usable = performance.now();
      else requestAnimationFrame(look);
    };
    look();
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) tasks.push(e.duration);
    }).observe({type: 'longtask', buffered: true});
"""


@dataclass(frozen=True)
class Figures:
    """Of one round, in milliseconds. `long_tasks` are those of more than 50 ms, waiting for a busy
    processor included; `cpu_of_steps` is the main thread's CPU time of each step of the scroll."""

    usable_ms: float
    cpu_of_steps: tuple[float, ...]
    long_tasks_of_load: tuple[float, ...]
    long_tasks_of_scroll: tuple[float, ...]


def measure(browser: Browser, lab: LabState) -> Figures:
    """One load of the page with `PHOTOS` photos, and one scroll from the first to the last."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1200, "height": WINDOW_PIXELS})
    page = context.new_page()
    page.goto(lab.api)
    sign_in(page, lab)
    page.add_init_script(_OBSERVE)
    page.route("**/images?*", many_photos)
    page.reload()
    wait_until(page, "usable > 0")
    usable = float(page.evaluate("usable"))
    page.get_by_label("Sort by").select_option("uploadedOldest")
    page.get_by_label(f"Select {PHOTOS - 1:04}.jpg").wait_for(state="attached")
    of_load = page.evaluate("tasks.splice(0)")
    height = page.evaluate("document.documentElement.scrollHeight")
    developer = context.new_cdp_session(page)
    developer.send("Performance.enable", {"timeDomain": "threadTicks"})
    cpu = [_cpu_ms(developer)]
    for top in range(0, height, WINDOW_PIXELS):
        page.evaluate(f"scrollTo(0, {top})")
        page.wait_for_timeout(16)
        cpu.append(_cpu_ms(developer))
    of_scroll = page.evaluate("tasks")
    context.close()
    steps = tuple(after - before for before, after in itertools.pairwise(cpu))
    return Figures(usable, steps, tuple(of_load), tuple(of_scroll))


def _cpu_ms(developer: CDPSession) -> float:
    """CPU time of the page's main thread in tasks until now, in milliseconds."""
    metrics = developer.send("Performance.getMetrics")["metrics"]
    return 1000 * float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def main() -> None:
    """Prints the medians of all rounds, or every round as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    expect.set_options(timeout=60_000)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder) / "lab"
        lab = labs.up(root)
        try:
            browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
            rounds = [measure(browser, lab) for _ in range(options.rounds)]
            browser.close()
        finally:
            labs.down(root)
    if options.json:
        print(json.dumps([asdict(one) for one in rounds]))
        return
    usable = statistics.median(one.usable_ms for one in rounds)
    print(f"usable after {usable:.0f} ms (median of {len(rounds)})")
    steps = [step for one in rounds for step in one.cpu_of_steps]
    print(
        f"CPU of a scroll's step: median {statistics.median(steps):.1f} ms, most {max(steps):.1f}"
    )
    for what in ("long_tasks_of_load", "long_tasks_of_scroll"):
        found = [getattr(one, what) for one in rounds]
        longest = max((max(tasks, default=0.0) for tasks in found), default=0.0)
        counts = ", ".join(str(len(tasks)) for tasks in found)
        print(f"{what.replace('_', ' ')}: {counts}; the longest {longest:.0f} ms")


if __name__ == "__main__":
    main()
