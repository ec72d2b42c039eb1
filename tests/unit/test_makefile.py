"""The Makefile: its list of targets, and the environment of its commands."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_make_help_fits_eighty_columns() -> None:
    text = subprocess.run(
        ["make", "--silent", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in text.splitlines()]
    assert any(line.split()[0] == "demo" for line in lines)
    assert [line for line in lines if len(line) > 80] == []


def test_make_lets_its_commands_write_bytecode() -> None:
    show = '--eval=show: ; @echo "$${PYTHONDONTWRITEBYTECODE-unset}"'
    shown = subprocess.run(
        ["make", "--silent", show, "show"],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert shown == "unset\n"


@pytest.mark.parametrize("target", ["images", "push"])
def test_make_passes_functions_and_features_of_images(target: str) -> None:
    shown = subprocess.run(
        ["make", "--dry-run", target, "FUNCTIONS=send-webhook", "FEATURES=photos,customers"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    (command,) = [line for line in shown.splitlines() if "services.build" in line]
    assert 'send-webhook --features "photos,customers"' in command
