"""`darkroom redevelop` on a lab whose recipe changed between two starts."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from services.catalog.model import ImageRecord, ImageStatus
from services.catalog.store import Catalog
from services.cli import main, redevelop
from services.local import lab as labs
from services.local.options import LabOptions
from services.local.state import LabState
from services.platform.manifest import Feature
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

OWNER = "ann"
# More than one group of messages.
PHOTOS = 12


def photo(number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (80 + number, 60), "red").save(out, "JPEG")
    return out.getvalue()


def upload(state: LabState) -> None:
    s3 = state.session.client("s3")
    for number in range(PHOTOS):
        key = f"{OWNER}/{number}/photo.jpg"
        s3.put_object(Bucket=state.buckets["originals"], Key=key, Body=photo(number))


def developed(state: LabState) -> list[ImageRecord]:
    catalog = Catalog(state.session.client("dynamodb"), state.tables["images"])
    records = list(catalog.every_image(OWNER, None, 100))
    return [record for record in records if record.status is ImageStatus.DEVELOPED]


def stored(state: LabState) -> set[str]:
    listed = state.session.client("s3").list_objects_v2(Bucket=state.buckets["renditions"])
    return {item["Key"] for item in listed.get("Contents", ())}


def names(records: list[ImageRecord]) -> set[str]:
    return {rendition.name for record in records for rendition in record.renditions}


def test_redevelop_renders_photos_by_the_new_recipe_and_goes_on_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "lab"
    options = LabOptions(keep=True, features=(Feature.PHOTOS,))
    running = labs.running
    monkeypatch.setattr(labs, "running", lambda folder=root: running(folder))
    monkeypatch.setattr(redevelop, "state_folder", lambda: tmp_path)

    def command() -> int:
        return int(main.main(["redevelop", "--rate", "1000", "--json"]))

    try:
        state = labs.up(root, options)
        upload(state)
        eventually(lambda: len(developed(state)) == PHOTOS, "the photos are developed", 120)
        before = developed(state)
        assert names(before) == {"thumb", "medium", "large"}
        labs.down(root)
        state = labs.up(root, LabOptions(keep=True, features=(Feature.PHOTOS,), recipe="web"))

        with monkeypatch.context() as interrupted:
            interrupted.setattr("services.operations.redevelopment.time.sleep", _interrupt)
            assert command() == 130
        assert list((tmp_path / "redevelopments").glob("*.json")), "the position is stored"
        capsys.readouterr()
        assert command() == 0
        done = json.loads(capsys.readouterr().out)
        assert (done["examined"], done["sent"], done["finished"]) == (PHOTOS, PHOTOS, True)

        recipes = {record.recipe for record in before}
        eventually(
            lambda: not recipes & {record.recipe for record in developed(state)},
            "all photos have the new recipe",
            120,
        )
        after = developed(state)
        assert names(after) == {"thumb", "banner", "large"}
        assert {r.key for record in after for r in record.renditions} == stored(state)
        assert command() == 0
        assert json.loads(capsys.readouterr().out)["current"] == PHOTOS
    finally:
        labs.reset(root)


def _interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt
