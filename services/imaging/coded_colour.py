"""Makes ICC profiles from colour spaces that are declared by numbers: code points of ITU-T H.273
(`nclx` in HEIF and AVIF, `cICP` in PNG), gamma and chromaticities (PNG), EXIF's Adobe RGB.

High dynamic range (PQ and HLG) becomes standard range in the profile's curve: diffuse white (203
cd/m², ITU-R BT.2408) is white, and brighter light up to 1,000 cd/m² is compressed below it by the
knee of ITU-R BT.2390 section 5.4.1, for each channel.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

_D65, _DCI_WHITE, _C_WHITE = (0.3127, 0.3290), (0.314, 0.351), (0.310, 0.316)
_D50: Vector = (0.9642, 1.0, 0.8249)
# H.273 table 2: red, green, blue, white as xy.
_BT709, _BT601_525, _P3_D65, _BT2020 = 1, 6, 12, 9
_PRIMARIES: dict[int, tuple[str, tuple[float, ...]]] = {
    1: ("sRGB primaries", (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_D65)),
    4: ("BT.470 M primaries", (0.670, 0.330, 0.210, 0.710, 0.140, 0.080, *_C_WHITE)),
    5: ("BT.470 BG primaries", (0.640, 0.330, 0.290, 0.600, 0.150, 0.060, *_D65)),
    6: ("BT.601 primaries", (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65)),
    7: ("SMPTE 240M primaries", (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65)),
    9: ("BT.2020", (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65)),
    11: ("DCI-P3", (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_DCI_WHITE)),
    12: ("Display P3", (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65)),
    22: ("EBU 3213 primaries", (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65)),
}
_ADOBE_RGB = (0.640, 0.330, 0.210, 0.710, 0.150, 0.060, *_D65)
_ADOBE_RGB_GAMMA = 2.19921875
# H.273 table 3. The video curves are taken for sRGB's, as browsers do: encoders write them for
# pictures that are sRGB.
_LIKE_SRGB = frozenset((1, 2, 6, 7, 11, 12, 13, 14, 15))
_GAMMA_22, _GAMMA_28, _LINEAR, _PQ, _HLG = 4, 5, 8, 16, 18
_CURVE_ENTRIES = 1_024
_WHITE_NITS, _PEAK_NITS = 203.0, 1_000.0
# A gamma of 1/2.2 is written for sRGB; the difference between the two is not meant.
_GAMMA_OF_SRGB, _GAMMA_TOLERANCE = 1 / 2.2, 0.002
_CHROMATICITY_TOLERANCE = 0.003
_BRADFORD: Matrix = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)


def is_known(primaries: int, transfer: int) -> bool:
    """Whether `profile` understands these code points. 2 (unspecified) is none."""
    has_curve = transfer in _LIKE_SRGB or transfer in (_GAMMA_22, _GAMMA_28, _LINEAR, _PQ, _HLG)
    return primaries in _PRIMARIES and has_curve


@cache
def profile(primaries: int, transfer: int, *, is_grey: bool = False) -> bytes | None:
    """An ICC profile for code points that `is_known`; None for those that mean sRGB."""
    if not is_known(primaries, transfer):
        return None
    # BT.601's primaries come from encoders that mean their matrix, and are close to sRGB's.
    like_srgb = primaries in (_BT709, _BT601_525) or is_grey
    if like_srgb and transfer in _LIKE_SRGB:
        return None
    name, chromaticities = _PRIMARIES[primaries]
    if transfer == _PQ:
        name += " PQ"
    elif transfer == _HLG:
        name += " HLG"
    return _profile(name, chromaticities, _curve(transfer), is_grey=is_grey)


@cache
def adobe_rgb() -> bytes:
    """An ICC profile of Adobe RGB (1998)."""
    return _profile("Adobe RGB (1998)", _ADOBE_RGB, _gamma(_ADOBE_RGB_GAMMA), is_grey=False)


def profile_of_gamma(
    encoding: float, chromaticities: Sequence[float] | None, *, is_grey: bool
) -> bytes | None:
    """An ICC profile for PNG's gAMA (`encoding`, such as 0.45455) and cHRM (x and y of white, red,
    green, blue); None where they mean sRGB or make no sense."""
    if not 0.1 <= encoding <= 5:
        return None
    srgb = _PRIMARIES[_BT709][1]
    xy = srgb
    if chromaticities is not None and not is_grey:
        xy = (*chromaticities[2:], *chromaticities[:2])
        if min(xy[1::2]) <= 0.001 or max(xy) > 1 or abs(_area(xy)) < 0.01:
            return None
    is_srgb = all(abs(a - b) < _CHROMATICITY_TOLERANCE for a, b in zip(xy, srgb, strict=True))
    like_srgb = abs(encoding - _GAMMA_OF_SRGB) < _GAMMA_TOLERANCE
    if is_srgb and like_srgb:
        return None
    curve = _SRGB_CURVE if like_srgb else _gamma(1 / encoding)
    return _profile(f"PNG gamma {encoding:g}", xy, curve, is_grey=is_grey)


def _area(xy: Sequence[float]) -> float:
    return (xy[2] - xy[0]) * (xy[5] - xy[1]) - (xy[4] - xy[0]) * (xy[3] - xy[1])


# --- curves ---------------------------------------------------------------------------------------


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65_536)) for value in values)


_SRGB_CURVE = b"para\0\0\0\0\0\3\0\0" + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def _gamma(gamma: float) -> bytes:
    return b"para\0\0\0\0\0\0\0\0" + _fixed(gamma)


def _curve(transfer: int) -> bytes:
    match transfer:
        case 4:
            return _gamma(2.2)
        case 5:
            return _gamma(2.8)
        case 8:
            return _gamma(1.0)
        case 16:
            return _table(lambda value: _to_standard_range(_pq_nits(value)))
        case 18:
            return _table(lambda value: _to_standard_range(_hlg_nits(value)))
        case _:
            return _SRGB_CURVE


def _table(linear: Callable[[float], float]) -> bytes:
    last = _CURVE_ENTRIES - 1
    values = [min(max(linear(i / last), 0.0), 1.0) for i in range(_CURVE_ENTRIES)]
    return struct.pack(
        f">4sII{_CURVE_ENTRIES}H", b"curv", 0, _CURVE_ENTRIES, *(round(v * 65_535) for v in values)
    )


# SMPTE ST 2084.
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128


def _pq_nits(value: float) -> float:
    powered = value ** (1 / _M2)
    return float(10_000 * (max(powered - _C1, 0) / (_C2 - _C3 * powered)) ** (1 / _M1))


def _pq_value(nits: float) -> float:
    powered = (nits / 10_000) ** _M1
    return float(((_C1 + _C2 * powered) / (1 + _C3 * powered)) ** _M2)


def _hlg_nits(value: float) -> float:
    """BT.2100 table 5: the inverse OETF, then the OOTF of a display with 1,000 cd/m²."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = value**2 / 3 if value <= 0.5 else (2.718281828459045 ** ((value - c) / a) + b) / 12
    return float(_PEAK_NITS * scene**1.2)


def _to_standard_range(nits: float) -> float:
    """Linear light 0..1 of 0..`_WHITE_NITS`, by the hermite knee of BT.2390."""
    peak = _pq_value(_PEAK_NITS)
    value = min(_pq_value(nits) / peak, 1.0)
    highest = _pq_value(_WHITE_NITS) / peak
    knee = 1.5 * highest - 0.5
    if value > knee:
        t = (value - knee) / (1 - knee)
        value = (
            (2 * t**3 - 3 * t**2 + 1) * knee
            + (t**3 - 2 * t**2 + t) * (1 - knee)
            + (-2 * t**3 + 3 * t**2) * highest
        )
    return _pq_nits(value * peak) / _WHITE_NITS


# --- profiles -------------------------------------------------------------------------------------


def _profile(name: str, xy: Sequence[float], curve: bytes, *, is_grey: bool) -> bytes:
    """A version 4 profile (ICC.1:2022) with a matrix and curves, or one curve for grey."""
    tags = {
        b"desc": _text(name),
        b"cprt": _text("no copyright"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_D50),
    }
    if is_grey:
        tags[b"kTRC"] = curve
    else:
        columns = zip(*_to_d50_xyz(xy), strict=True)
        for letter, column in zip((b"r", b"g", b"b"), columns, strict=True):
            tags[letter + b"XYZ"] = b"XYZ \0\0\0\0" + _fixed(*column)
            tags[letter + b"TRC"] = curve
    table, body = struct.pack(">I", len(tags)), b""
    first = 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", first + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4xI4s4s4s12s4s", first + len(body), 0x04200000, b"mntr",
        b"GRAY" if is_grey else b"RGB ", b"XYZ ", struct.pack(">6H", 2022, 5, 1, 0, 0, 0), b"acsp",
    )  # fmt: skip
    return (head.ljust(68, b"\0") + _fixed(*_D50)).ljust(128, b"\0") + table + body


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(data), 28) + data


def _to_d50_xyz(xy: Sequence[float]) -> Matrix:
    """The matrix from linear RGB with these primaries and white to XYZ, adapted to D50."""
    red, green, blue, white = (_xyz(xy[i], xy[i + 1]) for i in range(0, 8, 2))
    columns: Matrix = _transposed((red, green, blue))
    scale = _applied(_inverse(columns), white)
    to_xyz: Matrix = _transposed(
        (_scaled(red, scale[0]), _scaled(green, scale[1]), _scaled(blue, scale[2]))
    )
    source, target = _applied(_BRADFORD, white), _applied(_BRADFORD, _D50)
    gains = (target[0] / source[0], target[1] / source[1], target[2] / source[2])
    diagonal: Matrix = ((gains[0], 0, 0), (0, gains[1], 0), (0, 0, gains[2]))
    adapted = _product(_inverse(_BRADFORD), _product(diagonal, _BRADFORD))
    return _product(adapted, to_xyz)


def _xyz(x: float, y: float) -> Vector:
    return x / y, 1.0, (1 - x - y) / y


def _scaled(vector: Vector, factor: float) -> Vector:
    return vector[0] * factor, vector[1] * factor, vector[2] * factor


def _transposed(m: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = m
    return (a, d, g), (b, e, h), (c, f, i)


def _applied(m: Matrix, v: Vector) -> Vector:
    first, second, third = (sum(a * b for a, b in zip(row, v, strict=True)) for row in m)
    return first, second, third


def _product(a: Matrix, b: Matrix) -> Matrix:
    columns = _transposed(b)
    return _transposed((_applied(a, columns[0]), _applied(a, columns[1]), _applied(a, columns[2])))


def _inverse(m: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = m
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    adjugate = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return tuple(_scaled(row, 1 / determinant) for row in adjugate)  # type: ignore[return-value]
