"""The registry of rendition formats.

A new format is a name in `OutputFormat`, a module that has a `RenditionFormat`, and a line here.
"""

from __future__ import annotations

from services.imaging.model import OutputFormat
from services.imaging.renditions import avif, jpeg, webp
from services.imaging.renditions.encode import RenditionFormat

FORMATS: dict[OutputFormat, RenditionFormat] = {
    OutputFormat.JPEG: jpeg.FORMAT,
    OutputFormat.WEBP: webp.FORMAT,
    OutputFormat.AVIF: avif.FORMAT,
}
