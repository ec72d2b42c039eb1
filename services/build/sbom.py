"""Bills of materials of function images, in CycloneDX."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.build.engine import docker

# For an image without a creation time.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Lists what is installed in an image, from the inside: ours, and what the base's runtime brings.
LIST_DISTRIBUTIONS = """
import importlib.metadata, json
print(json.dumps([
    {"name": d.metadata["Name"], "version": d.version, "folder": folder,
     "license": d.metadata["License-Expression"] or d.metadata["License"] or ""}
    for folder in ("/var/task", "/var/runtime")
    for d in importlib.metadata.distributions(path=[folder])
]))
"""


def write_sbom(path: Path, function: str, image: dict[str, Any], revision_label: str) -> None:
    """Writes the bill of materials of an image: its Python distributions."""
    listed = json.loads(
        docker("run", "--rm", "--network=none", "--entrypoint=python", image["Id"], "-c",
               LIST_DISTRIBUTIONS)
    )  # fmt: skip
    labels = image["Config"]["Labels"]
    path.parent.mkdir(parents=True, exist_ok=True)
    document = sbom(
        function,
        image["Id"],
        version=labels.get(revision_label, ""),
        created=labels.get("org.opencontainers.image.created", ""),
        listed=listed,
    )
    path.write_text(document + "\n", encoding="utf-8")


def sbom(
    function: str, image_id: str, *, version: str, created: str, listed: Iterable[dict[str, str]]
) -> str:
    """A CycloneDX 1.6 document (JSON) of the distributions in `listed` (name, version, license,
    folder). The same arguments give the same text. `created` is a time in ISO 8601, or empty."""
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    image = Component(
        type=ComponentType.CONTAINER,
        bom_ref=image_id,
        name=f"darkroom/{function}",
        version=version,
    )
    timestamp = datetime.fromisoformat(created) if created else EPOCH
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_OID, image_id),
        metadata=BomMetaData(timestamp=timestamp, component=image),
    )
    bom.register_dependency(image)
    for item in listed:
        name = re.sub(r"[-_.]+", "-", item["name"]).lower()
        purl = PackageURL("pypi", name=name, version=item["version"])
        # Some distributions state their licence's whole text; the bill names it only.
        licence = item["license"].strip().partition("\n")[0]
        component = Component(
            type=ComponentType.LIBRARY,
            bom_ref=f"{item['folder']}:{purl}",
            name=name,
            version=item["version"],
            purl=purl,
            licenses=[DisjunctiveLicense(name=licence)] if licence else [],
            properties=[Property(name="darkroom:folder", value=item["folder"])],
        )
        bom.components.add(component)
        bom.register_dependency(image, [component])
    return JsonV1Dot6(bom).output_as_string(indent=1)
