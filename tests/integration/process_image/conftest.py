"""process-image on an emulator."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Provisioned
from tests.integration.process_image.support import Environment


@pytest.fixture
def environment(provisioned: Provisioned) -> Environment:
    return Environment(provisioned)
