"""Size and time of a rendition's JPEG, progressive against baseline. See README.md.

python -m benchmarks.renditions.jpeg_flavours [--rounds 9]

Writes figures/jpeg_flavours.json; `python -m benchmarks.renditions.report` makes the table.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.renditions.contestants import HERE
from benchmarks.renditions.sources import make_sources
from services.imaging.develop import develop
from services.imaging.model import JpegFlavour, OutputFormat, Recipe, RenditionSpec
from services.imaging.renditions.jpeg import encode

FIGURES = HERE / "figures" / "jpeg_flavours.json"


def cpu_ms(work: Callable[[], object], rounds: int) -> float:
    """The median CPU time of `work`."""
    times: list[float] = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        times.append((time.process_time() - before) * 1000)
    return statistics.median(times)


def measure(picture: Image.Image, name: str, rounds: int) -> dict[str, Any]:
    """Bytes, and CPU time to encode and to decode, of both flavours of `picture`."""
    recipe = Recipe()
    row: dict[str, Any] = {"size": name}
    for flavour in JpegFlavour:
        spec = RenditionSpec(name, max(picture.size), flavour)
        data = encode(picture, recipe, spec)
        row[flavour.value] = {
            "bytes": len(data),
            "encode_ms": cpu_ms(lambda spec=spec: encode(picture, recipe, spec), rounds),
            "decode_ms": cpu_ms(lambda data=data: Image.open(io.BytesIO(data)).load(), rounds),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    recipe = Recipe(formats=(OutputFormat.WEBP,), webp_quality=100)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for source in make_sources(Path(folder)):
            print(f"{source.name} ...", file=sys.stderr)
            for rendition in develop(source.files["baseline"].read_bytes(), recipe).renditions:
                picture = Image.open(io.BytesIO(rendition.data)).convert("RGB")
                row = measure(picture, rendition.name, options.rounds)
                results.append({"photo": source.name, **row})
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
