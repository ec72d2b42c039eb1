"""Takes out of installed packages what a function never reads. Runs inside the image build.

    python trim.py FOLDER SERVICE...

SERVICE: botocore's name of a service whose description stays ("s3", "stepfunctions", ...).
Standard library only. Ends with a message when a service is not one of botocore's.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

# Of an installed distribution: its name, version, licences and entry points; what pip notes for
# an uninstall goes.
KEPT_METADATA = {"METADATA", "entry_points.txt", "top_level.txt"}
# Type stubs and sources of extension modules are for those who build on a package.
DROPPED_SUFFIXES = {".pyi", ".pyx", ".pxd", ".c", ".h", ".cpp", ".hpp"}


def main(folder: Path, services: set[str]) -> None:
    botocore = folder / "botocore" / "data"
    if botocore.is_dir():
        if unknown := sorted(name for name in services if not (botocore / name).is_dir()):
            sys.exit(f"trim: expected services of botocore, got {', '.join(unknown)}")
        keep_services(botocore, services)
        shorten_descriptions(botocore)
        shorten_endpoints(botocore / "endpoints.json", services)
    if (folder / "boto3" / "data").is_dir():
        keep_services(folder / "boto3" / "data", services)
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


def keep_services(data: Path, services: set[str]) -> None:
    """Keeps the newest description of each service, and drops all other services."""
    for folder in [p for p in data.iterdir() if p.is_dir()]:
        if folder.name not in services:
            shutil.rmtree(folder)
            continue
        for older in sorted(p for p in folder.iterdir() if p.is_dir())[:-1]:
            shutil.rmtree(older)
    for examples in data.glob("*/*/examples-1.json*"):
        examples.unlink()


def shorten_descriptions(data: Path) -> None:
    """Empties the prose in the descriptions and unpacks them: a client parses a third of the text
    when it is made, and inflates nothing."""
    for packed in data.glob("*/*/*.json.gz"):
        description = json.loads(gzip.decompress(packed.read_bytes()))
        write_compact(packed.with_suffix(""), without_prose(description))
        packed.unlink()


def without_prose(value: Any) -> Any:
    """`value` with every text called `documentation` empty. The member stays, since botocore reads
    some; and a shape or parameter which is called so is a mapping, and stays as it is."""
    if isinstance(value, dict):
        return {
            name: "" if name == "documentation" and isinstance(item, str) else without_prose(item)
            for name, item in value.items()
        }
    return [without_prose(item) for item in value] if isinstance(value, list) else value


def shorten_endpoints(path: Path, services: set[str]) -> None:
    """Leaves the endpoints of the services that stay. Every client parses the whole file."""
    endpoints = json.loads(path.read_bytes())
    # Endpoints go by another name than descriptions for some services ("stepfunctions" is
    # "states"): the prefix stands in the description.
    prefixes = {prefix_of(path.parent / service) for service in services}
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: value for name, value in partition["services"].items() if name in prefixes
        }
    write_compact(path, endpoints)


def prefix_of(service: Path) -> str:
    """The service's name in endpoints.json."""
    description = json.loads(next(service.glob("*/service-2.json")).read_bytes())
    return str(description["metadata"]["endpointPrefix"])


def write_compact(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), set(sys.argv[2:]))
