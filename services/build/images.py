"""Builds and pushes the function images: `python -m services.build.images build|push`.

Both work on all functions, or on those named. An image is built again only when something that goes
into it has changed, so an untouched function keeps its digest from one revision to the next and
Lambda has nothing to deploy.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import re
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from services.build.context import Context, stage
from services.platform.errors import ConfigurationError, DarkroomError, PermanentError
from services.platform.manifest import Manifest, load_all

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".darkroom"
DIGESTS_FILE = ROOT / "terraform" / "lab" / "images.auto.tfvars.json"
BASE = "public.ecr.aws/lambda/python:3.13"
REPOSITORY = "darkroom"
# Inherited from a base that docker/standins built.
STANDIN_LABEL = "dev.darkroom.standin"
CONTENT_LABEL = "dev.darkroom.content"
REVISION_LABEL = "org.opencontainers.image.revision"
MIB = 1024 * 1024
LOG_TAIL_LINES = 25
ECR_HOST = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")
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

Done = TypeVar("Done", "Built", "Pushed")
console = Console(stderr=True, highlight=False)


def warn(message: str) -> None:
    """Tells the reader, on one line whatever the terminal's width: it may hold a command."""
    console.print(message, style="red", markup=False, soft_wrap=True)


class ImageError(PermanentError):
    """A build or push failed. The message says what to do."""


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


def docker(*arguments: str, stdin: str | None = None) -> str:
    """Runs the docker command and gives what it printed. Raises ImageError with its complaint."""
    try:
        done = subprocess.run(
            ["docker", *arguments], input=stdin, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ImageError(
            "found no docker command: install Docker (on Debian: .ci/engine)"
        ) from None
    if done.returncode:
        raise ImageError(explain(f"docker {arguments[0]}", done.stderr.strip() or done.stdout))
    return done.stdout.strip()


def explain(what: str, output: str) -> str:
    """A failure's output, cut to its end, with what to do about the causes that we know."""
    tail = "\n".join(output.splitlines()[-LOG_TAIL_LINES:])
    for sign, advice in (
        ("no space left on device", "the disk is full: `docker system df`, `docker builder prune`"),
        ("exec format error", "the base is for another processor: --platform linux/amd64 or arm64"),
        (
            "buildx component is missing",
            "BuildKit's buildx plugin is missing: .ci/engine, on Debian",
        ),
        ("'buildx' is not a docker command", "the buildx plugin is missing: .ci/engine, on Debian"),
        ("tag is immutable", "this revision was pushed before, with other content: commit first"),
        ("no basic auth credentials", "not logged in to that registry: give --username"),
    ):
        if sign in output.lower():
            return f"{what} failed: {advice}\n{tail}"
    return f"{what} failed:\n{tail}"


def inspect(image: str) -> dict[str, Any] | None:
    """What the engine knows of a local image; None when it has none of that name."""
    try:
        found: list[dict[str, Any]] = json.loads(docker("image", "inspect", image))
    except ImageError as error:
        if "no such image" in str(error).lower():
            return None
        raise
    return found[0]


def require_engine() -> None:
    """Raises ImageError when no engine answers."""
    try:
        docker("version", "--format", "{{.Server.Version}}")
    except ImageError as error:
        raise ImageError(
            f"no Docker engine answers: start yours, or run .ci/engine on Debian\n{error}"
        ) from None


def require_base(base: str, wanted: str) -> dict[str, Any]:
    """The base image, pulled when it is not there. Raises ImageError when it cannot be had, or is
    for another processor than `wanted` ("linux/arm64")."""
    found = inspect(base)
    if found is None:
        console.print(f"pulling {base} ...")
        try:
            docker("pull", "--quiet", "--platform", wanted, base)
        except ImageError as error:
            raise ImageError(
                f"the base image {base} is not here and cannot be pulled. Where no registry can be "
                f"reached: make standins. Where it wants a login: docker login\n{error}"
            ) from None
        found = inspect(base)
    if found is None:
        raise ImageError(f"expected the image {base} after pulling it, found none")
    if (got := f"{found['Os']}/{found['Architecture']}") != wanted:
        raise ImageError(
            f"expected {base} for {wanted}, got one for {got}: docker pull --platform {wanted} "
            f"{base}, or build with --platform {got}"
        )
    return found


def host_platform() -> str:
    machine = platform.machine().lower()
    return "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


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


def chosen(names: Sequence[str]) -> tuple[Manifest, ...]:
    """The functions of those names, all when none is named. Raises ConfigurationError."""
    manifests = {manifest.name: manifest for manifest in load_all(ROOT / "images")}
    if unknown := sorted(set(names) - manifests.keys()):
        raise ConfigurationError(
            "functions", [f"expected {', '.join(manifests)}, got {', '.join(unknown)}"]
        )
    return tuple(manifests[name] for name in names or manifests)


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
        sbom = STATE / "sbom" / f"{manifest.name}.cdx.json"
        if fresh or not sbom.is_file():
            write_sbom(sbom, manifest.name, found)
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


def write_sbom(path: Path, function: str, image: dict[str, Any]) -> None:
    """Writes the image's bill of materials (CycloneDX 1.6, JSON): its Python distributions."""
    listed = json.loads(
        docker("run", "--rm", "--network=none", "--entrypoint=python", image["Id"], "-c",
               LIST_DISTRIBUTIONS)
    )  # fmt: skip
    labels = image["Config"]["Labels"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sbom(function, image["Id"], labels, listed), indent=1) + "\n")


def sbom(
    function: str, image_id: str, labels: dict[str, str], listed: Iterable[dict[str, str]]
) -> dict[str, Any]:
    """A CycloneDX document of the distributions in `listed` (name, version, license, folder)."""
    components = []
    for item in sorted(listed, key=lambda item: (item["folder"], item["name"].lower())):
        name = re.sub(r"[-_.]+", "-", item["name"]).lower()
        purl = f"pkg:pypi/{name}@{item['version']}"
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": f"{item['folder']}:{purl}",
            "name": name,
            "version": item["version"],
            "purl": purl,
            "properties": [{"name": "darkroom:folder", "value": item["folder"]}],
        }
        # Some distributions give their licence's whole text; its name is all that belongs here.
        if licence := item["license"].strip().partition("\n")[0]:
            component["licenses"] = [{"license": {"name": licence}}]
        components.append(component)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, image_id)}",
        "version": 1,
        "metadata": {
            "timestamp": labels.get("org.opencontainers.image.created", ""),
            "component": {
                "type": "container",
                "bom-ref": image_id,
                "name": f"{REPOSITORY}/{function}",
                "version": labels.get(REVISION_LABEL, ""),
            },
        },
        "components": components,
    }


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
    names: Sequence[str], *, base: str, wanted: str, force: bool
) -> tuple[list[Built], list[str]]:
    """Builds the images of the functions named, all when none is. Gives them, and what failed or
    is over its budget."""
    manifests = chosen(names)
    require_engine()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    with one_at_a_time(STATE / "images.lock"):
        builder = Builder(base, require_base(base, wanted), wanted, revision(), version, force)
        console.print(f"building {len(manifests)} images on {base} ({wanted})")
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
) -> tuple[list[Pushed], list[str]]:
    """Pushes the images of this revision, and notes the digests in DIGESTS_FILE when all went
    well. Gives them, and what failed. Raises ImageError when the tree is dirty."""
    manifests = chosen(names)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 0: all done; 1: a build or push failed, or a budget is broken; 2: usage."""
    parser = argparse.ArgumentParser(prog="images", description="Build and push function images.")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("functions", nargs="*", metavar="FUNCTION", help="all when none is named")
    common.add_argument("--json", action="store_true", help="JSON on stdout instead of a table")
    builds = commands.add_parser("build", parents=[common])
    builds.add_argument("--base", default=BASE, help=f"base image, by tag or digest ({BASE})")
    builds.add_argument("--platform", default=host_platform(), help="linux/amd64 or linux/arm64")
    builds.add_argument("--force", action="store_true", help="build what has not changed, too")
    pushes = commands.add_parser("push", parents=[common])
    pushes.add_argument("--registry", required=True, help="host, and path if any, to push to")
    pushes.add_argument("--allow-dirty", action="store_true", help="push uncommitted changes")
    pushes.add_argument("--username", help="log in with this name (ECR needs none)")
    pushes.add_argument("--password-stdin", action="store_true", help="the password, on stdin")
    options = parser.parse_args(arguments)

    results: Sequence[Built | Pushed]
    try:
        if options.command == "build":
            results, failed = build(
                options.functions, base=options.base, wanted=options.platform, force=options.force
            )
        else:
            if not options.registry:
                parser.error("expected a registry to push to: make push REGISTRY=host[/path]")
            if bool(options.username) != options.password_stdin:
                parser.error("expected --username and --password-stdin together")
            results, failed = push(
                options.functions,
                registry=options.registry.rstrip("/"),
                allow_dirty=options.allow_dirty,
                username=options.username,
                password=sys.stdin.read().strip() if options.password_stdin else None,
            )
    except DarkroomError as error:
        results, failed = [], [str(error)]
    if options.json:
        sys.stdout.write(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    elif results:
        Console().print(table(results))
    for message in failed:
        warn(message)
    return 1 if failed else 0


def table(results: Sequence[Built | Pushed]) -> Table:
    """What a person wants to know of the images."""
    if isinstance(results[0], Pushed):
        columns = ["function", "pushed", "seconds"]
        caption = f"digests are in {DIGESTS_FILE.relative_to(ROOT)}"
    else:
        caption = (
            f"each is {REPOSITORY}/<function>:{results[0].image.rpartition(':')[2]}, and :latest"
        )
        columns = ["function", "over base", "budget", "id", "seconds"]
    shown = Table(caption=caption)
    for i, column in enumerate(columns):
        shown.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for result in results:
        if isinstance(result, Pushed):
            shown.add_row(result.function, result.reference, f"{result.seconds:.1f}")
            continue
        shown.add_row(
            result.function,
            f"{result.mib_over_base:.1f} MiB",
            f"{result.budget_mib} MiB",
            result.id.removeprefix("sha256:")[:12],
            f"{result.seconds:.1f}" if result.built else "unchanged",
            style=None if result.within_budget else "red",
        )
    return shown


if __name__ == "__main__":
    sys.exit(main())
