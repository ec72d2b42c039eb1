"""Compares the facts that Darkroom reads with what exiftool reads: see README.md."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.imaging.develop import develop
from services.imaging.model import Facts, PhotoRejected, Recipe, RenditionSpec

RECIPE = Recipe((RenditionSpec("thumb", 64),))
# Exif and GPS first, then XMP and IPTC, as Darkroom does; not the makers' notes and composites.
ARGUMENTS = ("-json", "-n", "-G0:1", "-EXIF:all", "-XMP:all", "-IPTC:all")

Tags = dict[str, Any]


def text(value: Any) -> str | None:
    """Text as Darkroom states it: printable characters without blanks at the ends."""
    return "".join(c for c in str(value) if c.isprintable()).strip() or None


def first(tags: Tags, *names: str) -> Any:
    """The first of `names` that `tags` has, in the order of groups that Darkroom has."""
    for name in names:
        for key, value in tags.items():
            group, _, tag = key.rpartition(":")
            # The second directory of EXIF is that of the embedded thumbnail.
            if tag == name and "IFD1" not in group and value not in ("", None):
                return value
    return None


def number(value: Any) -> float | None:
    """A finite number above zero."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) and found > 0 else None


def camera(tags: Tags) -> str | None:
    """Maker and model, without the maker's name twice."""
    make, model = (text(first(tags, name) or "") for name in ("Make", "Model"))
    if make and model and not model.lower().startswith(make.split()[0].lower()):
        return f"{make} {model}"
    return model or make


def taken_at(tags: Tags) -> str | None:
    """The time to the second, without its offset, of the first tag that has one."""
    for name in ("DateTimeOriginal", "CreateDate", "DateCreated", "ModifyDate"):
        value = str(first(tags, name) or "")[:19]
        if len(value) == 19 and value[:4].isdigit() and value[:4] != "0000":
            return value[:10].replace(":", "-") + "T" + value[11:]
    return None


def position(tags: Tags) -> str | None:
    """Latitude and longitude to four places."""
    pair: list[float] = []
    for name, negative in (("GPSLatitude", "S"), ("GPSLongitude", "W")):
        value, reference = first(tags, name), str(first(tags, f"{name}Ref") or "")
        if not isinstance(value, int | float):
            return None
        pair.append(-abs(value) if reference.upper().startswith(negative) else value)
    return None if pair == [0, 0] else f"{pair[0]:.4f} {pair[1]:.4f}"


def rounded(value: float | None, digits: int = 3) -> str | None:
    """`digits` significant digits: exiftool gives values derived from APEX with more."""
    return f"{value:.{digits}g}" if value else None


FIELDS: dict[str, tuple[Callable[[Facts], Any], Callable[[Tags], Any]]] = {
    "camera": (lambda f: f.camera, camera),
    "lens": (lambda f: f.lens, lambda t: text(first(t, "LensModel", "Lens") or "")),
    "exposure": (
        lambda f: rounded(f.exposure_seconds),
        lambda t: rounded(number(first(t, "ExposureTime", "ShutterSpeedValue"))),
    ),
    "aperture": (
        lambda f: rounded(f.aperture, 2),
        lambda t: rounded(number(first(t, "FNumber", "ApertureValue")), 2),
    ),
    "ISO": (lambda f: rounded(f.iso), lambda t: rounded(number(first(t, "ISO")))),
    "focal length": (
        lambda f: rounded(f.focal_length_mm),
        lambda t: rounded(number(first(t, "FocalLength"))),
    ),
    "taken at": (lambda f: f.taken_at and f.taken_at[:19], taken_at),
    "place": (
        lambda f: f.location and f"{f.location.latitude:.4f} {f.location.longitude:.4f}",
        position,
    ),
}


def main() -> None:
    """Runs the comparison and prints its table and every difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    folders = parser.parse_args().folders
    counts: dict[str, Counter[str]] = {name: Counter() for name in FIELDS}
    outcomes: Counter[str] = Counter()
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.is_file()):
        try:
            facts = develop(path.read_bytes(), RECIPE).facts
        except PhotoRejected as rejected:
            outcomes[rejected.reason.value] += 1
            print(f"- {path.name}: rejected: {rejected.message[:70]}")
            continue
        outcomes["developed"] += 1
        answer = subprocess.run(["exiftool", *ARGUMENTS, str(path)], capture_output=True)
        tags: Tags = json.loads(answer.stdout or b"[{}]")[0]
        for name, (ours, theirs) in FIELDS.items():
            mine, other = ours(facts), theirs(tags)
            verdict = (
                "neither" if mine is None and other is None
                else "agree" if mine == other
                else "exiftool alone" if mine is None
                else "Darkroom alone" if other is None
                else "differ"
            )  # fmt: skip
            counts[name][verdict] += 1
            if verdict not in ("neither", "agree"):
                print(f"- {path.name}: {name}: Darkroom {mine!r}, exiftool {other!r}")
    print(f"\n{sum(outcomes.values())} files: {dict(outcomes)}\n")
    columns = ("agree", "differ", "exiftool alone", "Darkroom alone", "neither")
    print("| Fact |", " | ".join(columns), "|")
    print("|---|" + "---:|" * len(columns))
    for name, count in counts.items():
        print(f"| {name} |", " | ".join(str(count[column]) for column in columns), "|")


if __name__ == "__main__":
    main()
