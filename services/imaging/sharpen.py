"""Sharpens pictures for a screen, after they were made smaller."""

from __future__ import annotations

from PIL import Image

# Half a pixel of blur is what a step down leaves on a screen; differences of up to 2 levels are
# noise, which stays as it is.
_RADIUS_PIXELS, _THRESHOLD_LEVELS = 0.5, 2


def sharpen(image: Image.Image, percent: int) -> Image.Image:
    """A copy of `image` (L, RGB or RGBA) with an unsharp mask of this strength, or `image` itself
    for 0 percent. Transparency stays as it is."""
    if percent == 0:
        return image
    from PIL import ImageFilter  # here: a cold start needs none of it

    sharp = image.filter(ImageFilter.UnsharpMask(_RADIUS_PIXELS, percent, _THRESHOLD_LEVELS))
    if image.mode == "RGBA":
        sharp.putalpha(image.getchannel("A"))
    return sharp
