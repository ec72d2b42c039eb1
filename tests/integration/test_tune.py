"""`darkroom tune` measures the real function on an emulator of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from services.cli.main import main
from services.load_test.tuning.cpu_share import CpuShare
from services.platform.errors import PermanentError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _control_groups() -> None:
    try:
        CpuShare(1769).close()
    except PermanentError as error:
        pytest.skip(str(error))


def test_process_image_is_measured_and_recommended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "one.jpg"
    Image.new("RGB", (1200, 900), "teal").save(photo)
    code = main(
        ["tune", "process-image", "--photos", str(photo), "--memory", "512,1769", "--cold", "1",
         "--warm", "2", "--out", str(tmp_path / "out"), "--json"]
    )  # fmt: skip
    assert code == 0
    document = json.loads(capfd.readouterr().out)
    assert document["memory_mib"] in (512, 1769)
    assert [size["memory_mib"] for size in document["sizes"]] == [512, 1769]
    for size in document["sizes"]:
        assert size["failures"] == 0
        # The function and the child that decodes.
        assert 30 < size["peak_mib"] < 512
        assert size["warm_ms"] > 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "process-image.html",
        "process-image.png",
    }


def test_function_without_events_or_with_a_database_is_refused(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["tune", "send-image-email"]) == 2
    assert "expected events for send-image-email" in capfd.readouterr().err
    assert main(["tune", "create-order", "--events", __file__]) == 2
    assert "needs a database" in capfd.readouterr().err
