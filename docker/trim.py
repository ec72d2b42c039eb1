"""Takes out of installed packages what a function never reads. Runs inside the image build.

    python trim.py FOLDER SERVICE...

SERVICE: botocore's name of a service whose description stays ("s3", "stepfunctions", ...).
Standard library only. Ends with a message when a service is not one of botocore's.
"""

import shutil
import sys
from pathlib import Path

# Of an installed distribution: its name, version, licences and entry points; what pip notes for
# an uninstall goes.
KEPT_METADATA = {"METADATA", "entry_points.txt", "top_level.txt"}
# Type stubs and sources of extension modules are for those who build on a package.
DROPPED_SUFFIXES = {".pyi", ".pyx", ".pxd", ".c", ".h", ".cpp", ".hpp"}


def main(folder: Path, services: set[str]) -> None:
    for name in ("botocore", "boto3"):
        if (folder / name / "data").is_dir():
            prune_services(folder / name / "data", services, complete=name == "botocore")
    shutil.rmtree(folder / "boto3" / "examples", ignore_errors=True)
    shutil.rmtree(folder / "bin", ignore_errors=True)  # console scripts
    for metadata in folder.glob("*.dist-info"):
        for path in metadata.iterdir():
            if path.is_file() and path.name not in KEPT_METADATA and not is_licence(path):
                path.unlink()
    for tests in [p for p in folder.rglob("tests") if p.is_dir()]:
        shutil.rmtree(tests)
    for path in [p for p in folder.rglob("*") if p.suffix in DROPPED_SUFFIXES]:
        path.unlink()


def is_licence(path: Path) -> bool:
    return path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS"))


def prune_services(data: Path, services: set[str], *, complete: bool) -> None:
    """Keeps the newest description of each service. `complete`: all of them must be there."""
    found = {path.name for path in data.iterdir() if path.is_dir()}
    if complete and (unknown := sorted(services - found)):
        sys.exit(f"trim: expected services of botocore, got {', '.join(unknown)}")
    for service in found - services:
        shutil.rmtree(data / service)
    for service in found & services:
        for older in sorted(p for p in (data / service).iterdir() if p.is_dir())[:-1]:
            shutil.rmtree(older)
    for examples in data.glob("*/*/examples-1.json*"):
        examples.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), set(sys.argv[2:]))
