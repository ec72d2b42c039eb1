"""Tags the images of live and previous versions and of workers in ECR, so that the registry keeps
them.

The registry's lifecycle policy (terraform/registry) expires the oldest images of a repository, but
none with a tag `live-*`. The tags of a lab are `live-<prefix>-<digest>`: their names do not move
from image to image, because tags in the registry are immutable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.platform.aws.clients import error_code

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"
    r"/(?P<repository>[^@:]+)(?::[^@]+)?@(?P<digest>sha256:[0-9a-f]{64})"
)
DIGEST_CHARACTERS = 16
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html
MEDIA_TYPES = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]


@dataclass(frozen=True)
class Image:
    """An image in ECR; `digest` is `sha256:...`."""

    account: str
    repository: str
    digest: str


def parse_image(reference: str) -> Image | None:
    """The image of a reference by digest; None if it is not in ECR."""
    found = _ECR.fullmatch(reference)
    return Image(found["account"], found["repository"], found["digest"]) if found else None


@dataclass(frozen=True)
class LiveImages:
    """The tags of one lab. `ecr` and `lambda_` are clients; `prefix` is the lab's."""

    ecr: Any
    lambda_: Any
    prefix: str

    def protect(self, function: str, versions: Iterable[str], *, prune: bool) -> bool:
        """Tags the images of these versions of a function on Lambda; `prune` removes the lab's
        tags from all other images of its repositories. Returns whether all images have their tag;
        an image that is not in ECR, or that ECR does not find, has none. Raises ClientError."""
        return self._protect([self._image(function, v) for v in sorted(set(versions))], prune=prune)

    def protect_images(self, references: Iterable[str], *, prune: bool) -> bool:
        """Does as `protect` with images by their references, of a worker."""
        return self._protect([parse_image(one) for one in sorted(set(references))], prune=prune)

    def _protect(self, images: Sequence[Image | None], *, prune: bool) -> bool:
        wanted = {image for image in images if image is not None}
        complete = None not in images
        for repository in {(image.account, image.repository) for image in wanted}:
            digests = {i.digest for i in wanted if (i.account, i.repository) == repository}
            complete &= self._tag(*repository, digests, prune=prune)
        return complete

    def _tag(self, account: str, repository: str, digests: set[str], *, prune: bool) -> bool:
        where = {"registryId": account, "repositoryName": repository}
        try:
            tags = self._tags(where)
            found = [self._put(where, digest) for digest in sorted(digests - tags.keys())]
        except Exception as error:
            if error_code(error) == "RepositoryNotFoundException":
                return False
            raise
        stale = [{"imageTag": tag} for digest, tag in tags.items() if tag and digest not in digests]
        if prune and stale:
            self.ecr.batch_delete_image(**where, imageIds=stale)
        return all(found)

    def _image(self, function: str, version: str) -> Image | None:
        code = self.lambda_.get_function(FunctionName=function, Qualifier=version)["Code"]
        return parse_image(code.get("ResolvedImageUri") or code.get("ImageUri", ""))

    def _tags(self, where: dict[str, str]) -> dict[str, str | None]:
        """This lab's tags by digest. None for an image without any other tag: ECR deletes an image
        with its last tag."""
        own = re.compile(f"live-{re.escape(self.prefix)}-[0-9a-f]{{{DIGEST_CHARACTERS}}}")
        pages = self.ecr.get_paginator("describe_images").paginate(
            **where, filter={"tagStatus": "TAGGED"}
        )
        found: dict[str, str | None] = {}
        for image in (image for page in pages for image in page["imageDetails"]):
            for tag in filter(own.fullmatch, image["imageTags"]):
                found[image["imageDigest"]] = tag if len(image["imageTags"]) > 1 else None
        return found

    def _put(self, where: dict[str, str], digest: str) -> bool:
        found = self.ecr.batch_get_image(
            **where, imageIds=[{"imageDigest": digest}], acceptedMediaTypes=MEDIA_TYPES
        )["images"]
        if not found:
            return False
        (image,) = found[:1]
        short = digest.removeprefix("sha256:")[:DIGEST_CHARACTERS]
        media_type = image.get("imageManifestMediaType")
        try:
            self.ecr.put_image(
                **where,
                imageManifest=image["imageManifest"],
                imageTag=f"live-{self.prefix}-{short}",
                **({"imageManifestMediaType": media_type} if media_type else {}),
            )
        except Exception as error:
            # Another release of this lab was faster.
            if error_code(error) != "ImageAlreadyExistsException":
                raise
        return True
