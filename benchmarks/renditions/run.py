"""Darkroom's renditions against sharp's: CPU time a photo and peak memory. See README.md.

python -m benchmarks.renditions.run [--rounds 15] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from services.local.demo.samples.photos import make_sample_photos

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WARM_UP_ROUNDS = 2
# glibc gives large blocks back to the system with every picture, and takes them anew page by page.
# Both sides run as process-image does, which keeps them.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "268435456"}
FORMS = ("darkroom", "sharp each", "sharp once", "sharp cascade")


def make_sources(folder: Path) -> dict[str, Path]:
    """The photos, from the demo's: a phone's 9 MP, a camera's 24 MP; baseline and progressive."""
    print("making the photos ...", file=sys.stderr)
    samples = {path.name: path for path in make_sample_photos(folder / "samples")}
    camera = Image.open(samples["01-hills-at-dusk.jpg"]).convert("RGB")
    city = Image.open(samples["06-city-upside-down.jpg"]).convert("RGB")
    phone = city.crop((0, 0, 4608, 1976))
    sources: dict[str, Path] = {}
    for name, image, quality in (("phone 9 MP", phone, 88), ("camera 24 MP", camera, 92)):
        for kind in ("baseline", "progressive"):
            out = io.BytesIO()
            image.save(out, "JPEG", quality=quality, progressive=kind == "progressive")
            path = folder / f"{name} {kind}.jpg"
            path.write_bytes(out.getvalue())
            sources[f"{name} {kind}"] = path
    return sources


class Contestant:
    """One form of the job in a process of its own, waiting for photos."""

    def __init__(self, form: str, formats: str) -> None:
        if form == "darkroom":
            command = [sys.executable, "-m", "benchmarks.renditions.darkroom_side", formats]
        else:
            command = ["node", str(HERE / "sharp_side.mjs"), form.split()[1], formats]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **ALLOCATOR},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def develop(self, photo: Path) -> dict[str, float]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{photo}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args} ended early")
        answer: dict[str, float] = json.loads(line)
        return answer

    def stop(self) -> None:
        self._process.communicate(timeout=30)


def measure(photo: Path, formats: str, rounds: int) -> dict[str, dict[str, float]]:
    """Every form in turn, round by round, so that the machine's moods meet all alike."""
    contestants = {form: Contestant(form, formats) for form in FORMS}
    answers: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
    for number in range(WARM_UP_ROUNDS + rounds):
        for form, contestant in contestants.items():
            answer = contestant.develop(photo)
            if number >= WARM_UP_ROUNDS:
                answers[form].append(answer)
    for contestant in contestants.values():
        contestant.stop()
    return {
        form: {
            "cpu_ms": round(statistics.median(a["cpu_ms"] for a in found), 1),
            "peak_mib": round(max(a["peak_mib"] for a in found), 1),
            "kilobytes": round(found[0]["bytes"] / 1000, 1),
        }
        for form, found in answers.items()
    }


def prepare_sharp() -> None:
    if shutil.which("node") is None:
        raise SystemExit("this benchmark needs Node.js and npm")
    if not (HERE / "node_modules" / "sharp").exists():
        print("installing sharp ...", file=sys.stderr)
        subprocess.run(
            ["npm", "install", "--package-lock=false", "--no-audit", "--no-fund", "--silent"],
            cwd=HERE,
            check=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")
    options = parser.parse_args()
    prepare_sharp()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        sources = make_sources(Path(folder))
        for formats in ("jpeg", "jpeg,webp"):
            for name, photo in sources.items():
                print(f"{name}, {formats} ...", file=sys.stderr)
                forms = measure(photo, formats, options.rounds)
                sharp_best = min((f for n, f in forms.items() if n != "darkroom"), key=_cpu)
                ours = forms["darkroom"]
                results.append(
                    {
                        "photo": name,
                        "source_bytes": photo.stat().st_size,
                        "formats": formats,
                        "forms": forms,
                        "cpu_ratio": round(ours["cpu_ms"] / sharp_best["cpu_ms"], 2),
                        "memory_ratio": round(ours["peak_mib"] / sharp_best["peak_mib"], 2),
                    }
                )
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print_table(results)


def _cpu(form: dict[str, float]) -> float:
    return form["cpu_ms"]


def print_table(results: list[dict[str, Any]]) -> None:
    print("CPU ms a photo / peak MiB; ratios are against sharp's form with the least CPU time\n")
    print(f"| photo | renditions | {' | '.join(FORMS)} | CPU ratio | memory ratio |")
    print("|---|---|" + "---:|" * (len(FORMS) + 2))
    for r in results:
        cells = [f"{r['forms'][f]['cpu_ms']:.0f} / {r['forms'][f]['peak_mib']:.0f}" for f in FORMS]
        kinds = r["formats"].replace(",", "+")
        print(
            f"| {r['photo']} | {kinds} | {' | '.join(cells)} "
            f"| {r['cpu_ratio']:.2f} | {r['memory_ratio']:.2f} |"
        )


if __name__ == "__main__":
    main()
