"""The message that asks process-image to develop an image again."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from services.events.cloudevents import open_envelope
from services.platform.errors import PermanentError

_MARKER = "redevelop"


@dataclass(frozen=True)
class RedevelopmentRequest:
    """Asks to develop `image_id` of `owner` again, from the original `source_key` in `bucket`."""

    bucket: str
    owner: str
    image_id: str
    source_key: str

    def encode(self) -> str:
        """The body of a queue message."""
        return json.dumps({_MARKER: dataclasses.asdict(self)})


def parse_redevelopment(body: str) -> RedevelopmentRequest | None:
    """The request in a queue message; None for another message. Raises PermanentError for a
    request that is incomplete."""
    document = open_envelope(body)
    if _MARKER not in document:
        return None
    wanted = document[_MARKER]
    names = [field.name for field in dataclasses.fields(RedevelopmentRequest)]
    if not isinstance(wanted, dict) or not all(isinstance(wanted.get(n), str) for n in names):
        raise PermanentError(
            f"invalid request: expected the texts {', '.join(names)} in `{_MARKER}`, "
            f"got {str(wanted)[:200]!r}"
        )
    return RedevelopmentRequest(**{name: wanted[name] for name in names})
