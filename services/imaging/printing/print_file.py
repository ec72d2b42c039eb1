"""Makes the file that a photo is printed from: an original's bytes in, a JPEG or TIFF out.

    from services.imaging.printing.print_file import make_print_file

The work is the list `STEPS`, one after the other, over one frozen dataclass. Whether a photo has
pixels enough can be asked long before, of `services.imaging.printing.geometry.check_resolution`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, TypeVar

from PIL import Image

from services.imaging import inspection
from services.imaging.colour import to_srgb
from services.imaging.deadline import Deadline
from services.imaging.encode import flat
from services.imaging.formats.decode import Photo
from services.imaging.formats.sniff import sniff
from services.imaging.formats.structure import Structure
from services.imaging.limits import check_bytes, check_pixels
from services.imaging.model import Limits, SourceFormat
from services.imaging.orient import stored_box, upright, upright_size
from services.imaging.printing.colour import output_profile, to_output
from services.imaging.printing.geometry import (
    Sheet,
    check_resolution,
    crop_around,
    crop_size,
    stand,
)
from services.imaging.printing.model import (
    PRINT_DPI,
    Focus,
    PrintFile,
    PrintFormat,
    PrintRefused,
    PrintSpec,
    RefusalReason,
    Resolution,
    Verdict,
    Window,
)
from services.imaging.printing.saliency import LONG_EDGE_PIXELS, best_offset
from services.imaging.printing.sharpen import sharpen_for_print
from services.imaging.scale import fit

# A JPEG is decoded smaller, in the DCT, only where that leaves this many times the pixels that the
# print gets. Then it is 41 dB and more from the whole picture filtered down, on a picture chosen to
# be hard; with just enough pixels it would be 31 (benchmarks/print_file/README.md).
_DECODED_PER_PRINTED = 2.0
# Whole pixels are averaged first only as far as that leaves this many for each that is printed:
# 49 dB from Lanczos over all of them, in a fraction of the time (same place).
_REDUCING_GAP = 4.0
# Horizontal differencing, TIFF 6.0 section 14: halves what LZW and deflate make of photos.
_TIFF_PREDICTOR_TAG, _TIFF_PREDICTOR_HORIZONTAL = 317, 2
_TIFF_COMPRESSIONS = {
    PrintFormat.TIFF_LZW: "tiff_lzw",
    PrintFormat.TIFF_DEFLATE: "tiff_adobe_deflate",
}

_DEFAULT_LIMITS = Limits()

T = TypeVar("T")


@dataclass(frozen=True)
class _Work:
    """A photo on its way through `STEPS`. Each step fills in what later ones need."""

    source: bytes
    spec: PrintSpec
    limits: Limits
    deadline: Deadline
    format: SourceFormat | None = None
    structure: Structure | None = None
    photo: Photo | None = None
    orientation: int = 1  # what is still to be applied
    seen: tuple[int, int] | None = None  # the whole photo's size, upright
    sheet: Sheet | None = None
    resolution: Resolution | None = None
    # As decoded, perhaps smaller; then cropped and at the print's size; in the end in its colours.
    picture: Image.Image | None = None
    crop: Window | None = None
    profile: bytes | None = None  # of `picture`
    printed: PrintFile | None = None


def make_print_file(source: bytes, order: PrintSpec, limits: Limits = _DEFAULT_LIMITS) -> PrintFile:
    """The file for one print of the photo in `source`.

    Takes what `develop` takes, within the same limits; of an animation the first frame. The crop
    fills the print and its bleed: around the order's focus, else around what is most salient. What
    is transparent becomes white. Up to 300 pixels an inch are made of fewer, down to the 100 below
    which a print is refused; below 150 the result carries a warning.

    The same source and order give the same bytes.

    Raises PhotoRejected for anything that is no sound photo within `limits`, PrintRefused for a
    sound photo that has too few pixels for this print, and ValueError for an output profile that
    cannot be printed with.
    """
    work = _Work(source, order, limits, Deadline(limits.seconds_max))
    for step in STEPS:
        work.deadline.check()
        work = step(work)
    return _known(work.printed)


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
    source_format, found = _known(work.format), _known(work.structure)
    photo = inspection.open_within(work.source, source_format, found, work.limits)
    read = inspection.read_metadata(work.source, source_format, found, photo)
    orientation = inspection.orientation_left(source_format, read)
    seen = inspection.seen_size(source_format, found, photo, orientation)
    return replace(
        work,
        photo=photo,
        orientation=orientation,
        seen=seen,
        profile=found.icc or photo.icc,
        sheet=stand(*seen, work.spec),
    )


def _check_resolution(work: _Work) -> _Work:
    resolution = check_resolution(*_known(work.seen), work.spec)
    if resolution.verdict is Verdict.TOO_LOW:
        raise PrintRefused(RefusalReason.RESOLUTION_TOO_LOW, _known(resolution.message))
    return replace(work, resolution=resolution)


def _decode(work: _Work) -> _Work:
    seen, sheet = _known(work.seen), _known(work.sheet)
    per_pixel = _DECODED_PER_PRINTED * sheet.width / crop_size(*seen, sheet)[0]
    width, height = upright_size(seen, work.orientation)
    covering = (
        min(width, ceil(width * per_pixel)),
        min(height, ceil(height * per_pixel)),
    )
    picture = _known(work.photo).still(covering)
    check_pixels(*picture.size, work.limits)
    # The opened file holds on to its picture, which would keep it in memory to the end.
    return replace(work, picture=picture, photo=None, structure=None)


def _choose_crop(work: _Work) -> _Work:
    seen, sheet = _known(work.seen), _known(work.sheet)
    focus = work.spec.focus or _salient(work)
    return replace(work, crop=crop_around(*seen, sheet, focus))


def _salient(work: _Work) -> Focus:
    """The middle of the best crop, which reaches over the whole photo in one direction."""
    (width, height), sheet = _known(work.seen), _known(work.sheet)
    crop_width, crop_height = crop_size(width, height, sheet)
    picture = _known(work.picture)
    small = picture.resize(
        fit(picture.size, LONG_EDGE_PIXELS), Image.Resampling.BOX, reducing_gap=1.0
    )
    small = upright(flat(to_srgb(work.profile)(small)).convert("RGB"), work.orientation)
    across = crop_width / width < crop_height / height
    part = crop_width / width if across else crop_height / height
    middle = part / 2 + best_offset(small, part, across=across) * (1 - part)
    return Focus(middle, 0.5) if across else Focus(0.5, middle)


def _resize(work: _Work) -> _Work:
    """The crop at the print's size, in one filtering from the decoded pixels, and upright after it:
    that is fewer pixels to turn."""
    picture, seen, sheet = _known(work.picture), _known(work.seen), _known(work.sheet)
    crop = _known(work.crop)
    whole = upright_size(seen, work.orientation)
    left, top, right, bottom = stored_box(
        (crop.left, crop.top, crop.right, crop.bottom), seen, work.orientation
    )
    # A JPEG decoded at 1/n has the same edges, but for a last pixel that may reach beyond them.
    n = max(1, round(whole[0] / picture.width))
    box = (
        left / n,
        top / n,
        min(right / n, picture.width),
        min(bottom / n, picture.height),
    )
    size = upright_size((sheet.width, sheet.height), work.orientation)
    resized = picture.resize(size, Image.Resampling.LANCZOS, box, _REDUCING_GAP)
    return replace(work, picture=upright(resized, work.orientation))


def _flatten(work: _Work) -> _Work:
    """Onto white, and of four kinds of picture to two: grey and RGB, with their own profile.

    CMYK and Lab become sRGB: nobody photographs in them, so there is next to nothing to lose.
    """
    picture, profile = _known(work.picture), work.profile
    if picture.mode in ("CMYK", "LAB"):
        picture, profile = to_srgb(profile)(picture), None
    return replace(work, picture=flat(picture), profile=profile)


def _sharpen(work: _Work) -> _Work:
    sheet = _known(work.sheet)
    picture = sharpen_for_print(_known(work.picture), sheet.width_mm, sheet.height_mm)
    return replace(work, picture=picture)


def _colour(work: _Work) -> _Work:
    picture = to_output(_known(work.picture), work.profile, work.spec)
    return replace(work, picture=picture, profile=output_profile(work.spec))


def _encode(work: _Work) -> _Work:
    picture, sheet, resolution = _known(work.picture), _known(work.sheet), _known(work.resolution)
    printed = PrintFile(
        data=_encoded(picture, _known(work.profile), work.spec),
        format=work.spec.format,
        width=sheet.width,
        height=sheet.height,
        width_mm=sheet.width_mm,
        height_mm=sheet.height_mm,
        dpi=resolution.dpi,
        crop=_known(work.crop),
        warning=resolution.message,
    )
    return replace(work, printed=printed)


STEPS: tuple[Callable[[_Work], _Work], ...] = (
    _weigh,
    _recognise,
    _inspect,
    _open,
    _check_resolution,
    _decode,
    _choose_crop,
    _resize,
    _flatten,
    _sharpen,
    _colour,
    _encode,
)


def _encoded(picture: Image.Image, profile: bytes, spec: PrintSpec) -> bytes:
    """No metadata goes into the file but the resolution and the profile: where a photo was taken is
    none of the printer's business. JPEG is baseline, as old printers know no other, and keeps the
    colour of every pixel (4:4:4)."""
    picture.info = {}
    options: dict[str, Any] = {"icc_profile": profile, "dpi": (PRINT_DPI, PRINT_DPI)}
    out = io.BytesIO()
    if spec.format is PrintFormat.JPEG:
        from PIL import JpegImagePlugin

        name = JpegImagePlugin.JpegImageFile.format
        options |= {"quality": spec.jpeg_quality, "subsampling": "4:4:4"}
    else:
        from PIL import TiffImagePlugin

        name = TiffImagePlugin.TiffImageFile.format
        options["compression"] = _TIFF_COMPRESSIONS[spec.format]
        options["tiffinfo"] = {_TIFF_PREDICTOR_TAG: _TIFF_PREDICTOR_HORIZONTAL}
    picture.save(out, format=name, **options)
    return out.getvalue()


def _known(value: T | None) -> T:
    if value is None:
        raise RuntimeError("a step of the pipeline needs what no step before it has found")
    return value
