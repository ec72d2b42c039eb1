"""Develops a photo: bytes in; renditions, facts, placeholder and fingerprint out.

    from services.imaging.develop import develop

The work is the list `STEPS`, one after the other, over one frozen dataclass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL import Image

from services.imaging import inspection
from services.imaging.animate import AnimationWriter
from services.imaging.colour import to_srgb
from services.imaging.deadline import Deadline
from services.imaging.dominant import dominant_colour
from services.imaging.encode import encode, flat
from services.imaging.fingerprint import fingerprint
from services.imaging.formats.decode import Photo, open_photo
from services.imaging.formats.sniff import sniff
from services.imaging.formats.structure import Structure
from services.imaging.icc import read as read_profile
from services.imaging.limits import check_bytes, check_pixels
from services.imaging.metadata import Metadata
from services.imaging.model import (
    Developed,
    Facts,
    Limits,
    OutputFormat,
    Recipe,
    Rendition,
    RenditionSpec,
    SourceFormat,
)
from services.imaging.orient import upright, upright_size
from services.imaging.placeholder import thumbhash
from services.imaging.scale import fit, shrink

_ANIMATED = frozenset((SourceFormat.GIF, SourceFormat.WEBP, SourceFormat.PNG, SourceFormat.AVIF))

_DEFAULT_RECIPE = Recipe()
_DEFAULT_LIMITS = Limits()

T = TypeVar("T")


@dataclass(frozen=True)
class _Work:
    """A photo on its way through `STEPS`. Each step fills in what later ones need."""

    source: bytes
    recipe: Recipe
    limits: Limits
    deadline: Deadline
    format: SourceFormat | None = None
    structure: Structure | None = None
    photo: Photo | None = None
    metadata: Metadata | None = None
    orientation: int = 1  # what is still to be applied
    # As decoded; then in sRGB and upright; in the end the smallest rendition.
    picture: Image.Image | None = None
    facts: Facts | None = None
    renditions: tuple[Rendition, ...] = ()
    developed: Developed | None = None


def develop(
    source: bytes, recipe: Recipe = _DEFAULT_RECIPE, limits: Limits = _DEFAULT_LIMITS
) -> Developed:
    """Makes every rendition of `recipe` from `source`, and learns what there is to know about it.

    Takes JPEG (baseline, progressive, CMYK, MPO), PNG and APNG, WebP, GIF, TIFF, HEIC/HEIF and
    AVIF, told by the bytes. Of several pages or pictures the first (the primary) counts.

    Renditions are upright, in sRGB and free of metadata. A photo smaller than a size gives that
    rendition in its own size, so every name is there. An animation gives, for every size, an
    animated WebP in place of the WebP, and stills of its first frame in the other formats.

    Raises PhotoRejected for anything that is no sound photo within `limits`, and nothing else for
    any bytes.
    """
    work = _Work(source, recipe, limits, Deadline(limits.seconds_max))
    for step in STEPS:
        work.deadline.check()
        work = step(work)
    return _known(work.developed)


def _weigh(work: _Work) -> _Work:
    check_bytes(len(work.source), work.limits)
    return work


def _recognise(work: _Work) -> _Work:
    return replace(work, format=sniff(work.source))


def _inspect(work: _Work) -> _Work:
    return replace(
        work, structure=inspection.inspect(work.source, _known(work.format), work.limits)
    )


def _open(work: _Work) -> _Work:
    photo = inspection.open_within(
        work.source, _known(work.format), _known(work.structure), work.limits
    )
    return replace(work, photo=photo)


def _decode(work: _Work) -> _Work:
    found = _known(work.structure)
    covering = fit((found.width, found.height), work.recipe.long_edge_pixels_max)
    picture = _known(work.photo).still(covering)
    check_pixels(*picture.size, work.limits)
    return replace(work, picture=picture)


def _read_metadata(work: _Work) -> _Work:
    source_format, found, photo = _known(work.format), _known(work.structure), _known(work.photo)
    read = inspection.read_metadata(work.source, source_format, found, photo)
    return replace(
        work, metadata=read, orientation=inspection.orientation_left(source_format, read)
    )


def _state_facts(work: _Work) -> _Work:
    found, photo, read = _known(work.structure), _known(work.photo), _known(work.metadata)
    width, height = inspection.seen_size(_known(work.format), found, photo, work.orientation)
    profile = read_profile(found.icc or photo.icc)
    facts = Facts(
        format=_known(work.format),
        width=width,
        height=height,
        frames=found.frames,
        bytes=len(work.source),
        sha256=hashlib.sha256(work.source).hexdigest(),
        camera=read.camera,
        lens=read.lens,
        exposure_seconds=read.exposure_seconds,
        aperture=read.aperture,
        iso=read.iso,
        focal_length_mm=read.focal_length_mm,
        taken_at=read.taken_at,
        colour_profile=profile.description if profile else None,
        location=read.location,
    )
    return replace(work, facts=facts)


def _prepare(work: _Work) -> _Work:
    """Colour and orientation come after the first, largest step down: fewer pixels to convert."""
    picture = _preparation(work)(_known(work.picture))
    return replace(work, picture=picture)


def _render(work: _Work) -> _Work:
    picture, facts = _known(work.picture), _known(work.facts)
    renditions: list[Rendition] = []
    formats = [f for f in work.recipe.formats if not (_moves(work) and f is OutputFormat.WEBP)]
    for spec in _largest_first(work.recipe):
        size = fit((facts.width, facts.height), spec.long_edge_pixels)
        same = [r for r in renditions if (r.width, r.height) == size]
        if same:  # the photo is smaller than both sizes
            renditions += [replace(r, name=spec.name) for r in same[: len(formats)]]
            continue
        picture = shrink(picture, size)
        for output in formats:
            work.deadline.check()
            data = encode(picture, output, work.recipe)
            renditions.append(Rendition(spec.name, output, *size, data, animated=False))
    return replace(work, picture=picture, renditions=tuple(renditions))


def _animate(work: _Work) -> _Work:
    if not _moves(work) or OutputFormat.WEBP not in work.recipe.formats:
        return work
    found, facts = _known(work.structure), _known(work.facts)
    prepare = _preparation(work)
    photo = open_photo(work.source, _known(work.format), found)
    writers: dict[tuple[int, int], AnimationWriter] = {}
    names: list[tuple[str, tuple[int, int]]] = []
    for spec in _largest_first(work.recipe):
        size = fit((facts.width, facts.height), spec.long_edge_pixels)
        writers.setdefault(size, AnimationWriter(size, photo.loops, work.recipe))
        names.append((spec.name, size))
    for decoded, milliseconds in photo.frames(found.frames):
        work.deadline.check()
        frame = prepare(decoded)
        for size, writer in writers.items():
            frame = shrink(frame, size)
            writer.add(frame, milliseconds)
    files = {size: writer.finish() for size, writer in writers.items()}
    animations = tuple(
        Rendition(name, OutputFormat.WEBP, *size, files[size], animated=True)
        for name, size in names
    )
    return replace(work, renditions=work.renditions + animations)


def _describe(work: _Work) -> _Work:
    picture = _known(work.picture)
    on_white = flat(picture)
    order = {spec.name: i for i, spec in enumerate(work.recipe.renditions)}
    formats = {output: i for i, output in enumerate(work.recipe.formats)}
    renditions = sorted(work.renditions, key=lambda r: (order[r.name], formats[r.format]))
    developed = Developed(
        facts=_known(work.facts),
        renditions=tuple(renditions),
        placeholder=thumbhash(picture),
        fingerprint=fingerprint(on_white),
        dominant_colour=dominant_colour(on_white),
    )
    return replace(work, developed=developed)


STEPS: tuple[Callable[[_Work], _Work], ...] = (
    _weigh,
    _recognise,
    _inspect,
    _open,
    _decode,
    _read_metadata,
    _state_facts,
    _prepare,
    _render,
    _animate,
    _describe,
)


def _preparation(work: _Work) -> Callable[[Image.Image], Image.Image]:
    """What turns a decoded frame into the largest rendition's picture."""
    facts = _known(work.facts)
    largest = fit((facts.width, facts.height), work.recipe.long_edge_pixels_max)
    stored = upright_size(largest, work.orientation)
    convert = to_srgb(_known(work.structure).icc or _known(work.photo).icc)

    def prepare(image: Image.Image) -> Image.Image:
        return upright(convert(shrink(image, stored)), work.orientation)

    return prepare


def _largest_first(recipe: Recipe) -> list[RenditionSpec]:
    return sorted(recipe.renditions, key=lambda spec: -spec.long_edge_pixels)


def _moves(work: _Work) -> bool:
    return work.format in _ANIMATED and _known(work.structure).frames > 1


def _known(value: T | None) -> T:
    if value is None:
        raise RuntimeError("a step of the pipeline needs what no step before it has found")
    return value
