"""The operations of uploads and images: requests, responses and problems."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from services.catalog.model import FAILED_REPEATEDLY
from services.imaging.model import RejectionReason, TimeSource
from services.platform.functions.access import Access, Scope
from services.platform.functions.http import Answer, HttpProblem, Operation, Problem
from services.platform.usage import USAGE_EXCEEDED
from services.platform.validation import END

FILENAME_CHARACTERS_MAX = 200
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html: by one request.
UPLOAD_BYTES_MAX = 5 * 1024**3
PAGE_MAX = 100
PAGE_DEFAULT = 50

IMAGE_NOT_FOUND = Problem(404, "image-not-found", "Image not found")
# Not 429: a client that waits and repeats gets the same answer until photos are deleted. Not 507: a
# 5xx counts as a failure of the service.
STORAGE_FULL = Problem(413, "storage-full", "Storage full")

# The formats that services/imaging accepts; it identifies them by content. The last three are names
# that browsers and older systems give to JPEG and PNG.
ContentType = Literal[
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/tiff",
    "image/heic",
    "image/heif",
    "image/avif",
    "image/jpg",
    "image/pjpeg",
    "image/x-png",
]
ImageId = Annotated[
    str,
    Meta(
        pattern=f"^[0-9a-f]{{32}}{END}",
        description="an image id: 32 hexadecimal digits",
        examples=["9f86d081884c7d659a2feaa0c55ad015"],
    ),
]
Url = Annotated[
    str,
    Meta(
        description="a link that is valid for a limited time", extra_json_schema={"format": "uri"}
    ),
]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Reason = Annotated[
    str,
    Meta(
        description="why it was rejected, for programs",
        extra_json_schema={"enum": [*map(str, RejectionReason), FAILED_REPEATEDLY]},
    ),
]
# What services.imaging.model.Facts has, without the fields that an image has itself.
_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
FACTS: dict[str, Any] = {
    "format": _TEXT,
    "frames": {"type": "integer"},
    "bytes": {"type": "integer"},
    "sha256": _TEXT,
    "camera": _TEXT,
    "lens": _TEXT,
    "exposure_seconds": _NUMBER,
    "aperture": _NUMBER,
    "iso": {"type": "integer"},
    "focal_length_mm": _NUMBER,
    "taken_at": {"type": "string", "description": "ISO 8601, often without zone"},
    "taken_at_source": {"type": "string", "enum": [*map(str, TimeSource)]},
    "colour_profile": _TEXT,
    "location": {
        "type": "object",
        "description": "only if the upload had `keep_location`; in degrees and metres",
        "properties": {"latitude": _NUMBER, "longitude": _NUMBER, "altitude_metres": _NUMBER},
    },
}


def image_not_found(image_id: str) -> HttpProblem:
    """The 404 response for an image that does not exist or belongs to another customer."""
    return HttpProblem(IMAGE_NOT_FOUND, f"You have no image {image_id}.")


class UploadRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A photo to upload."""

    filename: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=FILENAME_CHARACTERS_MAX,
            pattern=rf"^[^/\\\x00-\x1f\x7f-\x9f]+{END}",
            description="the file's name, without folders and control characters",
            examples=["harbour.jpg"],
        ),
    ]
    content_type: Annotated[ContentType, Meta(description="the file's media type")]
    bytes: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=UPLOAD_BYTES_MAX,
                description="the file's size, which the form then accepts at most; without it, the "
                "most that a form accepts counts as uploaded",
                examples=[2_400_000],
            ),
        ]
        | None
    ) = None
    keep_location: Annotated[
        bool, Meta(description="store in the catalogue where the photo was taken")
    ] = False
    recipe: (
        Annotated[
            str,
            Meta(
                max_length=32,
                description="the recipe of the renditions; the lab's own one by default",
                examples=["standard"],
            ),
        ]
        | None
    ) = None


class UploadForm(msgspec.Struct, frozen=True, kw_only=True):
    """A form to post to `url` as multipart/form-data: first `fields`, last the file as `file`.

    S3 rejects a file of another size or type, another key, and changed fields. The first upload
    counts; later ones with the same form have no effect.
    """

    id: Annotated[str, Meta(description="the upload's id, a parameter of GET /images")]
    url: Url
    fields: dict[str, str]
    bytes_max: int
    expires_at: Time


class Rendition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One size and format of a developed photo; sizes in pixels and bytes. `url` shows it,
    `download` saves it as a file that is named after the photo and the size; exports have `url`
    only."""

    name: Annotated[str, Meta(examples=["thumb", "medium", "large"])]
    format: Annotated[str, Meta(examples=["jpeg", "webp"])]
    width: int
    height: int
    bytes: int
    animated: bool
    url: Url
    download: Url | None = None


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image in a list. `placeholder` is a ThumbHash in base64."""

    id: ImageId
    status: Literal["developing", "developed", "rejected"]
    uploaded_at: Time
    filenames: list[str]
    reason: Reason | None = None
    message: Annotated[str | None, Meta(description="why it was rejected, for people")] = None
    width: int | None = None
    height: int | None = None
    taken_at: Annotated[
        str | None, Meta(description="when it was taken, as the file states it, often without zone")
    ] = None
    placeholder: str | None = None
    dominant_colour: Annotated[str | None, Meta(examples=["#336699"])] = None
    thumbnail: Annotated[Url | None, Meta(description="the smallest rendition")] = None


class Image(ImageSummary, frozen=True, kw_only=True, omit_defaults=True):
    """An image. Its links are valid for at least half an hour; request the image again for new
    ones."""

    fingerprint: Annotated[str | None, Meta(description="perceptual hash, 16 hex digits")] = None
    facts: Annotated[
        dict[str, Any],
        Meta(
            description="what the file states about itself, as far as it does",
            extra_json_schema={"properties": FACTS},
        ),
    ] = {}
    renditions: list[Rendition] = []
    original: Annotated[Url | None, Meta(description="the uploaded file, to download")] = None
    links_expire_at: Time | None = None
    recipe: Annotated[
        str | None,
        Meta(description="the recipe that the upload chose; without one, the lab's default"),
    ] = None


class ImagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Images, newest first. `next_cursor` is null on the last page."""

    images: list[ImageSummary]
    next_cursor: str | None


class RecipeSize(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A size of a recipe, in pixels. `inside` shows the whole photo, its longer edge at most
    `long_edge`; `cover` cuts it to the proportions of `width` and `height`. Smaller photos are not
    enlarged."""

    name: Annotated[str, Meta(examples=["thumb", "medium", "large"])]
    fit: Literal["inside", "cover"]
    long_edge: int | None = None
    width: int | None = None
    height: int | None = None


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What is made of a photo: every size in every format. AVIF follows after the others."""

    name: Annotated[str, Meta(examples=["standard"])]
    sizes: list[RecipeSize]
    formats: Annotated[list[str], Meta(examples=[["jpeg", "webp"]])]


class RecipeList(msgspec.Struct, frozen=True, kw_only=True):
    """All recipes, and the name of the one for uploads that choose none."""

    default: str
    recipes: list[Recipe]


class ListParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    limit: Annotated[
        int, Meta(ge=1, le=PAGE_MAX, description=f"images on a page, 1 to {PAGE_MAX}")
    ] = PAGE_DEFAULT
    cursor: (
        Annotated[str, Meta(max_length=300, description="`next_cursor` of the page before")] | None
    ) = None
    upload: (
        Annotated[
            str,
            Meta(
                pattern=f"^[0-9a-f]{{32}}{END}",
                description="an upload's id, 32 hexadecimal digits: only its images, on one page",
            ),
        ]
        | None
    ) = None


class ImageParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    id: ImageId


REQUEST_UPLOAD = Operation(
    summary="Get a form to upload a photo with",
    access=Access.CUSTOMER,
    scope=Scope.PHOTOS_WRITE,
    body=UploadRequest,
    answers={201: Answer("The form", UploadForm)},
    problems=(STORAGE_FULL, USAGE_EXCEEDED),
    description="`storage-full` states `used_bytes` and `limit_bytes` of the account: deleting "
    "photos frees them. Near the limit, a form allows only the bytes that are left.",
)
LIST_RECIPES = Operation(
    summary="List the recipes of renditions",
    description="An upload may choose one by its name; see `recipe` of POST /uploads.",
    access=Access.ANYONE,
    answers={200: Answer("All recipes", RecipeList)},
)
LIST_IMAGES = Operation(
    summary="List your images, newest first",
    access=Access.CUSTOMER,
    scope=Scope.PHOTOS_READ,
    parameters=ListParameters,
    answers={200: Answer("A page of images", ImagePage)},
)
GET_IMAGE = Operation(
    summary="Get one of your images, with links to its renditions",
    access=Access.CUSTOMER,
    scope=Scope.PHOTOS_READ,
    parameters=ImageParameters,
    request_headers={"If-None-Match": "the ETag of an earlier response"},
    answers={
        200: Answer("The image", Image, {"ETag": "the version, for If-None-Match"}),
        304: Answer("Not modified; the links are still valid"),
    },
    problems=(IMAGE_NOT_FOUND,),
)
DELETE_IMAGE = Operation(
    summary="Delete one of your images, its originals and renditions",
    description="The image is hidden at once; its files are deleted within seconds.",
    access=Access.CUSTOMER,
    scope=Scope.PHOTOS_WRITE,
    parameters=ImageParameters,
    answers={204: Answer("Deleted")},
    problems=(IMAGE_NOT_FOUND,),
)
