"""Keys of originals in buckets with a layout of their own."""

from __future__ import annotations

import pytest

from services.catalog.key_layout import KeyLayout
from services.catalog.model import image_id
from services.platform.errors import ConfigurationError, PermanentError

# Of the example and the page "Photos only".
BY_FOLDER = "(?:(?P<owner>.+)/)?(?P<name>[^/]+)"


def test_layout_of_uploads_is_the_default() -> None:
    name = KeyLayout.of("").parse("ann/up1/a/b.jpg")
    assert (name.owner, name.upload, name.filename) == ("ann", "up1", "a/b.jpg")


@pytest.mark.parametrize(
    ("key", "owner", "filename"),
    [
        ("ann/b.jpg", "ann", "b.jpg"),
        ("2026/11/ann/b c.jpg", "2026/11/ann", "b c.jpg"),
        ("b.jpg", "shared", "b.jpg"),
    ],
)
def test_pattern_by_folder_makes_the_prefix_the_owner(key: str, owner: str, filename: str) -> None:
    name = KeyLayout.of(BY_FOLDER).parse(key)
    assert (name.owner, name.filename, name.key) == (owner, filename, key)
    assert name.correlation_id == image_id(key.encode())


def test_pattern_that_does_not_match_the_whole_key_raises_permanent_error() -> None:
    layout = KeyLayout.of("photos/(?P<owner>[^/]+)/(?P<name>[^/]+)")
    assert layout.parse("photos/ann/b.jpg").owner == "ann"
    for key in ("other/ann/b.jpg", "photos/ann/b.jpg/", "photos/ann/"):
        with pytest.raises(PermanentError, match="is not a key of an original"):
            layout.parse(key)


@pytest.mark.parametrize(
    ("pattern", "expected"), [("(", "is no pattern"), ("(?P<owner>.+)/.+", "has no group name")]
)
def test_invalid_pattern_raises_configuration_error(pattern: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        KeyLayout.of(pattern)
