"""How close the renditions are to the photo, at equal bytes. See README.md.

python -m benchmarks.renditions.quality [--photos 12]

Writes figures/quality.json; `python -m benchmarks.renditions.report` makes the table.

The reference is the photo's pixels, resized by Lanczos in double precision. Every other program
makes its renditions below and above Darkroom's bytes; each measure is interpolated, over the
logarithm of the bytes, to the bytes of Darkroom's rendition at its default quality.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity
from ssimulacra2 import compute_ssimulacra2

from benchmarks.renditions.contestants import (
    DARKROOM,
    HERE,
    PYVIPS,
    QUALITY,
    SHARP_CASCADE,
    Contestant,
    prepare_sharp,
)
from benchmarks.renditions.sources import Source, make_sources
from tests.support import lanczos as reference

# Below and above what the others need for Darkroom's bytes.
OTHER_QUALITIES = (76, 84)
FORMATS = ("jpeg", "webp")
NAMES = ("large", "medium")
# The perceptual measures take 20 s for a large rendition.
PERCEPTUAL = "medium"
EXTENSIONS = {"jpeg": "jpg", "webp": "webp"}
FORMS = (DARKROOM, SHARP_CASCADE, PYVIPS)
FIGURES = HERE / "figures" / "quality.json"

Measures = dict[str, float]


def lanczos(photo: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`photo` at `size`, by Lanczos over three lobes in double precision."""
    resized = reference.lanczos(np.asarray(photo, dtype=float), size)
    return Image.fromarray((resized.clip(0, 255) + 0.5).astype(np.uint8))


def measure(rendition: Path, reference: Path, *, perceptual: bool) -> Measures:
    """Bytes and SSIM of the lightness (1 is equal); if `perceptual`, SSIMULACRA2 (100 is equal)
    and, where the program is installed, butteraugli (0 is equal)."""
    found, expected = Image.open(rendition).convert("RGB"), Image.open(reference)
    similarity = structural_similarity(
        np.asarray(found.convert("L")), np.asarray(expected.convert("L"))
    )
    measures = {"bytes": float(rendition.stat().st_size), "ssim": float(similarity)}
    if not perceptual:
        return measures
    decoded = rendition.with_suffix(f"{rendition.suffix}.png")
    found.save(decoded, compress_level=1)
    measures["ssimulacra2"] = float(compute_ssimulacra2(str(reference), str(decoded)))
    if program := shutil.which("butteraugli"):
        ran = subprocess.run(
            [program, str(reference), str(decoded)], capture_output=True, text=True, check=True
        )
        number = re.search(r"[\d.]+", ran.stdout)
        assert number, ran.stdout
        measures["butteraugli"] = float(number[0])
    return measures


def at_bytes(measured: list[Measures], wanted: float) -> Measures:
    """Every measure at `wanted` bytes, on the straight line over the logarithm of the bytes."""
    if len(measured) == 1:
        return measured[0]
    ordered = sorted(measured, key=lambda m: m["bytes"])
    sizes = [math.log(m["bytes"]) for m in ordered]
    a, b = ordered
    part = (math.log(wanted) - sizes[0]) / (sizes[1] - sizes[0])
    return {name: a[name] + part * (b[name] - a[name]) for name in a}


def compare(photo: Path, folder: Path) -> list[dict[str, Any]]:
    """One row for every size and format of `photo`: the measures of every program."""
    full = Image.open(photo).convert("RGB")
    made: dict[str, dict[int, Path]] = {}
    for form in FORMS:
        contestant = Contestant(form, FORMATS)
        made[form.program] = {}
        for quality in (QUALITY,) if form is DARKROOM else OTHER_QUALITIES:
            target = folder / f"{form.program}-{quality}"
            target.mkdir()
            contestant.develop(photo, quality, target)
            made[form.program][quality] = target
        contestant.stop()
    rows: list[dict[str, Any]] = []
    for name in NAMES:
        reference = folder / f"{name}.png"
        ours = made["darkroom"][QUALITY]
        lanczos(full, Image.open(ours / f"{name}.jpg").size).save(reference, compress_level=1)
        for output in FORMATS:
            file = f"{name}.{EXTENSIONS[output]}"
            wanted = (ours / file).stat().st_size
            programs = {
                program: at_bytes(
                    [
                        measure(f / file, reference, perceptual=name == PERCEPTUAL)
                        for f in folders.values()
                    ],
                    wanted,
                )
                for program, folders in made.items()
            }
            rows.append({"size": name, "format": output, "programs": programs})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=12)
    options = parser.parse_args()
    prepare_sharp()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:

        def photo_rows(source: Source) -> list[dict[str, Any]]:
            print(f"{source.name} ...", file=sys.stderr)
            with tempfile.TemporaryDirectory() as work:
                rows = compare(source.files["baseline"], Path(work))
            return [{"photo": source.name, **row} for row in rows]

        sources = make_sources(Path(folder))[: options.photos]
        with ThreadPoolExecutor(max_workers=2) as pool:
            for rows in pool.map(photo_rows, sources):
                results += rows
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
