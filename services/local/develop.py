"""Develops photos on a running lab and collects the outcomes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.catalog.model import (
    METADATA_KEEP_LOCATION,
    METADATA_NOTIFY,
    METADATA_RECIPE,
    ImageRecord,
    OriginalName,
)
from services.catalog.store import Catalog
from services.local.state import LabState
from services.platform.errors import PermanentError, TransientError

OWNER = "local"
RECIPIENT = "you@darkroom.example"
UPLOADS_AT_ONCE = 4
POLL_SECONDS = 0.1
# Longer than a photo that uses all its wall time and is then tried again.
NO_PROGRESS_SECONDS = 180.0
# Object keys hold 1,024 bytes; the rest is for the owner and the upload.
_FILENAME_BYTES = 800


@dataclass(frozen=True)
class UploadOptions:
    """What an upload chooses: a recipe by name, None for the lab's default one."""

    keep_location: bool = False
    recipe: str | None = None


NO_OPTIONS = UploadOptions()


@dataclass(frozen=True)
class Upload:
    """An uploaded file. `uploaded_at` is in seconds of `time.monotonic`."""

    path: Path
    key: str
    uploaded_at: float
    problem: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The outcome of one file. `seconds` counts from the end of the upload to the catalogue's
    record."""

    path: Path
    record: ImageRecord | None
    seconds: float
    problem: str | None = None

    def document(self) -> dict[str, Any]:
        """The object that `darkroom develop --json` prints for the photo."""
        record = self.record
        facts = record.facts if record is not None else {}
        return {
            "path": str(self.path),
            "image_id": record.image_id if record is not None else None,
            "status": record.status.value if record is not None else "rejected",
            "reason": record.reason if record is not None else "unreadable",
            "message": record.message if record is not None else self.problem,
            "width": facts.get("width"),
            "height": facts.get("height"),
            "format": facts.get("format"),
            "placeholder": record.placeholder if record is not None else None,
            "fingerprint": record.fingerprint if record is not None else None,
            "dominant_colour": record.dominant_colour if record is not None else None,
            "taken_at": facts.get("taken_at"),
            "camera": facts.get("camera"),
            "renditions": [
                {
                    "name": r.name,
                    "format": r.format,
                    "width": r.width,
                    "height": r.height,
                    "bytes": r.bytes,
                    "key": r.key,
                }
                for r in (record.renditions if record is not None else ())
            ],
            "seconds": round(self.seconds, 3),
        }

    @property
    def name(self) -> str:
        """The file's name for people, with a question mark for each byte that is no text."""
        return self.path.name.encode("utf-8", "replace").decode()

    @property
    def developed(self) -> bool:
        return self.record is not None and self.record.status.value == "developed"


def find_photos(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files in `paths` (files or folders), each once, without hidden ones.

    Raises PermanentError for a path that does not exist, and if there is no file.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            for inside in sorted(path.rglob("*")):
                hidden = any(part.startswith(".") for part in inside.relative_to(path).parts)
                if inside.is_file() and not hidden:
                    found[inside] = None
        elif path.is_file():
            found[path] = None
        elif path.exists():
            raise PermanentError(f"{path} is neither a regular file nor a folder")
        else:
            raise PermanentError(f"{path} does not exist; give a file or a folder")
    if not found:
        raise PermanentError(f"found no file in {', '.join(str(path) for path in paths)}")
    return tuple(found)


def known_recipe(lab: LabState, name: str | None) -> str | None:
    """`name`, if the lab has a recipe of that name. Raises PermanentError."""
    names = lab.recipes.get("names", "").split(",")
    if name is not None and name not in names:
        raise PermanentError(f"--recipe must be one of {', '.join(names)}, got {name!r}")
    return name


def develop_all(
    lab: LabState,
    photos: Iterable[Path],
    options: UploadOptions = NO_OPTIONS,
    *,
    uploaded: Callable[[Upload], None] = lambda _upload: None,
) -> Iterator[Outcome]:
    """Uploads every photo and yields the outcomes as they come, in no particular order.

    `uploaded` is called after each upload. Raises TransientError if the lab makes no progress.
    """
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        run = uuid.uuid4().hex[:12]
        uploads = [
            pool.submit(_upload, lab, path, f"{run}-{number:05d}", options)
            for number, path in enumerate(photos, 1)
        ]
        pending: dict[str, Upload] = {}
        last_progress = time.monotonic()
        while uploads or pending:
            for done in [f for f in uploads if f.done()]:
                uploads.remove(done)
                upload = done.result()
                uploaded(upload)
                last_progress = time.monotonic()
                if upload.problem is None:
                    pending[upload.key] = upload
                else:
                    yield Outcome(upload.path, None, 0.0, upload.problem)
            for outcome, key in _settled(lab, pending):
                del pending[key]
                last_progress = time.monotonic()
                yield outcome
            if pending and time.monotonic() - last_progress > NO_PROGRESS_SECONDS:
                raise TransientError(_stuck(pending))
            time.sleep(POLL_SECONDS)


def download(lab: LabState, record: ImageRecord, folder: Path) -> list[Path]:
    """Writes the renditions of `record` to `folder/<image id>/<name>.<extension>`."""
    target = folder / record.image_id
    target.mkdir(parents=True, exist_ok=True)
    s3 = lab.session.client("s3")
    written = []
    for rendition in record.renditions:
        path = target / Path(rendition.key).name
        s3.download_file(lab.buckets["renditions"], rendition.key, str(path))
        written.append(path)
    return written


def download_prints(lab: LabState, order_id: str, folder: Path) -> list[Path]:
    """Writes the print files and the job sheet of an order to `folder/<order id>/`."""
    target = folder / order_id
    s3, bucket = lab.session.client("s3"), lab.buckets["prints"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    written = []
    for key in keys:
        if f"/{order_id}/" in key:
            target.mkdir(parents=True, exist_ok=True)
            path = target / Path(key).name
            s3.download_file(bucket, key, str(path))
            written.append(path)
    return written


def _upload(lab: LabState, path: Path, upload_id: str, options: UploadOptions) -> Upload:
    name = path.name.encode("utf-8", "replace")[:_FILENAME_BYTES].decode("utf-8", "ignore")
    key = OriginalName(OWNER, upload_id, name).key
    metadata = {METADATA_NOTIFY: RECIPIENT}
    if options.keep_location:
        metadata[METADATA_KEEP_LOCATION] = "true"
    if options.recipe is not None:
        metadata[METADATA_RECIPE] = options.recipe
    try:
        with path.open("rb") as content:
            lab.session.client("s3").upload_fileobj(
                content, lab.buckets["originals"], key, ExtraArgs={"Metadata": metadata}
            )
    except OSError as error:
        return Upload(path, key, time.monotonic(), f"the file cannot be read: {error.strerror}")
    return Upload(path, key, time.monotonic())


def _settled(lab: LabState, pending: dict[str, Upload]) -> Iterator[tuple[Outcome, str]]:
    catalog = Catalog(lab.session.client("dynamodb"), lab.tables["images"])
    sources = [s for s in catalog.sources(OWNER, list(pending)) if s.announced and s.image_id]
    wanted = {source.image_id for source in sources if source.image_id is not None}
    records = {record.image_id: record for record in catalog.images(OWNER, wanted)}
    now = time.monotonic()
    for source in sources:
        record = records.get(source.image_id or "")
        if record is not None:
            upload = pending[source.key]
            yield Outcome(upload.path, record, now - upload.uploaded_at), source.key


def _stuck(pending: dict[str, Upload]) -> str:
    some = ", ".join(upload.path.name for upload in list(pending.values())[:3])
    return (
        f"no progress for {NO_PROGRESS_SECONDS:.0f} s with {len(pending)} photos unfinished "
        f"({some}{', ...' if len(pending) > 3 else ''}); see `darkroom status`, "
        "`darkroom dead-letters list` and `darkroom logs`"
    )
