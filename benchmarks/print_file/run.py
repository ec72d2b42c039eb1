"""Peak memory and CPU time of making one print file, each in a fresh process. See README.md.

python -m benchmarks.print_file.run [--json] [--only PATTERN] [--quality]
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.memory.run import saved, scene
from services.imaging.printing import print_file
from services.imaging.printing.model import Focus, PrintFormat, PrintSpec

ROOT = Path(__file__).parent.parent.parent
_PRINT = """
import json, re, sys, time
from pathlib import Path
from services.imaging.printing.print_file import make_print_file
from services.imaging.printing.model import PrintFormat, PrintSpec
def peak():
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024
source = Path(sys.argv[1]).read_bytes()
profile = Path(sys.argv[5]).read_bytes() if sys.argv[5] else None
spec = PrintSpec(
    float(sys.argv[2]), float(sys.argv[3]), format=PrintFormat(sys.argv[4]), profile=profile
)
before, began = peak(), time.process_time()
printed = make_print_file(source, spec)
print(json.dumps({
    "source_mib": round(len(source) / 2**20, 1),
    "file_mib": round(len(printed.data) / 2**20, 1),
    "pixels": [printed.width, printed.height],
    "dpi": round(printed.dpi),
    "before_mib": round(before, 1),
    "peak_mib": round(peak(), 1),
    "cpu_seconds": round(time.process_time() - began, 2),
}))
"""

MP50 = (8688, 5792)


def grey_end() -> Image.Image:
    """Ends in mid-grey, as a JPEG that was cut off does: it is decoded a second time to tell."""
    image = scene(*MP50)
    image.paste((128, 128, 128), (0, MP50[1] - 16, *MP50))
    return image


def soft() -> Image.Image:
    """Without grain, which PNG and TIFF cannot compress: the file must stay within 64 MiB."""
    return scene(MP50[0] // 8, MP50[1] // 8).resize(MP50, Image.Resampling.BICUBIC)


def transparent() -> Image.Image:
    image = soft()
    image.putalpha(Image.linear_gradient("L").resize(MP50))
    return image


def heic() -> bytes:
    from pillow_heif.as_plugin import register_heif_opener

    register_heif_opener()
    return saved(scene(*MP50), "HEIF", quality=60, enc_params={"preset": "ultrafast"})


def adobe_rgb() -> bytes:
    from tests.support import photos

    return photos.rgb_profile(photos.ADOBE_RGB, photos.gamma_curve(2.19921875))


SOURCES: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: saved(scene(*MP50), "JPEG", quality=90),
    "JPEG progressive": lambda: saved(scene(*MP50), "JPEG", quality=90, progressive=True),
    "JPEG progressive 4:4:4": lambda: saved(
        scene(*MP50), "JPEG", quality=90, progressive=True, subsampling="4:4:4"
    ),
    "JPEG progressive, ends in grey": lambda: saved(
        grey_end(), "JPEG", quality=90, progressive=True, subsampling="4:4:4"
    ),
    "JPEG CMYK": lambda: saved(scene(*MP50).convert("CMYK"), "JPEG", quality=90),
    "PNG": lambda: saved(scene(*MP50), "PNG", compress_level=1),
    "PNG with alpha": lambda: saved(transparent(), "PNG", compress_level=1),
    "TIFF LZW": lambda: saved(soft(), "TIFF", compression="tiff_lzw", tiffinfo={317: 2}),
    "WebP": lambda: saved(scene(*MP50), "WEBP", quality=80, method=0),
    "HEIC": heic,
}
SMALL, LARGE, POSTER = (100, 150), (300, 400), (600, 900)
# Which of them is printed, its size in millimetres, the format, with a printer's profile or not.
CASES: tuple[tuple[str, tuple[int, int], PrintFormat, bool], ...] = (
    *((source, LARGE, PrintFormat.JPEG, False) for source in SOURCES),
    ("JPEG", LARGE, PrintFormat.JPEG, True),
    ("JPEG", LARGE, PrintFormat.TIFF_LZW, True),
    ("JPEG", LARGE, PrintFormat.TIFF_DEFLATE, False),
    ("JPEG", SMALL, PrintFormat.JPEG, False),
    ("JPEG progressive", SMALL, PrintFormat.JPEG, False),
    ("JPEG", POSTER, PrintFormat.JPEG, False),
    ("JPEG", POSTER, PrintFormat.JPEG, True),
)


def measure(
    source: Path, size_mm: tuple[int, int], print_format: PrintFormat, profile: Path | None
) -> dict[str, Any]:
    arguments = [str(source), *map(str, size_mm), print_format.value, str(profile or "")]
    done = subprocess.run(
        [sys.executable, "-c", _PRINT, *arguments],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def hard_picture() -> bytes:
    """A Siemens star on noise of all sizes: what filtering smaller finds hardest."""
    width, height = 4500, 3000
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:height, :width]
    star = (np.sin(60 * np.arctan2(y - height / 2, x - width / 2)) > 0) * 180 + 40
    across, down = np.fft.fftfreq(width)[None], np.fft.fftfreq(height)[:, None]
    spectrum = np.fft.fft2(rng.normal(0, 1, (height, width)))
    noise = np.real(np.fft.ifft2(spectrum / np.maximum(np.hypot(across, down), 1e-3)))
    noise = noise / noise.std() * 40 + 128
    inside = np.hypot(x - width / 2, y - height / 2) < 1000
    grey = np.where(inside, star, noise).clip(0, 255).astype(np.uint8)
    bands = [grey, np.roll(grey, 9, 1), np.ascontiguousarray(grey[::-1])]
    return saved(Image.merge("RGB", [Image.fromarray(band) for band in bands]), "JPEG", quality=92)


def quality() -> None:
    """How far shortcuts are from the whole picture filtered by Lanczos alone, in dB."""
    source = hard_picture()

    def printed(size_mm: tuple[int, int], decoded: float, gap: float) -> np.ndarray:
        print_file._DECODED_PER_PRINTED, print_file._REDUCING_GAP = decoded, gap
        spec = PrintSpec(*size_mm, focus=Focus(0.5, 0.5), format=PrintFormat.TIFF_LZW)
        image = Image.open(io.BytesIO(print_file.make_print_file(source, spec).data))
        return np.asarray(image, dtype=float)

    print("| print, mm | decoded at | averaged first | dB |")
    print("|---|---|---|---:|")
    for size_mm in ((100, 150), (50, 80), (40, 50), (25, 35)):
        whole = printed(size_mm, 1e9, 1e9)
        for decoded, gap in ((1.0, 1e9), (2.0, 1e9), (1e9, 2.0), (1e9, 4.0), (2.0, 4.0)):
            error = float(((printed(size_mm, decoded, gap) - whole) ** 2).mean())
            found = f"{10 * np.log10(255**2 / error):.1f}" if error else "the same"
            at = "whole" if decoded > 100 else f">= {decoded:g} x"
            averaged = "no" if gap > 100 else f"to {gap:g} x"
            print(f"| {size_mm[0]} x {size_mm[1]} | {at} | {averaged} | {found} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")
    parser.add_argument("--only", help="a regular expression: measure only what it finds")
    parser.add_argument("--quality", action="store_true", help="measure shortcuts instead")
    options = parser.parse_args()
    if options.quality:
        quality()
        return
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = folder / "printer.icc"
        profile.write_bytes(adobe_rgb())
        for source, size_mm, print_format, managed in CASES:
            what = f"{source}, {size_mm[0] // 10} x {size_mm[1] // 10} cm, {print_format.value}"
            what += ", profile" if managed else ""
            if options.only and not re.search(options.only, what):
                continue
            print(f"{what} ...", file=sys.stderr)
            path = folder / source.replace(" ", "-").replace(":", "")
            if not path.exists():
                path.write_bytes(SOURCES[source]())
            found = measure(path, size_mm, print_format, profile if managed else None)
            results.append({"print": what, **found})
    if options.json:
        print(json.dumps(results, indent=2))
        return
    print(
        "| 50 MP photo and its print | photo MiB | print, pixels | print MiB | peak MiB | CPU s |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for r in results:
        print(
            f"| {r['print']} | {r['source_mib']} | {r['pixels'][0]} x {r['pixels'][1]} "
            f"| {r['file_mib']} | {r['peak_mib']:.0f} | {r['cpu_seconds']:.1f} |"
        )


if __name__ == "__main__":
    main()
