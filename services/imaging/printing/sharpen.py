"""Sharpens for paper: ink and paper soften what the file holds, so it is sharpened more than for
a screen."""

from __future__ import annotations

from math import hypot

from PIL import Image, ImageChops, ImageFilter

from services.imaging.printing.model import MM_PER_INCH, PRINT_DPI

# Prints are viewed from 30 cm at the nearest, and larger ones from about their diagonal.
_NEAREST_MM = 300.0
# Radius in pixels = viewing distance in inches x pixels an inch x 0.0004 (Nikonians wiki, "Output
# sharpening"): at 30 cm that is pixels an inch / 200, the other usual rule.
_RADIUS_PER_DISTANCE = 0.0004
# Bruce Fraser (Real World Image Sharpening): halos of 1/100 to 1/50 inch on paper go unseen. A halo
# is about twice the radius wide.
_HALO_INCHES_MIN, _HALO_INCHES_MAX = 1 / 100, 1 / 50
# Between the 60 % (Printing United Alliance) and the 100 % (Nikonians) that are advised to begin
# with; 3 levels leave a sensor's grain and smooth skin alone (Printing United Alliance: 3 to 4).
_PERCENT, _THRESHOLD = 80, 3
# Strips keep the memory of a poster's channels small. Pillow blurs with three boxes, which together
# reach three radii and a few pixels: at 3 pixels, the largest radius, not as far as this.
_STRIP_ROWS, _MARGIN_ROWS = 1024, 24


def radius_pixels(width_mm: float, height_mm: float) -> float:
    """The radius of the unsharp mask for a finished print of this size, in its file's pixels."""
    distance_inches = max(_NEAREST_MM, hypot(width_mm, height_mm)) / MM_PER_INCH
    radius = distance_inches * PRINT_DPI * _RADIUS_PER_DISTANCE
    least, most = (inches * PRINT_DPI / 2 for inches in (_HALO_INCHES_MIN, _HALO_INCHES_MAX))
    return min(max(radius, least), most)


def sharpen_for_print(image: Image.Image, width_mm: float, height_mm: float) -> Image.Image:
    """`image` (L or RGB, at PRINT_DPI), sharpened for a finished print of this size.

    In lightness only: what the mask changes there is added to red, green and blue alike, so edges
    get no coloured fringe, and pixels that it leaves alone stay as they are, to the bit.
    """
    mask = ImageFilter.UnsharpMask(radius_pixels(width_mm, height_mm), _PERCENT, _THRESHOLD)
    if image.mode == "L":
        return image.filter(mask)
    sharpened = Image.new("RGB", image.size)
    for top in range(0, image.height, _STRIP_ROWS):
        bottom = min(image.height, top + _STRIP_ROWS)
        first, last = max(0, top - _MARGIN_ROWS), min(image.height, bottom + _MARGIN_ROWS)
        strip = _sharpened(image.crop((0, first, image.width, last)), mask)
        strip = strip.crop((0, top - first, image.width, bottom - first))
        sharpened.paste(strip, (0, top))
    return sharpened


def _sharpened(image: Image.Image, mask: ImageFilter.UnsharpMask) -> Image.Image:
    lightness = image.convert("L")
    sharp = lightness.filter(mask)
    lighter, darker = ImageChops.subtract(sharp, lightness), ImageChops.subtract(lightness, sharp)
    return Image.merge(
        "RGB",
        [ImageChops.subtract(ImageChops.add(band, lighter), darker) for band in image.split()],
    )
