"""Creates a function from a template: its folder in images/ and its module in services/.

python -m services.build.new_function NAME --package PACKAGE --feature FEATURE [--kind KIND]
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from services.platform.errors import PermanentError
from services.platform.manifest import Feature

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"[a-z]+(-[a-z]+)+")


class Kind(StrEnum):
    """What invokes the function."""

    QUEUE = "queue"
    HTTP = "http"
    TASK = "task"


# The function whose requirements fit a new one of each kind.
_REQUIREMENTS_OF = {
    Kind.QUEUE: "send-image-email",
    Kind.HTTP: "list-images",
    Kind.TASK: "send-image-email",
}


def create(root: Path, name: str, package: str, feature: Feature, kind: Kind) -> tuple[Path, ...]:
    """Writes the function's files below `root` and returns their paths.

    Raises PermanentError for a name that is not verb-noun, or if one of the files exists.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    if NAME.fullmatch(name) is None:
        raise PermanentError(f"{name!r} is not a name such as count-photos")
    module = name.replace("-", "_")
    words = name.split("-")
    values = {
        "name": name,
        "package": package,
        "module": module,
        "class_name": "".join(word.capitalize() for word in words),
        "summary": f"{words[0].capitalize()}s {' '.join(words[1:])}",
        "feature": feature.value,
        "kind": kind.value,
    }
    folder = root / "images" / name
    files = {
        folder / "handler.py": "handler.py.jinja",
        folder / "function.yaml": "function.yaml.jinja",
        root / "services" / package / f"{module}.py": "module.py.jinja",
    }
    existing = [path for path in files if path.exists()]
    if existing:
        raise PermanentError(f"{existing[0]} exists already")
    environment = Environment(  # noqa: S701  Python and YAML, not HTML
        loader=PackageLoader("services.build"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    for path, template in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(environment.get_template(template).render(values), encoding="utf-8")
    package_file = root / "services" / package / "__init__.py"
    package_file.touch()
    source = root / "images" / _REQUIREMENTS_OF[kind]
    requirements = [folder / "requirements.in", folder / "requirements.txt"]
    for path in requirements:
        text = (source / path.name).read_text(encoding="utf-8")
        path.write_text(text.replace(f"images/{source.name}/", f"images/{name}/"), encoding="utf-8")
    return (*files, *requirements)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="new_function", description="Create a function.")
    parser.add_argument("name", help="verb and noun, such as count-photos")
    parser.add_argument("--package", required=True, help="package of services/ for its module")
    parser.add_argument("--feature", required=True, choices=[f.value for f in Feature])
    parser.add_argument("--kind", default=Kind.QUEUE.value, choices=[k.value for k in Kind])
    options = parser.parse_args(arguments)
    try:
        paths = create(
            ROOT, options.name, options.package, Feature(options.feature), Kind(options.kind)
        )
    except PermanentError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    formatter = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if formatter is not None:
        import subprocess

        subprocess.run([formatter, "format", "--quiet", *map(str, paths[:3:2])], check=False)
    sys.stdout.writelines(f"{path.relative_to(ROOT)}\n" for path in paths)
    return 0


if __name__ == "__main__":
    sys.exit(main())
