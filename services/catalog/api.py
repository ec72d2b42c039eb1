"""What the API says of uploads and images: its documents and its operations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.validation import END

FILENAME_CHARACTERS_MAX = 200
PAGE_MAX = 100
PAGE_DEFAULT = 50

IMAGE_NOT_FOUND = Problem(404, "image-not-found", "There is no such image")

# What cameras and phones write, and the lab takes in (services/imaging tells by the bytes).
ContentType = Literal[
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/tiff",
    "image/heic",
    "image/heif",
    "image/avif",
]
ImageId = Annotated[
    str,
    Meta(
        pattern=f"^[0-9a-f]{{32}}{END}",
        description="an image's id: 32 hexadecimal digits",
        examples=["9f86d081884c7d659a2feaa0c55ad015"],
    ),
]
Url = Annotated[
    str,
    Meta(description="a link that works for a limited time", extra_json_schema={"format": "uri"}),
]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class UploadRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A photo that is to be uploaded."""

    filename: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=FILENAME_CHARACTERS_MAX,
            pattern=rf"^[^/\\\x00-\x1f\x7f-\x9f]+{END}",
            description="the file's name, without folders",
            examples=["harbour.jpg"],
        ),
    ]
    content_type: Annotated[ContentType, Meta(description="the file's media type")]
    keep_location: Annotated[
        bool, Meta(description="whether the catalogue may know where the photo was taken")
    ] = False


class UploadForm(msgspec.Struct, frozen=True, kw_only=True):
    """A form to be posted as multipart/form-data to `url`: first `fields`, last the file as `file`.

    S3 refuses a file of another size or type, another key, and any change of the fields.
    """

    id: Annotated[str, Meta(description="the upload's id; see the parameter of GET /images")]
    url: Url
    fields: dict[str, str]
    bytes_max: int
    expires_at: Time


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """One size and format of a developed photo; sizes in pixels and bytes."""

    name: Annotated[str, Meta(examples=["thumb", "medium", "large"])]
    format: Annotated[str, Meta(examples=["jpeg", "webp"])]
    width: int
    height: int
    bytes: int
    animated: bool
    url: Url


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image, as a list shows it. `placeholder` is a ThumbHash in base64."""

    id: ImageId
    status: Literal["developing", "developed", "rejected"]
    uploaded_at: Time
    filenames: list[str]
    reason: Annotated[str | None, Meta(description="why it was rejected, for programs")] = None
    message: Annotated[str | None, Meta(description="why it was rejected, for people")] = None
    width: int | None = None
    height: int | None = None
    placeholder: str | None = None
    dominant_colour: Annotated[str | None, Meta(examples=["#336699"])] = None
    thumbnail: Annotated[Url | None, Meta(description="the smallest rendition")] = None


class Image(ImageSummary, frozen=True, kw_only=True, omit_defaults=True):
    """An image with all that is known of it. Links work for about an hour; ask again for new
    ones."""

    fingerprint: Annotated[str | None, Meta(description="perceptual hash, 16 hex digits")] = None
    facts: Annotated[
        dict[str, Any],
        Meta(description="what the file says of itself: camera, lens, taken_at, ..."),
    ] = {}
    renditions: list[Rendition] = []
    links_expire_at: Time | None = None


class ImagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Images, newest first. `next_cursor` is null on the last page."""

    images: list[ImageSummary]
    next_cursor: str | None


class ListParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX, description="images a page")] = PAGE_DEFAULT
    cursor: (
        Annotated[str, Meta(max_length=300, description="`next_cursor` of the page before")] | None
    ) = None
    upload: (
        Annotated[
            str,
            Meta(
                pattern=f"^[0-9a-f]{{32}}{END}",
                description="only what this upload became (a single page)",
            ),
        ]
        | None
    ) = None


class ImageParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    id: ImageId


REQUEST_UPLOAD = Operation(
    summary="Ask for a form to upload a photo with",
    access=Access.CUSTOMER,
    body=UploadRequest,
    answers={201: Answer("The form", UploadForm)},
)
LIST_IMAGES = Operation(
    summary="List your images, newest first",
    access=Access.CUSTOMER,
    parameters=ListParameters,
    answers={200: Answer("A page of images", ImagePage)},
)
GET_IMAGE = Operation(
    summary="Get one of your images, with links to its renditions",
    access=Access.CUSTOMER,
    parameters=ImageParameters,
    request_headers={"If-None-Match": "the ETag of the answer that you have"},
    answers={
        200: Answer("The image", Image, {"ETag": "the version, for If-None-Match"}),
        304: Answer("What you have is still right, its links included"),
    },
    problems=(IMAGE_NOT_FOUND,),
)
DELETE_IMAGE = Operation(
    summary="Delete one of your images, its originals and renditions",
    description="It is out of sight at once; storage follows within seconds.",
    access=Access.CUSTOMER,
    parameters=ImageParameters,
    answers={204: Answer("It is deleted")},
    problems=(IMAGE_NOT_FOUND,),
)
