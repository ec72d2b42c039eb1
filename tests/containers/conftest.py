"""A Docker engine, the built function images, and LocalStack with MiniStack's DynamoDB.

Without an engine these tests are skipped, or fail if CI=true. Their containers and networks carry
the label OWNER_LABEL and are removed at the end, or by the next run if this one is killed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from services.build import engine as docker_engine
from services.build import images
from tests.containers.cloud import Cloud
from tests.containers.engine import Engine
from tests.containers.lab import ContainerLab

HERE = Path(__file__).parent
# The files whose tests share a LocalStack, and the one whose tests check that nothing of a run is
# left in the engine: each in one test process.
SHARED = ("test_http.py", "test_worker.py", "test_workflow.py")
ALONE = "test_container_load.py"


class ByFixture(LoadScopeScheduling):  # type: ignore[misc]
    """Distributes all other tests one by one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].rpartition("/")[2]
        if file == ALONE:
            return file
        return "LocalStack" if file in SHARED else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFixture:
    return ByFixture(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The engine, without leftovers before and after."""
    engine = Engine.required()
    engine.remove_abandoned()
    yield engine
    engine.remove_own()


@pytest.fixture(scope="session")
def built(engine: Engine) -> dict[str, images.Built]:
    """Function name to its image, rebuilt if its content changed."""
    done, failed = images.build(
        (), base=docker_engine.BASE, wanted=docker_engine.host_platform(), force=False
    )
    over_budget = {image.function for image in done if not image.within_budget}
    if len(over_budget) < len(failed):
        pytest.fail("the images do not build:\n" + "\n".join(failed))
    return {image.function: image for image in done}


@pytest.fixture(scope="session")
def cloud(engine: Engine) -> Iterator[Cloud]:
    """LocalStack and MiniStack in one network."""
    with Cloud.started(engine) as cloud:
        yield cloud


@pytest.fixture
def lab(cloud: Cloud, built: dict[str, images.Built]) -> Iterator[ContainerLab]:
    """A lab of this test alone, removed at its end."""
    with ExitStack() as cleanup:
        yield ContainerLab(cloud, built, f"t{uuid.uuid4().hex[:8]}", cleanup)
