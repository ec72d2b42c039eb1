"""What testcontainers reads when it is imported, so before any other test file."""

from __future__ import annotations

import os
from pathlib import Path

# The reaper is an image of its own, which not every machine can pull: we clean up ourselves.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
if Path("/.dockerenv").exists():
    # testcontainers takes us to be inside one of the engine's own containers, where published
    # ports do not answer on loopback. Here they do.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
