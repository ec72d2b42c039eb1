"""CPU time and peak memory of Darkroom's renditions against sharp's and pyvips's. See README.md.

python -m benchmarks.renditions.run [--rounds 15] [--photos 12]

Writes figures/speed.json; `python -m benchmarks.renditions.report` makes the tables and the plot.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.renditions.contestants import (
    DARKROOM,
    FORMS,
    HERE,
    Answer,
    Contestant,
    prepare_sharp,
)
from benchmarks.renditions.sources import KINDS, Source, make_sources

WARM_UP_ROUNDS = 2
RARE_EVERY = 5
FORMATS = (("jpeg",), ("jpeg", "webp"))
SPEED = HERE / "figures" / "speed.json"


def measure(photo: Path, formats: tuple[str, ...], rounds: int) -> dict[str, list[Answer]]:
    """The answers of every form. They take turns, so that other work on the machine disturbs all
    alike. Rounds to warm up are left out."""
    contestants = {form: Contestant(form, formats) for form in FORMS}
    answers: dict[str, list[Answer]] = {form.name: [] for form in FORMS}
    for number in range(-WARM_UP_ROUNDS, rounds):
        for form, contestant in contestants.items():
            if form.rare and number > 0 and number % RARE_EVERY:
                continue
            answer = contestant.develop(photo)
            if number >= 0:
                answers[form.name].append(answer)
    for contestant in contestants.values():
        contestant.stop()
    return answers


def summary(answers: dict[str, list[Answer]]) -> dict[str, Any]:
    """Medians of one photo, and the ratio to sharp's form with the least CPU time, by round."""
    forms = {
        name: {
            "cpu_ms": round(statistics.median(a.cpu_ms for a in found), 1),
            "peak_mib": round(max(a.peak_mib for a in found), 1),
            "kilobytes": round(found[0].bytes / 1000, 1),
        }
        for name, found in answers.items()
    }
    often = [f.name for f in FORMS if f.program == "sharp" and not f.rare]
    best = min(often, key=lambda name: forms[name]["cpu_ms"])
    ours = answers[DARKROOM.name]
    return {
        "forms": forms,
        "sharp_best": best,
        "cpu_ms_by_round": [round(a.cpu_ms, 1) for a in ours],
        "sharp_cpu_ms_by_round": [round(a.cpu_ms, 1) for a in answers[best]],
        "memory_ratio": round(forms[DARKROOM.name]["peak_mib"] / forms[best]["peak_mib"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--photos", type=int, default=12)
    options = parser.parse_args()
    prepare_sharp()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        sources: list[Source] = make_sources(Path(folder))[: options.photos]
        for kind in KINDS:
            for formats in FORMATS:
                for source in sources:
                    answers = measure(source.files[kind], formats, options.rounds)
                    found = summary(answers)
                    ratio = statistics.median(
                        a / b
                        for a, b in zip(
                            found["cpu_ms_by_round"], found["sharp_cpu_ms_by_round"], strict=True
                        )
                    )
                    print(f"{source.name}, {kind}, {formats}: {ratio:.2f}", file=sys.stderr)
                    results.append(
                        {
                            "photo": source.name,
                            "kind": kind,
                            "formats": "+".join(formats),
                            "source_bytes": source.files[kind].stat().st_size,
                            **found,
                        }
                    )
    SPEED.parent.mkdir(exist_ok=True)
    text = json.dumps({"rounds": options.rounds, "results": results}, indent=1)
    SPEED.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
