"""What runs over many photos share: batches of messages, and progress from which the next run of
the same selection goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from services.platform.errors import TransientError

Progress = TypeVar("Progress")

# The maximum of one SQS call.
BATCH_MAX = 10


def send_batch(sqs: Any, queue_url: str, bodies: Sequence[str]) -> None:
    """Sends up to `BATCH_MAX` messages. Raises TransientError when SQS does not take one."""
    answer = sqs.send_message_batch(
        QueueUrl=queue_url,
        Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)],
    )
    if failed := answer.get("Failed"):
        raise TransientError(
            f"SQS did not take {len(failed)} of {len(bodies)} messages "
            f"({failed[0].get('Message', 'no reason given')}); run the command again"
        )


@dataclass(frozen=True)
class ProgressFile:
    """The progress of an unfinished run, as JSON."""

    path: Path

    @staticmethod
    def of(folder: Path, kind: str, identity: str) -> ProgressFile:
        """The file in `folder` for one kind of run and what identifies its selection."""
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return ProgressFile(folder / f"{kind}-{digest}.json")

    def read(self, parse: Callable[[dict[str, Any]], Progress]) -> Progress | None:
        """The progress; None without an unfinished run. Raises TransientError for a damaged
        file."""
        try:
            return parse(json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise TransientError(
                f"{self.path} is damaged ({error!r}); delete it to begin anew"
            ) from None

    def write(self, document: Mapping[str, Any]) -> None:
        """Replaces the progress in one step."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(document), encoding="utf-8")
        draft.replace(self.path)

    def clear(self) -> None:
        """Removes the progress of a run that has ended."""
        self.path.unlink(missing_ok=True)
