"""Photos for the commands of a lab."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "inside").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name, colour in (("a b+c.jpg", "red"), ("inside/é.png", "blue")):
        Image.new("RGB", (640, 480), colour).save(folder / name)
    (folder / ".hidden" / "x.jpg").write_text("never uploaded")
    return folder
