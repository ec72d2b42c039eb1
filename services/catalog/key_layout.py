"""Which owner and name the key of an original has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.catalog.model import OriginalName, parse_original_key
from services.platform.errors import ConfigurationError, PermanentError

# Owner of originals whose key matches the pattern without an owner, such as at the bucket's top.
NO_OWNER = "shared"


@dataclass(frozen=True)
class KeyLayout:
    """The layout of the bucket of originals. `pattern` is a regular expression with the groups
    `owner` and `name`, for buckets with keys of their own; without it, keys are those of uploads,
    `<owner>/<upload>/<filename>`."""

    pattern: re.Pattern[str] | None = None

    @classmethod
    def of(cls, text: str) -> KeyLayout:
        """The layout that a configuration names; empty text for that of uploads. Raises
        ConfigurationError."""
        if not text:
            return cls()
        try:
            pattern = re.compile(text)
        except re.error as error:
            raise ConfigurationError("KEY_PATTERN", [f"{text!r} is no pattern: {error}"]) from None
        if missing := {"owner", "name"} - pattern.groupindex.keys():
            raise ConfigurationError(
                "KEY_PATTERN", [f"{text!r} has no group {' and no group '.join(sorted(missing))}"]
            )
        return cls(pattern)

    def parse(self, key: str) -> OriginalName:
        """The parts of an original's key. Raises PermanentError for a key of another form."""
        if self.pattern is None:
            return parse_original_key(key)
        matched = self.pattern.fullmatch(key)
        if matched is None or not matched["name"]:
            raise PermanentError(
                f"{key!r} is not a key of an original; expected {self.pattern.pattern}"
            )
        return OriginalName(matched["owner"] or NO_OWNER, "", matched["name"], key)


UPLOADS = KeyLayout()
