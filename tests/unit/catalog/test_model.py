import pytest

from services.catalog.model import OriginalName, image_id, parse_original_key
from services.platform.errors import PermanentError


def test_parse_original_key_with_slashes_in_filename_keeps_them() -> None:
    assert parse_original_key("ann/up1/a/b.jpg") == OriginalName("ann", "up1", "a/b.jpg")
    assert parse_original_key("ann/up1/a/b.jpg").key == "ann/up1/a/b.jpg"


@pytest.mark.parametrize("key", ["", "a", "a/b", "a//c", "/b/c", "a/b/"])
def test_parse_original_key_with_invalid_key_raises_permanent_error(key: str) -> None:
    with pytest.raises(PermanentError, match="<owner>/<upload>/<filename>"):
        parse_original_key(key)


def test_image_id_depends_only_on_content() -> None:
    assert image_id(b"a") == image_id(b"a") != image_id(b"b")
    assert len(image_id(b"a")) == 32
