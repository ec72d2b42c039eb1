"""`darkroom images`: a customer's photos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from services.cli.connection import ApiAddress, connected
from services.cli.options import ExitCode, Json, RecipeName, group, whole_id, writable_folder
from services.cli.output import print_json, print_result
from services.client.api import Api, ApiProblem
from services.local.develop import find_photos
from services.local.terminal import page, people, shown_id
from services.platform.errors import PermanentError

ID_LENGTH = 32

images = group("Upload, list, show, fetch and delete your photos.")

ImageId = Annotated[str, typer.Argument(metavar="ID", help="The image's id, or its beginning.")]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.add_typer(images, name="images")


@dataclass(frozen=True)
class FailedUpload:
    """A file that the API did not take."""

    path: Path
    message: str

    def document(self) -> dict[str, str]:
        return {"path": str(self.path), "status": "not-uploaded", "message": self.message}


@images.command("list")
def list_images(api: ApiAddress = None, json: Json = False) -> ExitCode:
    """List all images, newest first."""
    with connected(api) as reached:
        found = list(reached.images())
    if json:
        print_json(found)
    else:
        _show(found)
    return ExitCode.DONE


@images.command()
def upload(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files or folders.")],
    keep_location: Annotated[
        bool, typer.Option("--keep-location", help="Keep GPS positions.")
    ] = False,
    recipe: RecipeName = None,
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Upload photos and wait until they are developed.

    Exit code 0: all developed; 3: some were rejected or not uploaded.
    """
    photos = find_photos(paths)
    with connected(api) as reached, people.status("uploading") as status:
        uploads: list[str] = []
        failed: list[FailedUpload] = []
        for number, path in enumerate(photos, 1):
            status.update(f"uploading {number} of {len(photos)}")
            try:
                uploads.append(reached.upload(path, keep_location=keep_location, recipe=recipe))
            except PermanentError as error:
                if isinstance(error, ApiProblem) and error.status in {401, 403}:
                    raise
                failed.append(FailedUpload(path, str(error)))
            except OSError as error:
                failed.append(FailedUpload(path, error.strerror or str(error)))
        found = []
        for number, name in enumerate(uploads, 1):
            status.update(f"developing {number} of {len(uploads)}")
            found.append(reached.developed(name))
    if json:
        print_json([*found, *(item.document() for item in failed)])
    else:
        _show(found)
        for item in failed:
            page.print(f"{escape(str(item.path))}: not uploaded: {escape(item.message)}")
    developed = all(image["status"] == "developed" for image in found)
    return ExitCode.DONE if developed and not failed else ExitCode.SOME_REJECTED


@images.command()
def show(image_id: ImageId, api: ApiAddress = None, json: Json = False) -> ExitCode:
    """Show one image, with links to its renditions."""
    with connected(api) as reached:
        image = reached.image(_whole_ids(reached, [image_id])[0])
    if json:
        print_json(image)
    else:
        page.print_json(data=image)
    return ExitCode.DONE


@images.command()
def fetch(
    image_id: ImageId,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")] = Path(),
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Download an image's renditions."""
    writable_folder(out)
    with connected(api) as reached:
        image = reached.image(_whole_ids(reached, [image_id])[0])
        written = []
        for rendition in image.get("renditions", ()):
            extension = "jpg" if rendition["format"] == "jpeg" else rendition["format"]
            path = out / f"{image['id']}-{rendition['name']}.{extension}"
            path.write_bytes(reached.download(rendition["url"]))
            written.append(str(path))
    text = "\n".join(map(escape, written)) or "There are no renditions."
    print_result(written, text, as_json=json)
    return ExitCode.DONE


@images.command()
def delete(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids, or their beginnings.")],
    api: ApiAddress = None,
    json: Json = False,
) -> ExitCode:
    """Delete images for good."""
    with connected(api) as reached:
        whole = _whole_ids(reached, ids)
        for image_id in whole:
            reached.delete_image(image_id)
    print_result(whole, f"deleted: {len(whole)}", as_json=json)
    return ExitCode.DONE


def _whole_ids(api: Api, texts: Iterable[str]) -> list[str]:
    """The ids that begin as the texts do; the API is asked only where one is not a whole id."""
    texts = list(texts)
    if all(len(text) >= ID_LENGTH for text in texts):
        return texts
    known = [image["id"] for image in api.images()]
    return [text if len(text) >= ID_LENGTH else whole_id(text, known, "image") for text in texts]


def _show(found: Sequence[dict[str, Any]]) -> None:
    table = Table("id", "photo", "pixels", "uploaded", "status", box=None, pad_edge=False)
    for image in found:
        status = image["status"]
        table.add_row(
            shown_id(image["id"]),
            escape(", ".join(image["filenames"])),
            f"{image['width']} x {image['height']}" if image.get("width") else "",
            image["uploaded_at"][:19].replace("T", " "),
            status if status == "developed" else f"[yellow]{status}[/]",
        )
    page.print(table)
    for image in found:
        if image.get("message"):
            page.print(f"{escape(', '.join(image['filenames']))}: {escape(image['message'])}")
