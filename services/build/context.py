"""Stages what one function's image is built from: only what the function imports, and a hash of it.

The staged folder is an ordinary Docker build context; docker/Dockerfile says what stands in it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.platform.errors import ConfigurationError
from services.platform.manifest import Manifest, Reference, Resource

PACKAGE = "services"
# The same image runs as a worker, whatever the handler imports.
ALWAYS = ("services.worker", "services.gateway", "services.runtime")
# The tools around the functions. An image that reached one would carry the whole laboratory.
NEVER = (
    "services.build",
    "services.cli",
    "services.client",
    "services.deploy",
    "services.load_test",
    "services.local",
    "services.operations",
)
# The worker receives from SQS, and credentials may come from STS.
ALWAYS_BOTOCORE = frozenset({"sqs", "sts"})
# IAM's prefix of an action, where botocore calls the service otherwise.
BOTOCORE_OF_ACTION = {
    "ses": ("ses", "sesv2"),
    "states": ("stepfunctions",),
    "rds-db": ("rds",),
}
# Of a function's folder, what is for the build or for its readers.
NOT_IN_TASK = {"requirements.in", "requirements.txt", "Dockerfile", "README.md", "__pycache__"}


@dataclass(frozen=True)
class Context:
    """A staged build context. `digest` changes when, and only when, a file in it does."""

    folder: Path
    digest: str
    modules: tuple[str, ...]
    botocore_services: tuple[str, ...]


def stage(root: Path, manifest: Manifest, folder: Path) -> Context:
    """Writes the build context of a function into `folder`, in place of what was there.

    `root` is the project's. Raises ConfigurationError when a file that every image needs is
    missing, or when the handler imports what has no place in an image.
    """
    source = manifest.folder
    required = [source / "handler.py", source / "requirements.txt"]
    if missing := [str(path) for path in required if not path.is_file()]:
        raise ConfigurationError(manifest.name, [f"expected {path}" for path in missing])
    modules = closure(root, [*source.rglob("*.py")])

    own = source / "Dockerfile"
    files = {
        "Dockerfile": own if own.is_file() else root / "docker" / "Dockerfile",
        "requirements.txt": source / "requirements.txt",
        "worker-requirements.txt": root / "docker" / "worker-requirements.txt",
        "entrypoint.sh": root / "docker" / "entrypoint.sh",
        "trim.py": root / "docker" / "trim.py",
    }
    if _uses_database(manifest):
        files["task/rds-authorities.pem"] = root / "docker" / "rds-authorities.pem"
    for path in _files(source):
        files[f"task/{path.relative_to(source).as_posix()}"] = path
    for path in [*modules.values(), *_package_data(root, modules.values())]:
        files[f"task/{path.relative_to(root).as_posix()}"] = path

    shutil.rmtree(folder, ignore_errors=True)
    botocore_services = services_of(manifest)
    digest = hashlib.sha256(" ".join(botocore_services).encode())
    for name in sorted(files):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        content = files[name].read_bytes()
        if target.name.endswith("requirements.txt"):
            content = _without_comments(content)
        target.write_bytes(content)
        # Readable by whichever user Lambda runs it as, whatever the umask here.
        target.chmod(0o644)
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return Context(folder, digest.hexdigest()[:16], tuple(sorted(modules)), botocore_services)


def _without_comments(requirements: bytes) -> bytes:
    """Compiled requirements without the names of who requires them: functions with the same
    requirements share a layer."""
    lines = requirements.decode().splitlines()
    return "".join(f"{line}\n" for line in lines if not line.lstrip().startswith("#")).encode()


def _uses_database(manifest: Manifest) -> bool:
    return any(
        isinstance(value, Reference) and value.resource is Resource.DATABASE
        for value in manifest.environment.values()
    )


def services_of(manifest: Manifest) -> tuple[str, ...]:
    """botocore's names of the services that the function's grants name, and those always needed."""
    names = set(ALWAYS_BOTOCORE)
    for grant in manifest.grants:
        for action in grant.actions:
            prefix = action.partition(":")[0]
            names.update(BOTOCORE_OF_ACTION.get(prefix, (prefix,)))
    return tuple(sorted(names))


# Before 3.13 Python counts the depth of its syntax trees in all threads together, and at times ends
# one with a SystemError: https://github.com/python/cpython/issues/106905
_PARSING = threading.Lock()


def closure(root: Path, entries: Iterable[Path]) -> dict[str, Path]:
    """Our modules that `entries` import, directly or not, and the worker: name to file.

    Reads the sources and runs nothing. An import counts wherever it stands, in a function too; a
    module that is named only as text is not seen. Raises ConfigurationError, with the way that led
    there, when a module is missing or is one of NEVER.
    """
    found: dict[str, Path] = {}
    waiting: list[tuple[str, str]] = []  # module, and the way to it
    for path in entries:
        waiting += [(name, path.name) for name in _imports(root, path, package="")]
    for package in ALWAYS:
        folder = root.joinpath(*package.split("."))
        waiting += [(_name(root, path), package) for path in sorted(folder.rglob("*.py"))]
    while waiting:
        name, way = waiting.pop()
        if name in found:
            continue
        if name in NEVER or name.startswith(tuple(f"{never}." for never in NEVER)):
            raise ConfigurationError(
                name, [f"expected no import of it in an image, got {way} -> {name}"]
            )
        module = _file(root, name)
        if module is None:
            raise ConfigurationError(name, [f"expected a module, found none; {way} imports it"])
        found[name] = module
        parent = name.rpartition(".")[0]
        if parent:
            waiting.append((parent, way))
        package = name if module.name == "__init__.py" else parent
        waiting += [(below, f"{way} -> {name}") for below in _imports(root, module, package)]
    return found


def _imports(root: Path, path: Path, package: str) -> Iterator[str]:
    """Our modules that a file imports, and the names it takes from them that are modules."""
    for level, base, taken in _import_statements(path.read_text(encoding="utf-8"), str(path)):
        if level:
            parts = package.split(".")
            above = parts[: len(parts) - level + 1]
            base = ".".join([*above, base] if base else above)
        names = [base] if base else []
        modules = (f"{base}.{name}" if base else name for name in taken)
        names += [name for name in modules if not base or _file(root, name)]
        yield from (name for name in names if name == PACKAGE or name.startswith(f"{PACKAGE}."))


@functools.cache  # every function imports mostly the same modules
def _import_statements(source: str, path: str) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """Each import of a source: number of leading dots, module, names taken from it. `import a, b`
    has no module."""
    with _PARSING:
        tree = ast.parse(source, filename=path)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.append((0, "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            found.append((node.level, node.module or "", names))
    return tuple(found)


def _file(root: Path, name: str) -> Path | None:
    base = root.joinpath(*name.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _name(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _package_data(root: Path, modules: Iterable[Path]) -> Iterator[Path]:
    """Files beside the modules that no import leads to: templates, and whatever stands in folders
    that are no packages (the migrations, which Alembic loads by their paths)."""
    for folder in sorted({path.parent for path in modules} - {root / PACKAGE}):
        for path in _files(folder):
            below = path.relative_to(folder).parts[:-1]
            inside = [folder.joinpath(*below[: i + 1]) for i in range(len(below))]
            if not any((f / "__init__.py").is_file() for f in inside) and (
                path.suffix != ".py" or inside
            ):
                yield path


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(p in NOT_IN_TASK or p.startswith(".") for p in parts):
            yield path
