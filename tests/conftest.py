"""Environment variables that testcontainers reads at its import."""

from __future__ import annotations

import os
from pathlib import Path

# The reaper is a separate image that not every machine can pull; the fixtures clean up instead.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
if Path("/.dockerenv").exists():
    # testcontainers assumes that it runs inside a container of the engine, where published ports
    # are not on loopback. Here they are.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
