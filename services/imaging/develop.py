"""Develops a photo: bytes in; renditions, facts, placeholder and fingerprint out.

from services.imaging.develop import develop
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import Image

from services.imaging.colour import to_srgb
from services.imaging.fingerprint import fingerprint
from services.imaging.formats.structure import Size
from services.imaging.framing import Cutter, Frame, frame
from services.imaging.icc import read as read_profile
from services.imaging.inspection import OpenedPhoto, open_photo
from services.imaging.limits import Deadline
from services.imaging.model import (
    Developed,
    Facts,
    Limits,
    Recipe,
    Rendition,
    RenditionSpec,
    Step,
)
from services.imaging.orient import upright, upright_size
from services.imaging.placeholder import dominant_colour, thumbhash
from services.imaging.renditions import registry
from services.imaging.renditions.encode import AnimationWriter, flat
from services.imaging.scale import shrink
from services.imaging.sharpen import sharpen

_DEFAULT_RECIPE = Recipe()
_DEFAULT_LIMITS = Limits()

Prepare = Callable[[Image.Image], Image.Image]
Frames = list[tuple[RenditionSpec, Frame]]


def develop(
    source: bytes,
    recipe: Recipe = _DEFAULT_RECIPE,
    limits: Limits = _DEFAULT_LIMITS,
    sha256: str | None = None,
) -> Developed:
    """Makes every rendition of `recipe` from `source`, and reads its facts. `sha256` is that of
    `source`, where the caller knows it: computing it takes 5 % of the time.

    Takes JPEG (baseline, progressive, CMYK, MPO), PNG and APNG, WebP, GIF, TIFF, HEIC/HEIF and
    AVIF, recognized by the bytes. Of several pages or pictures the first (the primary) counts.

    Renditions are upright, in sRGB and free of metadata. A photo smaller than a size gives that
    rendition in its own size, so every name exists. An animation gives, for every size, an
    animation in the formats that hold one, and stills of its first frame in the others.

    Raises PhotoRejected for anything that is no sound photo within `limits`, and nothing else for
    any bytes.
    """
    deadline = Deadline(limits.seconds_max)
    steps: list[Step] = []
    with _step(steps, "inspect"):
        opened = open_photo(source, limits, deadline)
    frames = _largest_first(opened, recipe)
    # Before orientation.
    covering = upright_size(frames[0][1].scaled, opened.orientation)
    deadline.check()
    prepare = _preparation(opened, covering)
    with _step(steps, "decode"):
        picture = _prepared(opened, prepare, covering, limits, deadline)
    deadline.check()
    facts = _facts(opened, sha256)
    cutter = Cutter()
    renditions, smallest = _stills(picture, opened, recipe, frames, cutter, deadline, steps)
    if opened.is_animation:
        with _step(steps, "render animations"):
            renditions += _animations(opened, prepare, recipe, frames, cutter, deadline)
    deadline.check()
    on_white = flat(smallest)
    return Developed(
        facts=facts,
        renditions=_in_order(renditions, recipe),
        placeholder=thumbhash(smallest),
        fingerprint=fingerprint(on_white),
        dominant_colour=dominant_colour(on_white),
        steps=tuple(steps),
    )


@contextmanager
def _step(steps: list[Step], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    steps.append(Step(name, began, time.monotonic()))


def _facts(opened: OpenedPhoto, sha256: str | None) -> Facts:
    profile = read_profile(opened.icc)
    read = opened.metadata
    width, height = opened.size
    return Facts(
        format=opened.format.name,
        width=width,
        height=height,
        frames=opened.structure.frames,
        bytes=len(opened.source),
        sha256=hashlib.sha256(opened.source).hexdigest() if sha256 is None else sha256,
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


def _preparation(opened: OpenedPhoto, covering: Size) -> Prepare:
    """What turns a decoded frame into the largest rendition's picture: `covering` is its size
    before orientation.

    Colour and orientation come after the first, largest step down: fewer pixels to convert.
    """
    convert = to_srgb(opened.icc)

    def prepare(image: Image.Image) -> Image.Image:
        return upright(convert(shrink(image, covering)), opened.orientation)

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
    picture: Image.Image,
    opened: OpenedPhoto,
    recipe: Recipe,
    frames: Frames,
    cutter: Cutter,
    deadline: Deadline,
    steps: list[Step],
) -> tuple[list[Rendition], Image.Image]:
    """The renditions that are no animations, and the smallest picture of the whole photo."""
    formats = [
        output
        for output in recipe.formats
        if not (opened.is_animation and registry.FORMATS[output].animate)
    ]
    renditions: list[Rendition] = []
    files: dict[tuple[object, ...], list[bytes]] = {}
    for spec, target in frames:
        look = (target, spec.jpeg_flavour, spec.sharpening_percent)
        same = files.get(look)
        if same is None:  # else the photo is smaller than both sizes
            picture = shrink(picture, target.scaled)
            shown = sharpen(cutter.cut(picture, target), spec.sharpening_percent)
            same = files[look] = []
            for output in formats:
                deadline.check()
                with _step(steps, f"render {spec.name} {output.value}"):
                    same.append(registry.FORMATS[output].encode(shown, recipe, spec))
        renditions += [
            Rendition(spec.name, output, *target.size, data, animated=False)
            for output, data in zip(formats, same, strict=True)
        ]
    return renditions, picture


def _animations(
    opened: OpenedPhoto,
    prepare: Prepare,
    recipe: Recipe,
    frames: Frames,
    cutter: Cutter,
    deadline: Deadline,
) -> list[Rendition]:
    # The still was decoded before, and a decoder gives its frames in order only: a new one.
    photo = opened.format.open(opened.source, opened.structure)
    targets = {spec.name: (target, spec.sharpening_percent) for spec, target in frames}
    renditions: list[Rendition] = []
    starts = {output: registry.FORMATS[output].animate for output in recipe.formats}
    writers: dict[tuple[Frame, int], list[AnimationWriter]] = {
        look: [start(look[0].size, photo.plays, recipe) for start in starts.values() if start]
        for look in targets.values()
    }
    if not any(writers.values()):
        return renditions
    for decoded, milliseconds in photo.frames(opened.structure.frames):
        deadline.check()
        picture = prepare(decoded)
        for (target, sharpening), group in writers.items():
            picture = shrink(picture, target.scaled)
            shown = sharpen(cutter.cut(picture, target), sharpening)
            for writer in group:
                writer.add(shown, milliseconds)
    files = {look: [writer.finish() for writer in group] for look, group in writers.items()}
    outputs = [output for output, start in starts.items() if start]
    for name, look in targets.items():
        for output, data in zip(outputs, files[look], strict=True):
            renditions.append(Rendition(name, output, *look[0].size, data, animated=True))
    return renditions


def _largest_first(opened: OpenedPhoto, recipe: Recipe) -> Frames:
    """The recipe's sizes for this photo, so that each picture can be made from the one before."""
    frames = [(spec, frame(opened.size, spec)) for spec in recipe.renditions]
    return sorted(frames, key=lambda item: -sum(item[1].scaled))


def _in_order(renditions: list[Rendition], recipe: Recipe) -> tuple[Rendition, ...]:
    """The renditions in the recipe's order: by size, then by format."""
    names = {spec.name: i for i, spec in enumerate(recipe.renditions)}
    formats = {output: i for i, output in enumerate(recipe.formats)}
    return tuple(sorted(renditions, key=lambda r: (names[r.name], formats[r.format])))
