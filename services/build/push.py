"""Pushes function images to a registry and records their digests for Terraform."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.build.engine import (
    STANDIN_LABEL,
    ImageError,
    console,
    docker,
    inspect,
    require_engine,
    warn,
)
from services.build.images import REPOSITORY, ROOT, chosen, each, revision
from services.platform.manifest import Feature, Manifest

DIGESTS_FILE = ROOT / "terraform" / "lab" / "images.auto.tfvars.json"
ECR_HOST = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")


def login(registry: str, username: str | None, password: str | None) -> None:
    """Logs the docker command in to `registry`: at ECR with AWS's credentials, elsewhere with
    what is given, or not at all when nothing is. Raises ImageError."""
    host = registry.partition("/")[0]
    if username is None and (match := ECR_HOST.fullmatch(host)):
        username, password = ecr_credentials(match["region"])
    if username is not None:
        docker("login", "--username", username, "--password-stdin", host, stdin=password)


def ecr_credentials(region: str) -> tuple[str, str]:
    """User name and password for the account's registry, good for 12 hours. Raises ImageError."""
    import base64

    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = boto3.client("ecr", region_name=region).get_authorization_token()
    except (BotoCoreError, ClientError) as error:
        raise ImageError(f"ECR gives no login token in {region}: {error}") from error
    token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    username, _, password = token.partition(":")
    return username, password


@dataclass(frozen=True)
class Pushed:
    """An image in the registry. `reference` is what Lambda and Terraform take, by digest."""

    function: str
    reference: str
    seconds: float


def push(
    names: Sequence[str],
    *,
    registry: str,
    allow_dirty: bool,
    username: str | None = None,
    password: str | None = None,
    features: Iterable[Feature] = (),
) -> tuple[list[Pushed], list[str]]:
    """Pushes the images that `chosen` selects, of this revision, and notes the digests in
    DIGESTS_FILE when all went well. Returns them, and what failed. Raises ImageError when the tree
    is dirty."""
    manifests = chosen(names, features)
    require_engine()
    now = revision()
    if now.dirty and not allow_dirty:
        raise ImageError(
            f"expected a clean working tree, since images are pushed under their revision; "
            f"{now.commit} has changes on top: commit them, or push with --allow-dirty"
        )
    login(registry, username, password)

    def push_one(manifest: Manifest) -> Pushed:
        began = time.monotonic()
        local = f"{REPOSITORY}/{manifest.name}:{now.tag}"
        here = inspect(local)
        if here is None:
            raise ImageError(f"expected the image {local}, found none: make images")
        if STANDIN_LABEL in (here["Config"].get("Labels") or {}):
            warn(f"{manifest.name}: built on a stand-in of the base; for tests, not for Lambda")
        repository = f"{registry}/{REPOSITORY}/{manifest.name}"
        docker("tag", local, f"{repository}:{now.tag}")
        docker("push", f"{repository}:{now.tag}")
        found = inspect(f"{repository}:{now.tag}") or {}
        digests = [d for d in found.get("RepoDigests", []) if d.startswith(f"{repository}@")]
        if not digests:
            raise ImageError(f"expected a digest of {repository} after its push, got none")
        return Pushed(manifest.name, digests[-1], time.monotonic() - began)

    pushed, failed = each(
        manifests,
        push_one,
        lambda image: console.print(f"{image.function}: pushed, {image.seconds:.1f} s"),
    )
    if not failed:
        note_digests(DIGESTS_FILE, pushed)
    return pushed, failed


def note_digests(path: Path, pushed: Iterable[Pushed]) -> None:
    """Writes the digests for Terraform; those of functions that were not pushed now stay."""
    known: dict[str, str] = {}
    if path.is_file():
        known = json.loads(path.read_text()).get("image_digests", {})
    known |= {image.function: image.reference for image in pushed}
    document = {"image_digests": dict(sorted(known.items()))}
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(document, indent=2) + "\n")
    beside.replace(path)
