"""Every function image under the Runtime Interface Emulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.build.engine import BASE
from services.build.images import Built
from services.build.openapi import placeholder_environment
from services.local.emulator import REGION
from services.platform.manifest import Manifest, Reference, Resource
from tests.containers.engine import Engine
from tests.containers.function_containers import emulated
from tests.containers.lab import MANIFESTS, ContainerLab, sqs_record

every_function = pytest.mark.parametrize("function", sorted(MANIFESTS))
queue_functions = pytest.mark.parametrize(
    "function", sorted(name for name, m in MANIFESTS.items() if m.queue)
)
MEASURE_INITIALIZATION = Path(__file__).with_name("measure_initialization.py")
SMALLEST_SHARE_OF_BUDGET = 0.85


@every_function
def test_function_answers_a_warmer(engine: Engine, built: dict[str, Built], function: str) -> None:
    manifest = MANIFESTS[function]
    with emulated(
        engine,
        built[function].image,
        placeholder_environment(manifest),
        memory_mib=manifest.memory_mib,
    ) as running:
        assert running.invoke({"warmer": True}) == {"warm": True}
        assert running.invoke({"warmer": True}) == {"warm": True}


@queue_functions
def test_function_malformed_message_is_reported_as_failed(
    engine: Engine, built: dict[str, Built], function: str
) -> None:
    manifest = MANIFESTS[function]
    record = sqs_record("no JSON", "message-1", f"arn:aws:sqs:{REGION}:000000000000:queue")
    with emulated(
        engine,
        built[function].image,
        placeholder_environment(manifest),
        memory_mib=manifest.memory_mib,
    ) as running:
        answer = running.invoke({"Records": [record]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}


def test_functions_develop_and_announce_a_photo(lab: ContainerLab) -> None:
    key = lab.upload(1)

    process_image = lab.emulated("process-image")
    answer = process_image.invoke({"Records": [lab.take("process-image", key)]})
    assert answer == {"batchItemFailures": []}, process_image.logs()
    assert lab.developed([key]) == [key]

    send_image_email = lab.emulated("send-image-email")
    answer = send_image_email.invoke({"Records": [lab.take("send-image-email", key)]})
    assert answer == {"batchItemFailures": []}, send_image_email.logs()
    assert any("photo-1.jpg" in mail for mail in lab.mails())


def required_variables(manifest: Manifest) -> list[str]:
    """The environment variables without which the function does not start."""
    return [
        name
        for name, value in manifest.environment.items()
        # Without a secret the function uses an IAM token, and without recipes the standard one; the
        # second factor is optional.
        if isinstance(value, Reference)
        and value != Reference(Resource.SECRET, "database")
        and value != Reference(Resource.LAB, "administrator-second-factor")
        and value.resource is not Resource.RECIPES
    ]


@pytest.mark.parametrize(
    "function", sorted(name for name, m in MANIFESTS.items() if required_variables(m))
)
def test_function_without_configuration_reports_every_mistake(
    engine: Engine, built: dict[str, Built], function: str
) -> None:
    manifest = MANIFESTS[function]
    missing = required_variables(manifest)
    environment = {
        name: value
        for name, value in placeholder_environment(manifest).items()
        if name not in missing
    }
    with emulated(
        engine, built[function].image, environment, memory_mib=manifest.memory_mib
    ) as running:
        answer = running.invoke({"warmer": True})
    assert answer["errorType"] == "ConfigurationError"
    assert [name for name in missing if name not in answer["errorMessage"]] == []


def test_entrypoint_without_one_argument_fails(engine: Engine, built: dict[str, Built]) -> None:
    for image in built.values():
        started = engine.client.containers.run(
            image.id, ["one", "two"], detach=True, labels=engine.labels
        )
        status = started.wait()["StatusCode"]
        logs = started.logs().decode()
        started.remove()
        assert status == 142
        assert "requires the handler name" in logs


@every_function
def test_image_size_is_within_its_budget(built: dict[str, Built], function: str) -> None:
    image = built[function]
    assert image.mib_over_base <= image.budget_mib


@every_function
def test_initialization_reads_no_more_than_its_budget(
    engine: Engine, built: dict[str, Built], function: str
) -> None:
    """A cold start reads code and data and runs it once. How many KiB it reads does not depend on
    the machine, as its time does: an import too many shows, other load does not."""
    manifest = MANIFESTS[function]
    output = engine.client.containers.run(
        built[function].id,
        ["-c", MEASURE_INITIALIZATION.read_text()],
        entrypoint="python",
        environment={
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(manifest.memory_mib),
            "AWS_LAMBDA_FUNCTION_NAME": function,
            **placeholder_environment(manifest),
        },
        remove=True,
        labels=engine.labels,
    )
    measured = json.loads(output.decode().splitlines()[-1])
    assert measured["answer"] == {"warm": True}
    assert measured["kib"] <= manifest.budgets.init_kib, measured["largest"]
    # A budget far above what is read would let an import pass unseen.
    assert measured["kib"] > manifest.budgets.init_kib * SMALLEST_SHARE_OF_BUDGET


@every_function
def test_image_contains_only_the_functions_modules(
    engine: Engine, built: dict[str, Built], function: str
) -> None:
    listed = engine.client.containers.run(
        built[function].id,
        ["-c", "cd /var/task && find . -type f"],
        entrypoint="/bin/sh",
        remove=True,
        labels=engine.labels,
    )
    files = set(listed.decode().splitlines())
    assert {"./handler.py", "./function.yaml", "./services/worker/__main__.py"} <= files
    for unwanted in ("./services/local", "./services/operations", "./services/cli", "./pip/"):
        assert not [name for name in files if name.startswith(unwanted)]
    assert not [name for name in files if "/tests/" in name]
    # Every module is compiled in advance, so that a cold start compiles nothing.
    for name in (n for n in files if n.startswith("./services/") and n.endswith(".py")):
        folder, _, module = name.rpartition("/")
        compiled = f"{folder}/__pycache__/{module.removesuffix('.py')}.cpython-313.pyc"
        assert compiled in files


@every_function
def test_image_labels_describe_the_image(
    engine: Engine, built: dict[str, Built], function: str
) -> None:
    config = engine.client.images.get(built[function].id).attrs["Config"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == f"darkroom {function}"
    assert labels["org.opencontainers.image.base.name"] == BASE
    for name in ("version", "revision", "created", "licenses"):
        assert labels[f"org.opencontainers.image.{name}"]
    assert config["User"] == "10001:10001"
