"""Develops a photo: bytes in; renditions, facts, placeholder and fingerprint out.

from services.imaging.develop import develop
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from PIL import Image

from services.imaging.colour import to_srgb
from services.imaging.fingerprint import fingerprint
from services.imaging.formats.structure import Size
from services.imaging.icc import read as read_profile
from services.imaging.inspection import OpenedPhoto, open_photo
from services.imaging.limits import Deadline
from services.imaging.model import (
    Developed,
    Facts,
    JpegFlavour,
    Limits,
    Recipe,
    Rendition,
    RenditionSpec,
)
from services.imaging.orient import upright, upright_size
from services.imaging.placeholder import dominant_colour, thumbhash
from services.imaging.renditions import registry
from services.imaging.renditions.encode import AnimationWriter, flat
from services.imaging.scale import fit, shrink

_DEFAULT_RECIPE = Recipe()
_DEFAULT_LIMITS = Limits()

Prepare = Callable[[Image.Image], Image.Image]


def develop(
    source: bytes, recipe: Recipe = _DEFAULT_RECIPE, limits: Limits = _DEFAULT_LIMITS
) -> Developed:
    """Makes every rendition of `recipe` from `source`, and reads its facts.

    Takes JPEG (baseline, progressive, CMYK, MPO), PNG and APNG, WebP, GIF, TIFF, HEIC/HEIF and
    AVIF, recognized by the bytes. Of several pages or pictures the first (the primary) counts.

    Renditions are upright, in sRGB and free of metadata. A photo smaller than a size gives that
    rendition in its own size, so every name exists. An animation gives, for every size, an
    animation in the formats that hold one, and stills of its first frame in the others.

    Raises PhotoRejected for anything that is no sound photo within `limits`, and nothing else for
    any bytes.
    """
    deadline = Deadline(limits.seconds_max)
    opened = open_photo(source, limits, deadline)
    covering = fit(opened.structure.size, recipe.long_edge_pixels_max)
    deadline.check()
    prepare = _preparation(opened, recipe)
    picture = _prepared(opened, prepare, covering, limits, deadline)
    deadline.check()
    facts = _facts(opened)
    renditions, smallest = _stills(picture, opened, recipe, deadline)
    if opened.is_animation:
        renditions += _animations(opened, prepare, recipe, deadline)
    deadline.check()
    on_white = flat(smallest)
    return Developed(
        facts=facts,
        renditions=_in_order(renditions, recipe),
        placeholder=thumbhash(smallest),
        fingerprint=fingerprint(on_white),
        dominant_colour=dominant_colour(on_white),
    )


def _facts(opened: OpenedPhoto) -> Facts:
    profile = read_profile(opened.icc)
    read = opened.metadata
    width, height = opened.size
    return Facts(
        format=opened.format.name,
        width=width,
        height=height,
        frames=opened.structure.frames,
        bytes=len(opened.source),
        sha256=hashlib.sha256(opened.source).hexdigest(),
        camera=read.camera,
        lens=read.lens,
        exposure_seconds=read.exposure_seconds,
        aperture=read.aperture,
        iso=read.iso,
        focal_length_mm=read.focal_length_mm,
        taken_at=read.taken_at,
        taken_at_source=read.taken_at_source,
        colour_profile=profile.description if profile else None,
        location=read.location,
    )


def _preparation(opened: OpenedPhoto, recipe: Recipe) -> Prepare:
    """What turns a decoded frame into the largest rendition's picture.

    Colour and orientation come after the first, largest step down: fewer pixels to convert.
    """
    largest = fit(opened.size, recipe.long_edge_pixels_max)
    stored = upright_size(largest, opened.orientation)
    convert = to_srgb(opened.icc)

    def prepare(image: Image.Image) -> Image.Image:
        return upright(convert(shrink(image, stored)), opened.orientation)

    return prepare


def _prepared(
    opened: OpenedPhoto, prepare: Prepare, covering: Size, limits: Limits, deadline: Deadline
) -> Image.Image:
    """The largest rendition's picture. The decoder's, which is larger, is freed before encoders
    need memory."""
    decoded = opened.decode(covering, limits)
    deadline.check()
    picture = prepare(decoded)
    if picture is not decoded:
        opened.photo.release()
    return picture


def _stills(
    picture: Image.Image, opened: OpenedPhoto, recipe: Recipe, deadline: Deadline
) -> tuple[list[Rendition], Image.Image]:
    """The renditions that are no animations, and the smallest picture among them."""
    formats = [
        output
        for output in recipe.formats
        if not (opened.is_animation and registry.FORMATS[output].animate)
    ]
    renditions: list[Rendition] = []
    files: dict[tuple[Size, JpegFlavour], list[bytes]] = {}
    for spec in _largest_first(recipe):
        size = fit(opened.size, spec.long_edge_pixels)
        same = files.get((size, spec.jpeg_flavour))
        if same is None:  # else the photo is smaller than both sizes
            picture = shrink(picture, size)
            same = files[size, spec.jpeg_flavour] = []
            for output in formats:
                deadline.check()
                same.append(registry.FORMATS[output].encode(picture, recipe, spec))
        renditions += [
            Rendition(spec.name, output, *size, data, animated=False)
            for output, data in zip(formats, same, strict=True)
        ]
    return renditions, picture


def _animations(
    opened: OpenedPhoto, prepare: Prepare, recipe: Recipe, deadline: Deadline
) -> list[Rendition]:
    # The still was decoded before, and a decoder gives its frames in order only: a new one.
    photo = opened.format.open(opened.source, opened.structure)
    sizes = {spec.name: fit(opened.size, spec.long_edge_pixels) for spec in _largest_first(recipe)}
    renditions: list[Rendition] = []
    starts = {output: registry.FORMATS[output].animate for output in recipe.formats}
    writers: dict[tuple[int, int], list[AnimationWriter]] = {
        size: [start(size, photo.plays, recipe) for start in starts.values() if start]
        for size in sizes.values()
    }
    if not any(writers.values()):
        return renditions
    for decoded, milliseconds in photo.frames(opened.structure.frames):
        deadline.check()
        frame = prepare(decoded)
        for size, group in writers.items():
            frame = shrink(frame, size)
            for writer in group:
                writer.add(frame, milliseconds)
    files = {size: [writer.finish() for writer in group] for size, group in writers.items()}
    outputs = [output for output, start in starts.items() if start]
    for name, size in sizes.items():
        for output, data in zip(outputs, files[size], strict=True):
            renditions.append(Rendition(name, output, *size, data, animated=True))
    return renditions


def _largest_first(recipe: Recipe) -> list[RenditionSpec]:
    return sorted(recipe.renditions, key=lambda spec: -spec.long_edge_pixels)


def _in_order(renditions: list[Rendition], recipe: Recipe) -> tuple[Rendition, ...]:
    """The renditions in the recipe's order: by size, then by format."""
    names = {spec.name: i for i, spec in enumerate(recipe.renditions)}
    formats = {output: i for i, output in enumerate(recipe.formats)}
    return tuple(sorted(renditions, key=lambda r: (names[r.name], formats[r.format])))
