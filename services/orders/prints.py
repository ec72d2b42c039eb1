"""From a line of an order to the print that the lab makes of it."""

from __future__ import annotations

from services.imaging.print_model import Focus, PrintOrientation, PrintSpec
from services.orders.model import Line


def print_spec(line: Line) -> PrintSpec:
    """What is to be printed, for the printer's standard file: JPEG in sRGB."""
    return PrintSpec(
        width_mm=line.width_mm,
        height_mm=line.height_mm,
        orientation=PrintOrientation(line.orientation.value),
        focus=Focus(*line.focus) if line.focus is not None else None,
    )
