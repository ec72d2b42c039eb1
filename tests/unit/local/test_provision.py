from pathlib import Path

import pytest

from services.local import topology
from services.local.provision import provision
from services.platform import manifest
from services.platform.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]


def test_origins_of_the_lab_are_configured_besides_vites_default() -> None:
    page = "http://localhost:9999"
    loaded = topology.load(ROOT / "terraform" / "lab" / "topology.yaml").with_sites([page])
    assert {page, "http://localhost:5173"} <= {*loaded.sites["web"]}


class NoSession:
    """Fails the test if anything is made before the manifests are checked."""

    def client(self, service: str) -> None:
        pytest.fail(f"a client of {service} was asked for")


def test_a_manifest_that_names_what_is_not_there_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    text = (ROOT / "images" / "process-image" / "function.yaml").read_text()
    folder = tmp_path / "some-function"
    folder.mkdir()
    changed = text.replace("{table: images}", "{table: pictures}").replace(
        "bucket: originals\n", "bucket: negatives\n"
    )
    assert changed != text
    (folder / "function.yaml").write_text(changed)
    with pytest.raises(ConfigurationError) as caught:
        provision(
            NoSession(),
            topology.load(ROOT / "terraform" / "lab" / "topology.yaml"),
            [manifest.load(folder)],
        )
    assert sorted(caught.value.mistakes) == [
        "some-function names the bucket 'negatives', which the topology does not have",
        "some-function names the table 'pictures', which the topology does not have",
    ]


@pytest.mark.parametrize("text", ["", "buckets: {}", "buckets: [a]\ntables: {}\n", "a: ["])
def test_a_topology_that_is_none_gets_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "topology.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"topology\.yaml"):
        topology.load(path)


def test_uploads_come_from_a_site_that_there_is(tmp_path: Path) -> None:
    folder = ROOT / "terraform" / "lab"
    text = (folder / "topology.yaml").read_text()
    changed = text.replace("uploads_from: web", "uploads_from: webb")
    changed = changed.replace("order-workflow.asl.json", str(folder / "order-workflow.asl.json"))
    changed = changed.replace("recipes.yaml", str(folder / "recipes.yaml"))
    assert changed != text
    path = tmp_path / "topology.yaml"
    path.write_text(changed)
    with pytest.raises(ConfigurationError, match=r"must be one of \['web'\], got 'webb'"):
        topology.load(path)
