"""Small files, each of a kind that is easily read wrong, and what is right for each.

`tests/data/pictures/expect.tsv` has a line for each file: its name, TAB, expectations.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from services.imaging.develop import develop
from services.imaging.model import Developed, OutputFormat, PhotoRejected

PICTURES = Path(__file__).resolve().parents[2] / "data" / "pictures"
LINES = [
    line.split("\t")[:2]
    for line in (PICTURES / "expect.tsv").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def smallest_jpeg(developed: Developed) -> Image.Image:
    stills = [r for r in developed.renditions if r.format is OutputFormat.JPEG]
    smallest = min(stills, key=lambda r: r.width * r.height)
    return Image.open(io.BytesIO(smallest.data)).convert("RGB")


def is_close(found: tuple[float, ...], wanted: str) -> bool:
    values, _, tolerance = wanted.partition("~")
    return all(
        abs(f - float(w)) <= float(tolerance) for f, w in zip(found, values.split(","), strict=True)
    )


def animation(developed: Developed) -> Image.Image | None:
    animated = [r for r in developed.renditions if r.animated]
    return Image.open(io.BytesIO(animated[0].data)) if animated else None


def holds(wanted: str, outcome: Developed | PhotoRejected) -> bool:
    key, _, value = wanted.partition("=")
    if isinstance(outcome, PhotoRejected):
        reason, _, _ = wanted.partition(":")[2].partition(" ")
        if key == "says":
            return value.lower() in outcome.message.lower()
        return wanted.startswith("rejected") and outcome.reason.value == (reason or outcome.reason)
    facts, still = outcome.facts, smallest_jpeg(outcome)
    centre = still.getpixel((still.width // 2, still.height // 2))
    corner = still.getpixel((0, 0))
    assert isinstance(centre, tuple)
    assert isinstance(corner, tuple)
    moving = animation(outcome)
    match key:
        case "developed":
            return True
        case "size":
            return f"{facts.width}x{facts.height}" == value
        case "centre":
            return is_close(centre, value)
        case "not-centre":
            return not is_close(centre, value)
        case "corner":
            return is_close(corner, value)
        case "mean":
            return is_close((ImageStat.Stat(still.convert("L")).mean[0],), value)
        case "loop":
            return moving is not None and moving.info.get("loop") == int(value)
        case "frames":
            return int(value) == (getattr(moving, "n_frames", 1) if moving else 1)
        case "camera":
            return (facts.camera or "").startswith(value)
        case "taken":
            return (facts.taken_at or "").startswith(value)
        case "location":
            return (value == "none") == (facts.location is None)
        case "profile":
            return (facts.colour_profile or "").startswith(value)
        case _:
            return False


@pytest.mark.parametrize(("name", "wanted"), LINES)
def test_develop_picture_gives_what_is_expected(name: str, wanted: str) -> None:
    outcome: Developed | PhotoRejected
    try:
        outcome = develop((PICTURES / name).read_bytes())
    except PhotoRejected as rejected:
        outcome = rejected
    alternatives = wanted.split(" or ")
    assert any(all(holds(w, outcome) for w in a.split()) for a in alternatives), outcome
