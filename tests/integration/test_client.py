"""The client of the API, and a storage that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.client.api import ATTEMPTS, Api
from services.platform.errors import PermanentError, TransientError
from tests.support.loopback import Received, Reply, serving

NO_PAUSE = {"retry-after": "0"}
SERVER_ERROR = Reply(500, headers=NO_PAUSE)
# None: no answer.
FAILURES = [None, SERVER_ERROR, Reply(503, headers=NO_PAUSE)]


@pytest.fixture
def api() -> Iterator[Api]:
    with closing(Api("http://api.example")) as client:
        yield client


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "one.jpg"
    path.write_bytes(b"pixels")
    return path


@pytest.mark.parametrize("failure", FAILURES)
def test_post_form_to_failing_storage_sends_all_of_the_photo_again(
    api: Api, photo: Path, failure: Reply | None
) -> None:
    def respond(_: Received) -> Reply | None:
        return failure if len(storage.received) < ATTEMPTS else Reply(204)

    with serving(respond) as storage:
        api.post_form(form(storage.url), photo)
    assert len(storage.received) == ATTEMPTS
    assert all(b"pixels" in one.body for one in storage.received)


@pytest.mark.parametrize("failure", FAILURES)
def test_post_form_to_broken_storage_is_a_transient_error(
    api: Api, photo: Path, failure: Reply | None
) -> None:
    with serving(lambda _: failure) as storage, pytest.raises(TransientError) as caught:
        api.post_form(form(storage.url), photo)
    assert storage.url in str(caught.value)
    assert len(storage.received) == ATTEMPTS


def test_post_form_that_is_refused_is_not_repeated(api: Api, photo: Path) -> None:
    with serving(lambda _: Reply(403)) as storage, pytest.raises(PermanentError):
        api.post_form(form(storage.url), photo)
    assert len(storage.received) == 1


def test_download_from_failing_storage_is_repeated(api: Api) -> None:
    def respond(_: Received) -> Reply:
        return SERVER_ERROR if len(storage.received) == 1 else Reply(200, b"content")

    with serving(respond) as storage:
        assert api.download(storage.url) == b"content"


def test_download_that_fails_does_not_show_the_links_signature(api: Api) -> None:
    with serving(lambda _: SERVER_ERROR) as storage, pytest.raises(TransientError) as caught:
        api.download(f"{storage.url}/one.jpg?X-Amz-Signature=abc")
    assert f"{storage.url}/one.jpg answered 500" in str(caught.value)
    assert "abc" not in str(caught.value)


def form(url: str) -> dict[str, object]:
    return {"url": url, "fields": {"Content-Type": "image/jpeg"}}
