"""ICC profiles with known colours, and the arithmetic that predicts them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

WIDTH, HEIGHT = 96, 64

# Primaries and white as xy. Display P3: SMPTE EG 432-1 with D65; Adobe RGB (1998) 4.3.1.
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_RGB_NAMES = (b"r", b"g", b"b")
_D65 = (0.3127, 0.3290)
_D50_XYZ = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _xyz(xy: tuple[float, float]) -> np.ndarray:
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])


def rgb_to_xyz(primaries: Sequence[tuple[float, float]]) -> np.ndarray:
    """The matrix from linear RGB with these primaries (white D65) to XYZ."""
    columns = np.stack([_xyz(p) for p in primaries], axis=1)
    return np.asarray(columns * np.linalg.solve(columns, _xyz(_D65)))


def _to_d50() -> np.ndarray:
    gains = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ _xyz(_D65))
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD)


def srgb_decoded(values: np.ndarray) -> np.ndarray:
    """Linear light from sRGB's encoding (IEC 61966-2-1), both 0..1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_encoded(values: np.ndarray) -> np.ndarray:
    """sRGB's encoding (IEC 61966-2-1) of linear light, both 0..1; what is outside is cut off."""
    values = values.clip(0, 1)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(v * 65_536)) for v in values)


def _xyz_tag(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _text_tag(text: str) -> bytes:
    body = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">L", len(body)) + body + b"\0" * 78


GAMMA_SRGB = b"para\0\0\0\0\0\3\0\0" + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def gamma_curve(gamma: float) -> bytes:
    """A transfer curve that is a plain power."""
    return b"curv\0\0\0\0\0\0\0\1" + struct.pack(">H", round(gamma * 256))


def _profile(space: bytes, kind: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    body, table = b"", struct.pack(">L", len(tags))
    offset = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">LL", offset + len(body), len(data))
        body += data
    head = struct.pack(
        ">L4sL4s4s4s12s4s", 128 + len(table) + len(body), b"\0\0\0\0", 0x02400000, kind, space,
        connection, b"\0" * 12, b"acsp",
    )  # fmt: skip
    head = head.ljust(68, b"\0") + _fixed(*_D50_XYZ)
    return head.ljust(128, b"\0") + table + body


def rgb_profile(
    primaries: Sequence[tuple[float, float]], curve: bytes, description: str = "made for a test"
) -> bytes:
    """A matrix and curve profile, white D65, for RGB."""
    colorants = _to_d50() @ rgb_to_xyz(primaries)
    return _profile(
        b"RGB ", b"mntr", b"XYZ ",
        {
            b"desc": _text_tag(description),
            b"wtpt": _xyz_tag(_D50_XYZ),
            **{name + b"XYZ": _xyz_tag(colorants[:, i]) for i, name in enumerate(_RGB_NAMES)},
            **{name + b"TRC": curve for name in _RGB_NAMES},
        },
    )  # fmt: skip


def grey_profile(gamma: float) -> bytes:
    """A profile for grey with a plain power as its curve."""
    return _profile(
        b"GRAY", b"mntr", b"XYZ ",
        {
            b"desc": _text_tag("grey made for a test"),
            b"wtpt": _xyz_tag(_D50_XYZ),
            b"kTRC": gamma_curve(gamma),
        },
    )  # fmt: skip


# What each ink of the test's press looks like, and what they make of each other: Lab of the 16
# corners of the CMYK cube, from white paper to full black, so that nothing is left to the colour
# engine's white and black point compensation. Only solid inks are compared, where no interpolation
# has a say.
def cmyk_corner_lab(c: int, m: int, y: int, k: int) -> tuple[float, float, float]:
    """CIELAB (D50) of a solid overprint on the test's press; each ink is 0 or 1."""
    lightness = (100 - 35 * c - 40 * m - 10 * y) * (0.0 if k else 1.0)
    strength = 0.0 if k else 1.0
    return (
        lightness,
        strength * (-30.0 * c + 45.0 * m - 4.0 * y),
        strength * (-35.0 * c - 4.0 * m + 60.0 * y),
    )


def cmyk_profile() -> bytes:
    """A profile for CMYK with a table of the 16 corners (lut8Type, ICC.1:2001-04 6.5.8)."""
    identity = _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    ramp = bytes(range(256))
    nodes = bytearray()
    for i in range(16):
        c, m, y, k = (i >> s & 1 for s in (3, 2, 1, 0))
        lightness, a, b = cmyk_corner_lab(c, m, y, k)
        nodes += bytes((round(lightness * 2.55), round(a + 128), round(b + 128)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + bytes(nodes) + ramp * 3
    return _profile(
        b"CMYK", b"prtr", b"Lab ",
        {
            b"desc": _text_tag("press made for a test"),
            b"wtpt": _xyz_tag(_D50_XYZ),
            b"A2B0": table,
        },
    )  # fmt: skip


def lab_to_srgb(lab: tuple[float, float, float]) -> np.ndarray:
    """8-bit sRGB of a CIELAB (D50) colour, by the formulas of CIE 15 and IEC 61966-2-1."""
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _D50_XYZ
    linear = np.linalg.solve(_to_d50() @ rgb_to_xyz(SRGB), xyz)
    return np.asarray(srgb_encoded(linear) * 255)
