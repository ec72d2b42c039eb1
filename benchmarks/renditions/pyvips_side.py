"""The job with pyvips: reads a job per line, answers with the CPU time it took.

python -m benchmarks.renditions.pyvips_side FORM FORMATS FLAVOUR

Decoded once, every size from the next larger. FORM has no meaning here.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pyvips

from benchmarks.renditions.darkroom_side import peak_mib

SIZES = {"large": 2048, "medium": 1024, "thumb": 256}


def main() -> None:
    formats, flavour = sys.argv[2].split(","), sys.argv[3]
    pyvips.cache_set_max(0)
    for line in sys.stdin:
        job = json.loads(line)
        source = Path(job["photo"]).read_bytes()
        before = time.process_time()
        files = develop(source, formats, job["quality"], progressive=flavour == "progressive")
        cpu_ms = (time.process_time() - before) * 1000
        if job["folder"]:
            for name, data in files.items():
                Path(job["folder"], name).write_bytes(data)
        made = sum(map(len, files.values()))
        print(
            json.dumps({"cpu_ms": cpu_ms, "bytes": made, "peak_mib": peak_mib()}),
            flush=True,
        )


def develop(
    source: bytes, formats: list[str], quality: int, *, progressive: bool
) -> dict[str, bytes]:
    """The renditions by file name."""
    files: dict[str, bytes] = {}
    picture = None
    for name, edge in SIZES.items():
        if picture is None:
            picture = pyvips.Image.thumbnail_buffer(source, edge, height=edge, size="down")
        else:
            picture = picture.thumbnail_image(edge, height=edge, size="down")
        picture = picture.copy_memory()
        if "jpeg" in formats:
            files[f"{name}.jpg"] = picture.jpegsave_buffer(
                Q=quality,
                keep="none",
                interlace=progressive,
                optimize_coding=True,
                subsample_mode="on",
            )
        if "webp" in formats:
            files[f"{name}.webp"] = picture.webpsave_buffer(Q=quality, keep="none", effort=2)
    return files


if __name__ == "__main__":
    main()
