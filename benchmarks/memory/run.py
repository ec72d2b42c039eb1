"""Peak memory of developing one photo, each in a fresh process. See README.md.

python -m benchmarks.memory.run [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
# The goals of the project, in MiB.
GOALS = {"JPEG 24 MP": 300, "JPEG 50 MP progressive": 512}

_DEVELOP = """
import json, re, sys, time
from pathlib import Path
from services.imaging.develop import develop
def peak():
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024
source = Path(sys.argv[1]).read_bytes()
before, began = peak(), time.process_time()
developed = develop(source)
facts = developed.facts
print(json.dumps({
    "megapixels": round(facts.width * facts.height * facts.frames / 1e6, 1),
    "source_mib": round(len(source) / 2**20, 1),
    "before_mib": round(before, 1),
    "peak_mib": round(peak(), 1),
    "cpu_seconds": round(time.process_time() - began, 2),
}))
"""


def scene(width: int, height: int) -> Image.Image:
    """Soft shapes and a sensor's grain: what a photo costs a decoder."""
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(30, 225, (18, 24, 3), np.uint8))
    image = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))
    grain = np.rint(rng.normal(0, 3, (512, width, 1))).astype(np.int16)
    for top in range(0, height, 512):
        part = image[top : top + 512]
        part[:] = (part + grain[: len(part)]).clip(0, 255)
    return Image.fromarray(image)


def saved(image: Image.Image, name: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format=name, **options)
    return out.getvalue()


def heic() -> bytes:
    from pillow_heif.as_plugin import register_heif_opener

    register_heif_opener()
    return saved(scene(4032, 3024), "HEIF", quality=60, enc_params={"preset": "ultrafast"})


def sixteen_bit_png() -> bytes:
    samples = np.asarray(scene(4032, 3024)).astype(">u2") * 257
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in samples)

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + name + body + crc

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((16, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def animated_gif() -> bytes:
    wide = scene(1000, 480)
    frames = [wide.crop((2 * i, 0, 2 * i + 800, 480)).quantize(64) for i in range(100)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40)


CASES: dict[str, Callable[[], bytes]] = {
    "JPEG 24 MP": lambda: saved(scene(6000, 4000), "JPEG", quality=90),
    "JPEG 24 MP progressive": lambda: saved(
        scene(6000, 4000), "JPEG", quality=90, progressive=True
    ),
    "JPEG 50 MP": lambda: saved(scene(8688, 5792), "JPEG", quality=90),
    "JPEG 50 MP progressive": lambda: saved(
        scene(8688, 5792), "JPEG", quality=90, progressive=True
    ),
    "JPEG 12 MP, full decode": lambda: saved(scene(4032, 3024), "JPEG", quality=90),
    "JPEG 24 MP CMYK": lambda: saved(scene(6000, 4000).convert("CMYK"), "JPEG", quality=90),
    "PNG 24 MP": lambda: saved(scene(6000, 4000), "PNG", compress_level=1),
    "PNG 12 MP, 16 bits": sixteen_bit_png,
    "HEIC 12 MP": heic,
    "WebP 12 MP": lambda: saved(scene(4032, 3024), "WEBP", quality=80, method=0),
    "AVIF 12 MP": lambda: saved(scene(4032, 3024), "AVIF", quality=70, speed=10),
    "TIFF 12 MP, LZW": lambda: saved(scene(4032, 3024), "TIFF", compression="tiff_lzw"),
    "GIF 100 frames": animated_gif,
}


def measure(source: bytes) -> dict[str, float]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(source)
        file.flush()
        done = subprocess.run(
            [sys.executable, "-c", _DEVELOP, file.name],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")
    parser.add_argument("--only", help="a regular expression: measure only what it finds")
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name, build in CASES.items():
        if options.only and not re.search(options.only, name):
            continue
        print(f"{name} ...", file=sys.stderr)
        results.append({"photo": name, "goal_mib": GOALS.get(name), **measure(build())})
    if options.json:
        print(json.dumps(results, indent=2))
        return
    print("| photo | megapixels in all | file MiB | peak MiB | goal | CPU s |")
    print("|---|---:|---:|---:|---:|---:|")
    for r in results:
        goal = f"< {r['goal_mib']}" if r["goal_mib"] else ""
        print(
            f"| {r['photo']} | {r['megapixels']} | {r['source_mib']} | {r['peak_mib']:.0f} "
            f"| {goal} | {r['cpu_seconds']:.2f} |"
        )


if __name__ == "__main__":
    main()
