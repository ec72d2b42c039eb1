"""export-account: writes the export of a user's data into a bucket."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import msgspec

from services.events.accounts import parse_account_event
from services.exports.contents import Contents
from services.exports.store import DataExports
from services.platform import log, timestamps
from services.platform.functions.sqs import Message

FORMAT = "darkroom-export-1"
_IN_MEMORY_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class ExportAccount:
    """Handles requests for exports."""

    exports: DataExports
    contents: Contents
    s3: Any
    bucket: str

    def handle(self, message: Message) -> None:
        """Makes one export. A second delivery finds it made and does nothing. Raises PermanentError
        for a message that is no account event."""
        event = parse_account_event(message.body)
        export = self.exports.find(event.id)
        owner = None if export is None else self.contents.owner(export.user_id)
        if export is None or export.made_at is not None or owner is None:
            log.logger().info("export_not_wanted", export_id=event.id)
            return
        log.bind(user_id=owner.id)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as document:
            write_document(document, self.contents.parts(owner))
            size = document.tell()
            document.seek(0)
            self.s3.put_object(
                Bucket=self.bucket, Key=export.key, Body=document, ContentType="application/json"
            )
        self.exports.finish(export.id, size)
        log.logger().info("export_made", export_id=export.id, bytes=size)


def write_document(
    out: IO[bytes], parts: Iterable[tuple[str, dict[str, Any] | Iterator[Any]]]
) -> None:
    """Writes a JSON object with `parts` as its members, an item at a time: there may be many
    photos."""
    out.write(b'{"format":' + _json(FORMAT) + b',"made_at":' + _json(timestamps.now("seconds")))
    for name, value in parts:
        out.write(b",\n" + _json(name) + b":")
        if isinstance(value, dict):
            out.write(_json(value))
            continue
        out.write(b"[")
        for number, item in enumerate(value):
            out.write((b",\n" if number else b"\n") + _json(item))
        out.write(b"]")
    out.write(b"}\n")


def _json(value: Any) -> bytes:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode()
