"""Notes from which sources services/web/dist was built.

    python -m services.build.web    writes services/web/dist.sha256

The build is committed: a test compares the note with the sources, and needs no Node for it.
"""

from __future__ import annotations

import hashlib

from services.platform.checkout import PROJECT

WEB = PROJECT / "services" / "web"
NOTE = WEB / "dist.sha256"
_SOURCES = (
    "index.html", "docs.html", "pay.html", "package-lock.json", "vite.config.ts", "tsconfig.json",
)  # fmt: skip
_FOLDERS = ("src", "public")


def digest() -> str:
    """The SHA-256 of all sources of the page, in hexadecimal digits. Raises OSError."""
    paths = [WEB / name for name in _SOURCES]
    paths += [path for folder in _FOLDERS for path in (WEB / folder).rglob("*") if path.is_file()]
    total = hashlib.sha256()
    for path in sorted(paths):
        if not path.name.endswith(".test.ts"):
            total.update(path.relative_to(WEB).as_posix().encode() + b"\0")
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


if __name__ == "__main__":
    NOTE.write_text(digest() + "\n", encoding="ascii")
