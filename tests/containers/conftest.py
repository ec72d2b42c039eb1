"""A Docker engine, the images built, and LocalStack with MiniStack's DynamoDB beside it.

Without an engine these tests are skipped, and say so; where CI=true they fail. Whatever they start
carries the label OWNER_LABEL and is removed at the end, or by the next run if this one is killed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.build import images
from tests.containers import support

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def engine() -> Iterator[support.Engine]:
    """The engine, clean before and after."""
    engine = support.Engine.required()
    engine.remove_abandoned()
    yield engine
    engine.remove_own()


@pytest.fixture(scope="session")
def built(engine: support.Engine) -> dict[str, images.Built]:
    """Every function's image, built when something in it has changed."""
    done, failed = images.build((), base=images.BASE, wanted=images.host_platform(), force=False)
    over_budget = {image.function for image in done if not image.within_budget}
    if len(over_budget) < len(failed):
        pytest.fail("the images do not build:\n" + "\n".join(failed))
    return {image.function: image for image in done}


@pytest.fixture(scope="session")
def cloud(engine: support.Engine) -> Iterator[support.Cloud]:
    """LocalStack and MiniStack in one network, for the whole session."""
    with support.Cloud.started(engine) as cloud:
        yield cloud


@pytest.fixture
def lab(cloud: support.Cloud, built: dict[str, images.Built]) -> Iterator[support.ContainerLab]:
    """Queues, buckets, tables and topics of this test alone. What it starts ends with it."""
    with ExitStack() as cleanup:
        yield support.ContainerLab(cloud, built, f"t{uuid.uuid4().hex[:8]}", cleanup)
