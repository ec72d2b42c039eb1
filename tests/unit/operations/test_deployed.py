"""Reading Terraform's outputs, and the errors for files that are not outputs."""

import json
from pathlib import Path

import pytest

from services.monitoring.lab import Queue
from services.operations import deployed
from services.operations.deployed import Deployed
from services.platform.errors import ConfigurationError


def test_outputs_are_read(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    queue = {"url": "https://q", "arn": "arn", "dead_letter_url": "https://d", "x": 1}
    values = {"region": "eu-central-1", "api": None, "queues": {"process-image": queue}, "y": 2}
    file.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
    assert deployed.read(file) == Deployed(
        "eu-central-1", None, {"process-image": Queue("https://q", "https://d")}
    )


def test_outputs_that_a_module_passes_on_are_read(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    lab: dict[str, object] = {"region": "eu-central-1", "api": None, "queues": {}}
    file.write_text(json.dumps({"lab": {"value": lab}}))
    assert deployed.read(file) == Deployed("eu-central-1", None, {})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"region": 1}', '{"queues": {"value": []}}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="terraform output -json"):
        deployed.read(file)


def test_a_missing_file_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="does not exist; write the result of `terraform output -json`"
    ):
        deployed.read(tmp_path / "nothing.json")
