"""A network is deleted only after the published versions that use it, on the emulator's Lambda."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from services.deploy.networks import NetworkInUseError
from services.deploy.release import Releaser, Reporter, Result, Settings
from services.local import emulator as emulators
from services.local.emulator import free_port
from services.monitoring.release_record import Record, parameter_name, read_record, write_record
from services.runtime.processes import die_with_parent
from tests.infrastructure.environment import Cloud
from tests.integration.deploy.planned import PREFIX, PlannedLab, lambda_output

PARAMETER = parameter_name(PREFIX)
FUNCTION, OTHER = f"{PREFIX}-get-image", f"{PREFIX}-list-images"
SETTINGS = Settings(weight=0.1, bake_seconds=0, deletions=True)


def planned(*deletions: dict[str, Any]) -> PlannedLab:
    """A lab whose live versions are FUNCTION's 2 and OTHER's 1."""
    live = {FUNCTION: "2", OTHER: "1"}
    functions = {
        name.removeprefix(f"{PREFIX}-"): lambda_output(name, version)
        for name, version in live.items()
    }
    return PlannedLab(functions, list(deletions))


@dataclass(frozen=True)
class Network:
    """Two functions on the emulator. Version 1 of FUNCTION uses the subnet `old`, its version 2 and
    OTHER use `new`."""

    cloud: Cloud
    old: str
    new: str

    def releaser(self, *deletions: dict[str, Any]) -> Releaser:
        return self.of(planned(*deletions))

    def of(self, terraform: PlannedLab) -> Releaser:
        reporter = Reporter(lambda _text: None, lambda _left: None)
        return Releaser(terraform, self.cloud.client, reporter)

    def versions(self) -> list[str]:
        found = self.cloud.client("lambda").list_versions_by_function(FunctionName=FUNCTION)
        return [version["Version"] for version in found["Versions"]]

    def record(self) -> Record:
        return read_record(self.cloud.client("ssm"), PARAMETER)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    log = tmp_path_factory.mktemp("network") / "emulator.log"
    emulator = emulators.start(free_port(), log, None, die_with_parent)
    try:
        yield Cloud(emulator.endpoint)
    finally:
        emulators.stop(emulator)


@pytest.fixture
def network(cloud: Cloud) -> Iterator[Network]:
    lambda_, ec2 = cloud.client("lambda"), cloud.client("ec2")
    old, new, *_ = sorted(subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"])
    (group,) = [found["GroupId"] for found in ec2.describe_security_groups()["SecurityGroups"]]
    for name, subnet in ((FUNCTION, old), (OTHER, new)):
        lambda_.create_function(
            FunctionName=name, Role="arn:aws:iam::000000000000:role/any", Publish=True,
            PackageType="Image", Code={"ImageUri": f"{name}:1"},
            VpcConfig={"SubnetIds": [subnet], "SecurityGroupIds": [group]},
        )  # fmt: skip
    lambda_.update_function_configuration(
        FunctionName=FUNCTION, VpcConfig={"SubnetIds": [new], "SecurityGroupIds": [group]}
    )
    lambda_.publish_version(FunctionName=FUNCTION)
    record = Record(before={"get-image": "1", "list-images": "1"}, mail_rate=14)
    write_record(cloud.client("ssm"), PARAMETER, record)
    yield Network(cloud, old, new)
    for name in (FUNCTION, OTHER):
        lambda_.delete_function(FunctionName=name)


def deletion(address: str, type_: str, **before: str) -> dict[str, Any]:
    change = {"actions": ["delete"], "before": before, "after_unknown": {}}
    return {"address": address, "mode": "managed", "type": type_, "change": change}


def subnet(name: str) -> dict[str, Any]:
    return deletion("module.database[0].aws_subnet.private", "aws_subnet", id=name)


def test_release_that_deletes_the_network_of_an_old_version_is_refused(network: Network) -> None:
    terraform = planned(subnet(network.old))
    with pytest.raises(NetworkInUseError, match=rf"{network.old}, .*use: {FUNCTION} 1\. "):
        network.of(terraform).deploy(SETTINGS)
    assert terraform.applied == 0


def test_release_deletes_the_network_after_the_versions(network: Network) -> None:
    (deleted,) = network.releaser().delete_versions()
    assert (deleted.function, deleted.number) == (FUNCTION, "1")
    assert network.versions() == ["$LATEST", "2"]
    terraform = planned(subnet(network.old))
    assert network.of(terraform).deploy(SETTINGS).result is Result.RELEASED
    assert terraform.applied == 1


def test_rollback_does_not_go_back_to_a_deleted_version(network: Network) -> None:
    network.releaser().delete_versions()
    assert network.record() == Record(before={"list-images": "1"}, mail_rate=14)


def test_dry_run_deletes_no_version(network: Network) -> None:
    before = network.record()
    (listed,) = network.releaser().delete_versions(dry_run=True)
    assert (listed.function, listed.number) == (FUNCTION, "1")
    assert network.versions() == ["$LATEST", "1", "2"]
    assert network.record() == before


def test_version_in_the_network_of_the_live_one_stays(network: Network) -> None:
    network.cloud.client("lambda").update_function_code(
        FunctionName=FUNCTION, ImageUri=f"{FUNCTION}:2", Publish=True
    )
    assert [version.number for version in network.releaser().delete_versions()] == ["1"]
    assert network.versions() == ["$LATEST", "2", "3"]


def test_functions_that_are_deleted_too_do_not_hold_up_their_network(network: Network) -> None:
    function = deletion(
        'module.function["get-image"].aws_lambda_function.this', "aws_lambda_function"
    )
    releaser = network.releaser(subnet(network.old), function)
    assert releaser.deploy(SETTINGS).result is Result.RELEASED
