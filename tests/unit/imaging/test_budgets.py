"""Hostile files cost no more than a photo: CPU seconds and memory, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.imaging.develop import develop
from services.imaging.model import Limits, PhotoRejected, Recipe, RejectionReason
from tests.support import damaged_photos
from tests.support.hostile_photos import HOSTILE
from tests.support.waiting import scaled

ROOT = Path(__file__).resolve().parents[3]
CPU_SECONDS_MAX, PEAK_MIB_MAX = 5.0, 1_000
ALLOWED = {"developed", "too-expensive", "too-much-memory", "too-many-pixels-in-all", "damaged"}
MEASURE = """
import resource, sys
from services.imaging.develop import develop
from services.imaging.model import PhotoRejected
try:
    develop(open(sys.argv[1], "rb").read())
    outcome = "developed"
except PhotoRejected as rejected:
    outcome = rejected.reason.value
usage = resource.getrusage(resource.RUSAGE_SELF)
print(outcome, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_develop_hostile_file_stays_within_time_and_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(HOSTILE[name]())
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=scaled(120),
        check=False,
    )
    assert measured.returncode == 0, measured.stderr
    outcome, cpu_seconds, peak_mib = measured.stdout.split()
    assert outcome in ALLOWED
    assert float(cpu_seconds) < CPU_SECONDS_MAX
    assert int(peak_mib) < PEAK_MIB_MAX


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("heic_empty_extents", RejectionReason.TOO_EXPENSIVE),
        ("heic_grid_of_one_tile", RejectionReason.TOO_MANY_PIXELS_IN_ALL),
        ("heic_derived_in_a_chain", RejectionReason.TOO_EXPENSIVE),
        ("webp_two_flat_frames", RejectionReason.TOO_MUCH_MEMORY),
        ("png_empty_chunks", RejectionReason.TOO_EXPENSIVE),
        ("jpeg_lone_markers", RejectionReason.TOO_EXPENSIVE),
        ("gif_stray_block_ends", RejectionReason.TOO_EXPENSIVE),
        ("tiff_overlapping_directories", RejectionReason.TOO_EXPENSIVE),
    ],
)
def test_develop_hostile_file_is_rejected_by_name(name: str, reason: RejectionReason) -> None:
    with pytest.raises(PhotoRejected) as caught:
        develop(HOSTILE[name]())
    assert caught.value.reason is reason


@pytest.mark.parametrize("name", ["plain.png", "lossy.webp", "photo.heic", "photo.avif"])
def test_develop_estimate_over_memory_limit_is_rejected(name: str) -> None:
    source = damaged_photos.valid_files()[name]
    base = 64 * 1024 * 1024 + len(source)
    develop(source, Recipe(), Limits(memory_bytes_max=2 * base))
    with pytest.raises(PhotoRejected) as caught:
        develop(source, Recipe(), Limits(memory_bytes_max=base))
    assert caught.value.reason is RejectionReason.TOO_MUCH_MEMORY
