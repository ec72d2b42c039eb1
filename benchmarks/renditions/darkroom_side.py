"""The job as Darkroom does it: reads a line per photo, answers with the CPU time it took.

All of `develop` is measured: structure checks, facts, SHA-256, placeholder, fingerprint and
dominant colour too, which sharp's side does not do.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from services.imaging.develop import develop
from services.imaging.model import OutputFormat, Recipe


def main() -> None:
    formats = tuple(OutputFormat(name) for name in sys.argv[1].split(","))
    recipe = Recipe(formats=formats, jpeg_quality=80, webp_quality=80, webp_method=2)
    for line in sys.stdin:
        source = Path(line.strip()).read_bytes()
        before = time.process_time()
        developed = develop(source, recipe)
        cpu_ms = (time.process_time() - before) * 1000
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peak = re.search(r"VmHWM:\s+(\d+)", status)
        assert peak
        answer = {
            "cpu_ms": cpu_ms,
            "bytes": sum(len(r.data) for r in developed.renditions),
            "peak_mib": int(peak[1]) / 1024,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
