import pytest

from services.catalog.model import OriginalName, image_id, parse_original_key
from services.platform.errors import PermanentError


def test_the_filename_may_hold_slashes() -> None:
    assert parse_original_key("ann/up1/a/b.jpg") == OriginalName("ann", "up1", "a/b.jpg")
    assert parse_original_key("ann/up1/a/b.jpg").key == "ann/up1/a/b.jpg"


@pytest.mark.parametrize("key", ["", "a", "a/b", "a//c", "/b/c", "a/b/"])
def test_a_key_of_another_form_is_a_permanent_error(key: str) -> None:
    with pytest.raises(PermanentError, match="<owner>/<upload>/<filename>"):
        parse_original_key(key)


def test_an_image_is_its_content() -> None:
    assert image_id(b"a") == image_id(b"a") != image_id(b"b")
    assert len(image_id(b"a")) == 32
