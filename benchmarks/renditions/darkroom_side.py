"""The job as Darkroom does it: reads a job per line, answers with the CPU time it took.

python -m benchmarks.renditions.darkroom_side FORM FORMATS FLAVOUR

All of `develop` is measured: structure checks, facts, placeholder, fingerprint and dominant colour
too, which the other sides do not do. The file's SHA-256 is given, as process-image gives it, which
needs it before to find the photo in the catalogue. FORM has no meaning here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import sys
import time
from pathlib import Path

from services.imaging.develop import develop
from services.imaging.model import JpegFlavour, OutputFormat, Recipe


def main() -> None:
    formats = tuple(OutputFormat(name) for name in sys.argv[2].split(","))
    flavour = JpegFlavour(sys.argv[3])
    base = Recipe(formats=formats, webp_method=2)
    sizes = tuple(dataclasses.replace(r, jpeg_flavour=flavour) for r in base.renditions)
    for line in sys.stdin:
        job = json.loads(line)
        quality = job["quality"]
        recipe = dataclasses.replace(
            base, renditions=sizes, jpeg_quality=quality, webp_quality=quality
        )
        source = Path(job["photo"]).read_bytes()
        sha256 = hashlib.sha256(source).hexdigest()
        before = time.process_time()
        developed = develop(source, recipe, sha256=sha256)
        cpu_ms = (time.process_time() - before) * 1000
        if job["folder"]:
            for made in developed.renditions:
                path = Path(job["folder"], f"{made.name}.{made.format.extension}")
                path.write_bytes(made.data)
        answer = {
            "cpu_ms": cpu_ms,
            "bytes": sum(len(r.data) for r in developed.renditions),
            "peak_mib": peak_mib(),
        }
        print(json.dumps(answer), flush=True)


def peak_mib() -> float:
    """The high-water mark of this process's resident memory."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = re.search(r"VmHWM:\s+(\d+)", status)
    assert peak
    return int(peak[1]) / 1024


if __name__ == "__main__":
    main()
