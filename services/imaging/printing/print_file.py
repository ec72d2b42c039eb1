"""Makes the file that a photo is printed from: an original's bytes in, a JPEG or TIFF out.

    from services.imaging.printing.print_file import make_print_file

Whether a photo has enough pixels is known much earlier, from
`services.imaging.printing.geometry.check_resolution`.
"""

from __future__ import annotations

import io
from math import ceil
from typing import Any

from PIL import Image

from services.imaging.colour import to_srgb
from services.imaging.formats.structure import Size
from services.imaging.inspection import OpenedPhoto, open_photo
from services.imaging.limits import Deadline
from services.imaging.model import Limits
from services.imaging.orient import stored_box, upright, upright_size
from services.imaging.printing.colour import output_profile, to_output
from services.imaging.printing.geometry import (
    Sheet,
    check_resolution,
    crop_around,
    crop_size,
    orient_sheet,
)
from services.imaging.printing.model import (
    PRINT_DPI,
    Focus,
    PrintFile,
    PrintFormat,
    PrintRefused,
    PrintSpec,
    RefusalReason,
    Verdict,
    Window,
)
from services.imaging.printing.saliency import LONG_EDGE_PIXELS, best_offset
from services.imaging.printing.sharpen import sharpen_for_print
from services.imaging.renditions.encode import flat
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
    deadline = Deadline(limits.seconds_max)
    opened = open_photo(source, limits, deadline)
    sheet = orient_sheet(*opened.size, order)
    resolution = check_resolution(*opened.size, order)
    if resolution.verdict is Verdict.TOO_LOW:
        message = resolution.message or "The photo has too few pixels for this print."
        raise PrintRefused(RefusalReason.RESOLUTION_TOO_LOW, message)
    deadline.check()
    picture, size, orientation = _decode(opened, sheet, limits), opened.size, opened.orientation
    profile = opened.icc
    del opened  # it would keep its decoder's picture in memory to the end
    deadline.check()
    focus = order.focus or _salient(picture, profile, size, orientation, sheet)
    crop = crop_around(*size, sheet, focus)
    deadline.check()
    picture = _resized(picture, crop, size, orientation, sheet)
    if picture.mode in ("CMYK", "LAB"):
        # Cameras do not use these, so there is next to nothing to lose by way of sRGB.
        picture, profile = to_srgb(profile)(picture), None
    deadline.check()
    picture = sharpen_for_print(flat(picture), sheet.width_mm, sheet.height_mm)
    deadline.check()
    picture = to_output(picture, profile, order)
    deadline.check()
    return PrintFile(
        data=_encoded(picture, output_profile(order), order),
        format=order.format,
        width=sheet.width,
        height=sheet.height,
        width_mm=sheet.width_mm,
        height_mm=sheet.height_mm,
        dpi=resolution.dpi,
        crop=crop,
        warning=resolution.message,
    )


def _decode(opened: OpenedPhoto, sheet: Sheet, limits: Limits) -> Image.Image:
    per_pixel = _DECODED_PER_PRINTED * sheet.width / crop_size(*opened.size, sheet)[0]
    width, height = upright_size(opened.size, opened.orientation)
    covering = (
        min(width, ceil(width * per_pixel)),
        min(height, ceil(height * per_pixel)),
    )
    return opened.decode(covering, limits)


def _salient(
    picture: Image.Image, profile: bytes | None, size: Size, orientation: int, sheet: Sheet
) -> Focus:
    """The middle of the best crop, which spans the whole photo in one direction."""
    width, height = size
    crop_width, crop_height = crop_size(width, height, sheet)
    small = picture.resize(
        fit(picture.size, LONG_EDGE_PIXELS), Image.Resampling.BOX, reducing_gap=1.0
    )
    small = upright(flat(to_srgb(profile)(small)).convert("RGB"), orientation)
    across = crop_width / width < crop_height / height
    part = crop_width / width if across else crop_height / height
    middle = part / 2 + best_offset(small, part, across=across) * (1 - part)
    return Focus(middle, 0.5) if across else Focus(0.5, middle)


def _resized(
    picture: Image.Image, crop: Window, size: Size, orientation: int, sheet: Sheet
) -> Image.Image:
    """The crop at the print's size, in one filtering from the decoded pixels, and upright after it:
    that is fewer pixels to turn."""
    whole_width, _ = upright_size(size, orientation)
    box = stored_box((crop.left, crop.top, crop.right, crop.bottom), size, orientation)
    left, top, right, bottom = box
    # A JPEG decoded at 1/n has the same edges, but for a last pixel that may reach beyond them.
    n = max(1, round(whole_width / picture.width))
    decoded_box = (
        left / n,
        top / n,
        min(right / n, picture.width),
        min(bottom / n, picture.height),
    )
    resized = picture.resize(
        upright_size((sheet.width, sheet.height), orientation),
        Image.Resampling.LANCZOS,
        decoded_box,
        _REDUCING_GAP,
    )
    return upright(resized, orientation)


def _encoded(picture: Image.Image, profile: bytes, spec: PrintSpec) -> bytes:
    """No metadata goes into the file but the resolution and the profile: where a photo was taken is
    not the printer's concern. JPEG is baseline, as old printers know no other, and keeps the
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
