"""A project with one function."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.platform.manifest import Manifest, load
from tests.unit.build.support import FUNCTION_YAML


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project: a function, a capability with a template, and a worker."""
    files = {
        "images/greet/function.yaml": FUNCTION_YAML,
        "images/greet/handler.py": "from services.mail.greet import greet\n",
        "images/greet/requirements.txt": "boto3==1\n",
        "images/greet/requirements.in": "boto3\n",
        "images/greet/README.md": "about",
        "docker/Dockerfile": "FROM base\n",
        "docker/entrypoint.sh": "",
        "docker/trim.py": "",
        "docker/worker-requirements.txt": "",
        "services/__init__.py": "",
        "services/cli/__init__.py": "",
        "services/mail/__init__.py": "",
        "services/mail/greet.py": "def greet():\n    from services.platform import clock\n",
        "services/mail/unused.py": "",
        "services/mail/templates/hello.html": "<p>",
        "services/mail/versions/0001_first.py": "import services.cli\n",
        "services/platform/__init__.py": "",
        "services/platform/clock.py": "from . import errors as e\nfrom .errors import now\n",
        "services/platform/errors.py": "import time\n",
        "services/platform/other.py": "",
        "services/orders/__init__.py": "",
        "services/worker/__init__.py": "",
        "services/worker/__main__.py": "import services.worker.supervisor\n",
        "services/worker/supervisor.py": "",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


@pytest.fixture
def greet(project: Path) -> Manifest:
    return load(project / "images" / "greet")
