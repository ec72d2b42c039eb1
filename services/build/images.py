"""Builds the function images.

An image is built again only when its inputs have changed: an untouched function keeps its digest
from one revision to the next, and Lambda has nothing to deploy.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from services.build.base_image import choose_base
from services.build.context import Context, stage
from services.build.engine import (
    ImageError,
    console,
    docker,
    explain,
    inspect,
    require_engine,
)
from services.build.sbom import write_sbom
from services.platform.errors import ConfigurationError, DarkroomError
from services.platform.manifest import Feature, Manifest, closed, load_all

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".darkroom"
PINS = ROOT / "docker" / "base-image.json"
REPOSITORY = "darkroom"
CONTENT_LABEL = "dev.darkroom.content"
REVISION_LABEL = "org.opencontainers.image.revision"
MIB = 1024 * 1024
Done = TypeVar("Done")


@dataclass(frozen=True)
class Revision:
    """The state of the sources: git's short commit id, `-dirty` when the tree differs from it."""

    commit: str
    created: str
    dirty: bool

    @property
    def tag(self) -> str:
        return f"{self.commit}-dirty" if self.dirty else self.commit


@dataclass(frozen=True)
class Built:
    """One function's image. Sizes in bytes, uncompressed; `seconds` is what this run took."""

    function: str
    image: str
    id: str
    size_over_base: int
    budget_mib: int
    built: bool
    seconds: float

    @property
    def mib_over_base(self) -> float:
        return self.size_over_base / MIB

    @property
    def within_budget(self) -> bool:
        return self.mib_over_base <= self.budget_mib


def revision() -> Revision:
    """What is checked out. Outside a git repository the revision is `unknown`, and dirty."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        if git("status", "--porcelain"):
            return Revision(commit, now, dirty=True)
        # The commit's own time, so that the same sources give the same image.
        return Revision(commit, git("show", "-s", "--format=%cI", "HEAD"), dirty=False)
    except (OSError, subprocess.CalledProcessError):
        return Revision("unknown", now, dirty=True)


def chosen(names: Sequence[str], features: Iterable[Feature] = ()) -> tuple[Manifest, ...]:
    """The functions of those names, and of those features with what these need; all functions
    without names and features. Raises ConfigurationError."""
    manifests = {manifest.name: manifest for manifest in load_all(ROOT / "images")}
    if unknown := sorted(set(names) - manifests.keys()):
        raise ConfigurationError(
            "functions", [f"expected {', '.join(manifests)}, got {', '.join(unknown)}"]
        )
    wanted = closed(features)
    selected = [*names, *(name for name, m in manifests.items() if m.feature in wanted)]
    return tuple(manifests[name] for name in dict.fromkeys(selected or manifests))


@dataclass(frozen=True)
class Builder:
    """What all builds of one run share. `base` is the base image as the engine describes it."""

    base_name: str
    base: dict[str, Any]
    platform: str
    revision: Revision
    version: str
    force: bool

    def build(self, manifest: Manifest) -> Built:
        """Builds one image unless what goes into it is unchanged. Raises ImageError."""
        began = time.monotonic()
        context = stage(ROOT, manifest, STATE / "images" / manifest.name)
        content = f"{context.digest}-{self.base['Id'].removeprefix('sha256:')[:12]}-{self.version}"
        name = f"{REPOSITORY}/{manifest.name}"
        image = f"{name}:{self.revision.tag}"
        found = inspect(f"{name}:latest")
        fresh = found is None or self.force or not self._serves(found, content)
        if fresh:
            self._run(manifest, context, content, image)
        docker("tag", image if fresh else f"{name}:latest", f"{name}:latest")
        docker("tag", f"{name}:latest", image)
        found = inspect(image)
        if found is None:
            raise ImageError(f"expected the image {image} after its build, found none")
        bill = STATE / "sbom" / f"{manifest.name}.cdx.json"
        if fresh or not bill.is_file():
            write_sbom(bill, manifest.name, found, REVISION_LABEL)
        return Built(
            function=manifest.name,
            image=image,
            id=found["Id"],
            size_over_base=found["Size"] - self.base["Size"],
            budget_mib=manifest.budgets.image_mib_over_base,
            built=fresh,
            seconds=time.monotonic() - began,
        )

    def _serves(self, found: dict[str, Any], content: str) -> bool:
        labels = found["Config"].get("Labels") or {}
        # An image that says `-dirty` is not what a clean commit should be known by.
        clean_again = labels.get(REVISION_LABEL, "").endswith("-dirty") and not self.revision.dirty
        same_platform = f"{found['Os']}/{found['Architecture']}" == self.platform
        return labels.get(CONTENT_LABEL) == content and same_platform and not clean_again

    def _run(self, manifest: Manifest, context: Context, content: str, image: str) -> None:
        arguments = {
            "BASE": self.base_name,
            "FUNCTION": manifest.name,
            "VERSION": self.version,
            "REVISION": self.revision.tag,
            "CREATED": self.revision.created,
            "BOTOCORE_SERVICES": " ".join(context.botocore_services),
        }
        command = ["docker", "buildx", "build", "--load", "--progress=plain"]
        # Lambda takes a single image, not an index with attestations beside it.
        command += ["--provenance=false", "--platform", self.platform, "--tag", image]
        command += ["--label", f"{CONTENT_LABEL}={content}", *build_secrets()]
        for name, value in arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        log = context.folder.with_suffix(".log")
        with log.open("w+") as output:
            done = subprocess.run(
                [*command, str(context.folder)], stdout=output, stderr=output, check=False
            )
            output.seek(0)
            if done.returncode:
                raise ImageError(explain(f"building {image} (all of it in {log})", output.read()))


def build_secrets() -> list[str]:
    """pip's settings and certificate authorities of this machine, for the build only."""
    anchors = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    settings = os.environ.get("PIP_CONFIG_FILE", "/etc/pip.conf")
    secrets = []
    for name, path in (("anchors", anchors), ("pip", settings)):
        if Path(path).is_file():
            secrets += ["--secret", f"id={name},src={path}"]
    if os.environ.get("PIP_INDEX_URL"):
        secrets += ["--secret", "id=index,env=PIP_INDEX_URL"]
    return secrets


def each(
    manifests: Sequence[Manifest], work: Callable[[Manifest], Done], report: Callable[[Done], None]
) -> tuple[list[Done], list[str]]:
    """Does `work` on every function, as many at a time as there are cores. What is done comes in
    the order of `manifests`; what failed, as messages."""
    done: dict[str, Done] = {}
    failed: list[str] = []
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        running = {pool.submit(work, manifest): manifest.name for manifest in manifests}
        for future in as_completed(running):
            name = running[future]
            try:
                done[name] = future.result()
                report(done[name])
            except DarkroomError as error:
                failed.append(f"{name}: {error}")
                console.print(f"[red]{name}: failed")
    return [done[m.name] for m in manifests if m.name in done], failed


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Holds the lock in `path`: builds share the folders that they stage into."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("waiting for another build to end ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(
    names: Sequence[str],
    *,
    base: str,
    wanted: str,
    force: bool,
    refresh: bool = False,
    features: Iterable[Feature] = (),
) -> tuple[list[Built], list[str]]:
    """Builds the images of the functions that `chosen` selects. Returns them, and what failed or
    is over its budget. `refresh` takes the newest base image of its tag, and pins it."""
    manifests = chosen(names, features)
    require_engine()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    with one_at_a_time(STATE / "images.lock"):
        name, found = choose_base(base, wanted, refresh=refresh, pins=PINS)
        builder = Builder(name, found, wanted, revision(), version, force)
        console.print(f"building {len(manifests)} images on {name} ({wanted})")
        images, failed = each(
            manifests,
            builder.build,
            lambda image: console.print(
                f"{image.function}: {'built' if image.built else 'unchanged'}, "
                f"{image.seconds:.1f} s"
            ),
        )
    failed += [
        f"{image.function}: expected at most {image.budget_mib} MiB over the base, got "
        f"{image.mib_over_base:.1f}: what does it bring that it does not need?"
        for image in images
        if not image.within_budget
    ]
    return images, failed
