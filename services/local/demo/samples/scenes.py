"""The scenes of the sample photos. Each function paints one on a canvas."""

from __future__ import annotations

import numpy as np

from services.local.demo.samples.painting import (
    Canvas,
    Picture,
    add_light,
    blend,
    disc,
    gradient_sky,
    hills,
    rgb,
    soft_step,
    star_field,
)


def dusk_hills(canvas: Canvas) -> Picture:
    picture = gradient_sky(
        canvas.y,
        [(0, "1b2a55"), (0.25, "5a4a86"), (0.42, "d0688a"), (0.55, "ffb070"), (1, "ffdfa0")],
    )
    wisps = canvas.clouds(5, 6, stretch=5)
    band = np.exp(-((canvas.y - 0.3) ** 2) / 0.02)
    picture = blend(picture, "ff9a7a", ((wisps - 0.5) * 2.2).clip(0, 1) * band * 0.7)
    sun = disc(canvas, 0.64, 0.5)
    picture = add_light(picture, "ffb060", np.exp(-sun * 5) * np.float32(0.8))
    picture = add_light(picture, "fff0c8", soft_step(sun - 0.045, 0.004))
    layers = [
        (0.58, 0.05, "b0708f", 4), (0.64, 0.06, "8a5a86", 4), (0.72, 0.06, "5f4574", 5),
        (0.81, 0.07, "3d315c", 5), (0.93, 0.08, "1b1a38", 6),
    ]  # fmt: skip
    return hills(canvas, picture, layers, "ffb890")


def mountain_morning(canvas: Canvas) -> Picture:
    picture = gradient_sky(
        canvas.y, [(0, "4f86c0"), (0.35, "a8cfe4"), (0.55, "fbe9d0"), (1, "fff6e6")]
    )
    clouds = canvas.clouds(4, 6, stretch=3)
    picture = blend(picture, "ffffff", ((clouds - 0.52) * 3).clip(0, 1) * (1 - canvas.y) * 0.9)
    layers = [
        (0.50, 0.13, "b9cbd8", 3), (0.58, 0.12, "8fa9bd", 3), (0.68, 0.09, "5f8292", 4),
        (0.78, 0.07, "3b6166", 5), (0.90, 0.06, "1d3f3c", 7),
    ]  # fmt: skip
    return hills(canvas, picture, layers, "f4efe4")


def sunset_sea(canvas: Canvas) -> Picture:
    horizon = 0.52
    stops = [(0, "243b6b"), (0.2, "6a5a92"), (0.38, "f0866a"), (0.52, "ffd08a")]
    picture = gradient_sky(canvas.y, stops)
    clouds = canvas.clouds(4, 6, stretch=7)
    lit = ((clouds - 0.5) * 3).clip(0, 1) * np.exp(-((canvas.y - 0.24) ** 2) / 0.012)
    picture = blend(picture, "ff7f66", lit * 0.85)
    sun = disc(canvas, 0.4, horizon - 0.035)
    picture = add_light(picture, "ff9a50", np.exp(-sun * 4.5) * 0.8)
    picture = add_light(picture, "fff2cc", soft_step(sun - 0.055, 0.004))
    mirrored = gradient_sky(2 * horizon - canvas.y, stops)
    depth = ((canvas.y - horizon) / (1 - horizon)).clip(0, 1)
    water = blend(mirrored * 0.72, "0d2440", np.asarray(depth**0.8 * 0.85, dtype=np.float32))
    swell = canvas.clouds(40, 3, stretch=9) + 0.6 * canvas.clouds(90, 2, stretch=12)
    swell = (swell - swell.mean()) / swell.std()
    water = blend(water, "ffc890", (swell * 0.10 * (1 - depth)).clip(0, 1))
    water = blend(water, "06162c", (-swell * 0.14 * (0.4 + depth)).clip(0, 1))
    path = np.exp(-(((canvas.x - 0.4) / (0.03 + 0.13 * depth)) ** 2)) * (
        swell > 0.15 - 0.4 * (1 - depth)
    )
    water = add_light(water, "ffd890", np.asarray(path * (0.95 - 0.45 * depth), dtype=np.float32))
    return blend(picture, water, soft_step(horizon - canvas.y, 0.002))


def night_sky(canvas: Canvas) -> Picture:
    picture = gradient_sky(
        canvas.y, [(0, "050a1e"), (0.55, "12234a"), (0.8, "2a4a6a"), (1, "e8a070")]
    )
    along = (canvas.x - 0.1) * 0.75 + (canvas.y - 0.75)
    dust = canvas.clouds(5, 7)
    band = np.exp(-(along**2) / 0.022) * (0.35 + 0.9 * dust)
    picture = add_light(picture, "9a8fc8", np.asarray(band * 0.55, dtype=np.float32))
    picture = add_light(
        picture, "ffd8b0", np.asarray(np.exp(-(along**2) / 0.004) * dust**2 * 0.4, dtype=np.float32)
    )
    lanes = np.exp(-((along + 0.03 * (dust - 0.5)) ** 2) / 0.0016) * (canvas.clouds(9, 6) > 0.52)
    picture = blend(picture, "0a1024", np.asarray(lanes * 0.55, dtype=np.float32))
    stars = star_field(canvas, 5200, 0.95)
    picture = np.asarray(1 - (1 - picture) * (1 - stars), dtype=np.float32)
    layers = [(0.84, 0.05, "16233c", 4), (0.92, 0.05, "070c18", 9)]
    picture = hills(canvas, picture, layers, "24406a")
    return trees(canvas, picture, 0.95, "03060c", 120, 0.11)


def trees(
    canvas: Canvas, picture: Picture, ground: float, colour: str, count: int, height: float
) -> Picture:
    """A row of firs, each a narrow jagged triangle."""
    top = np.full(canvas.width, ground, np.float32)
    columns = np.arange(canvas.width)
    for middle in canvas.rng.uniform(0, canvas.width, count):
        tall = height * canvas.rng.uniform(0.35, 1.0)
        half = tall * canvas.height * 0.2
        away = np.abs(columns - middle)
        jagged = 0.72 + 0.28 * ((away / max(half, 1) * 7) % 1)
        tree = ground - tall * (1 - away / half / jagged).clip(0, 1)
        top = np.minimum(top, np.where(away < half, tree, ground))
    return blend(picture, colour, soft_step(top[None, :] - canvas.y, 0.002))


def misty_forest(canvas: Canvas) -> Picture:
    picture = gradient_sky(canvas.y, [(0, "c8dcd8"), (0.5, "dfe9e0"), (1, "9ab8b0")])
    sun = disc(canvas, 0.7, 0.18)
    picture = add_light(picture, "fff4d0", np.exp(-sun * 4) * 0.7)
    rows = [
        (0.52, "a4c0ba", 90, 0.20), (0.64, "7ea39e", 80, 0.26), (0.78, "537d7b", 60, 0.34),
        (0.92, "2c5354", 44, 0.44), (1.08, "0f2c30", 26, 0.62),
    ]  # fmt: skip
    for ground, colour, count, height in rows:
        picture = trees(canvas, picture, ground, colour, count, height)
        mist = np.exp(-((canvas.y - ground) ** 2) / 0.008) * (0.3 + 0.7 * canvas.clouds(3, 4, 4))
        picture = blend(picture, "dfeae4", np.asarray(mist * 0.75, dtype=np.float32))
    return picture


def dunes(canvas: Canvas, light: str = "f4c078", dark: str = "7a3b28") -> Picture:
    picture = gradient_sky(canvas.y, [(0, "3f77b5"), (0.35, "bcd8e8"), (0.45, "fbe6c8")])
    for level, height in ((0.36, 0.05), (0.44, 0.08), (0.56, 0.12), (0.74, 0.18)):
        waves = [canvas.rng.uniform(0, 6.3) + canvas.x[0] * n for n in (2.6, 5.3, 9.1)]
        crest = level - height * (
            0.62 * np.sin(waves[0]) + 0.28 * np.sin(waves[1]) + 0.1 * np.sin(waves[2])
        ).astype(np.float32)
        below = canvas.y - crest[None, :]
        slope = np.gradient(crest) * canvas.width
        lean = canvas.x + below * (0.9 + 0.5 * np.sin(canvas.x * 9 + level * 20))
        shade = 0.5 + 0.5 * np.tanh(slope[None, :] * 0.9 + 1.5 * np.sin(lean * 5 + level * 31))
        ripples = 0.05 * np.sin((below * 260 + canvas.clouds(5, 3) * 34) / (0.6 + 2 * level))
        sand = blend(
            np.zeros_like(picture) + np.array(rgb(dark), np.float32), light, shade + ripples
        )
        picture = blend(picture, sand, soft_step(-below, 0.0015))
        far = np.asarray(
            np.exp(-below.clip(0, 1) * 9) * (below > 0) * (0.9 - level), dtype=np.float32
        )
        picture = blend(picture, "fbe6c8", far * 0.6)
    return picture


def violet_dunes(canvas: Canvas) -> Picture:
    return dunes(canvas, "e8b0c8", "3a2a66")


def city_lights(canvas: Canvas) -> Picture:
    picture = gradient_sky(
        canvas.y, [(0, "0a1030"), (0.4, "2a2a60"), (0.62, "a0507a"), (0.75, "ff9a6a")]
    )
    for depth, colour in ((0.0, "3a2f5c"), (0.5, "211d42"), (1.0, "0c0c22")):
        left = 0
        while left < canvas.width:
            wide = int(canvas.rng.uniform(0.03, 0.075) * canvas.width)
            top = int(canvas.height * (canvas.rng.uniform(0.34, 0.6) + 0.13 * depth))
            block = picture[top:, left : left + wide]
            block[:] = np.array(rgb(colour), np.float32)
            step = 9 + int(5 * depth)
            for row in range(top + 8, int(canvas.height * 0.9), step):
                lit = canvas.rng.random(max(1, wide // step)) < 0.22 + 0.2 * depth
                for column in np.flatnonzero(lit):
                    at = left + 4 + column * step
                    warm = canvas.rng.random()
                    glow = (1.0, 0.72 + 0.2 * warm, 0.36 + 0.45 * warm)
                    picture[row : row + step // 2, at : min(at + step // 2, left + wide - 2)] = glow
            left += wide + int(canvas.rng.uniform(0, 0.01) * canvas.width)
    for _ in range(46):
        x, y = canvas.rng.random(), canvas.rng.uniform(0.72, 1.0)
        size = canvas.rng.uniform(0.015, 0.05)
        colour = str(canvas.rng.choice(["ffb060", "ff6a5a", "7ad0ff", "ffe0a0", "c08aff"]))
        away = disc(canvas, x, y)
        rim = 0.75 + 0.25 * np.exp(-((away - size) ** 2) / 0.00002)
        picture = add_light(
            picture, colour, soft_step(away - size, 0.004) * rim.astype(np.float32) * 0.5
        )
    return picture


def aurora(canvas: Canvas) -> Picture:
    picture = gradient_sky(canvas.y, [(0, "04081a"), (0.6, "0c2038"), (1, "123040")])
    picture = np.asarray(1 - (1 - picture) * (1 - star_field(canvas, 2200, 0.7)), dtype=np.float32)
    for base, colour, phase in (
        (0.52, "40ffa0", 0.0),
        (0.46, "30e0c0", 2.0),
        (0.40, "b060ff", 4.0),
    ):
        fold = base + 0.09 * np.sin(canvas.x * 5 + phase) + 0.04 * np.sin(canvas.x * 13 + phase)
        rays = 0.35 + 0.65 * canvas.clouds(2, 7, stretch=0.05)[:1].repeat(canvas.height, 0)
        above = fold - canvas.y
        curtain = np.where(above > 0, np.exp(-above * 5), np.exp(above * 45)) * rays
        picture = add_light(picture, colour, np.asarray(curtain * 0.6, dtype=np.float32))
    shore = 0.74
    picture = hills(
        canvas, picture, [(0.70, 0.09, "0a1424", 4), (0.735, 0.03, "050a14", 8)], "14304a"
    )
    mirror = picture[: int(canvas.height * shore)][::-1]
    rows = canvas.height - int(canvas.height * shore)
    water = mirror[:rows].copy() * 0.7
    ripple = (3 * np.sin(np.arange(rows) ** 1.15 * 0.9)).astype(int)
    for row in range(rows):
        water[row] = np.roll(water[row], ripple[row], axis=0)
    picture[-rows:] = water
    return picture


def flower(canvas: Canvas) -> Picture:
    x, y = (canvas.x - 0.5) * canvas.ratio, canvas.y - 0.52
    angle, away = np.arctan2(y, x), np.hypot(x, y)
    soft = canvas.clouds(3, 3)
    picture = gradient_sky(soft, [(0, "0c3a24"), (0.5, "1d6a3c"), (1, "6ab04a")])
    for ring in range(5, 0, -1):
        petals = 5 + 3 * (ring % 2) + 3
        wave = np.abs(np.cos(angle * petals / 2 + ring * 1.3)) ** 0.6
        edge = 0.085 * ring * (0.62 + 0.38 * wave)
        inside = soft_step(np.asarray(away - edge, dtype=np.float32), 0.004)
        veins = 0.06 * np.sin(angle * petals * 7)
        tone = (away / np.maximum(edge, 1e-3)).clip(0, 1) * 0.85 + veins + 0.1 * (soft - 0.5)
        petal = gradient_sky(
            tone.astype(np.float32),
            [(0, "ffd23c"), (0.3, "ff5a1e"), (0.75, "f5143c"), (1, "ff5a8c")],
        )
        shadow = soft_step(np.asarray(away - edge - 0.014, dtype=np.float32), 0.03)
        picture = blend(picture, "3a0614", shadow * 0.35)
        picture = blend(picture, petal, inside)
    heart = soft_step(np.asarray(away - 0.035, dtype=np.float32), 0.01)
    dots = 0.5 + 0.5 * np.sin(x * 420) * np.sin(y * 420)
    return blend(
        picture, gradient_sky(dots.astype(np.float32), [(0, "6a3a06"), (1, "ffd24a")]), heart
    )


def moonrise(canvas: Canvas) -> Picture:
    picture = gradient_sky(
        canvas.y, [(0, "0b1636"), (0.5, "2c4c86"), (0.8, "8a8fc0"), (1, "e8b8b0")]
    )
    picture = np.asarray(1 - (1 - picture) * (1 - star_field(canvas, 700, 0.6)), dtype=np.float32)
    moon = disc(canvas, 0.3, 0.34)
    picture = add_light(picture, "a8c0ff", np.exp(-moon * 6) * 0.5)
    face = gradient_sky(canvas.clouds(14, 4), [(0, "c8c4b8"), (0.45, "f0ece0"), (1, "fffdf4")])
    picture = blend(picture, face, soft_step(moon - 0.1, 0.004))
    clouds = canvas.clouds(5, 7, stretch=3)
    lower = ((canvas.y - 0.45) * 2.2).clip(0, 1)
    picture = blend(picture, "dfe3f4", ((clouds - 0.45) * 3).clip(0, 1) * lower * 0.85)
    return hills(canvas, picture, [(0.93, 0.05, "1a2344", 5)], "c0b8d8")


def sunburst(canvas: Canvas) -> Picture:
    x, y = (canvas.x - 0.5) * canvas.ratio, canvas.y - 0.62
    angle, away = np.arctan2(y, x), np.hypot(x, y)
    rays = (np.sin(angle * 28) > 0).astype(np.float32)
    picture = gradient_sky(
        away.astype(np.float32), [(0, "fff0c0"), (0.4, "ffc84a"), (0.9, "f07a3c")]
    )
    picture = blend(picture, "d8452c", rays * 0.55 * away.clip(0.2, 1).astype(np.float32))
    picture = blend(picture, "fff6dc", soft_step(np.asarray(away - 0.16, dtype=np.float32), 0.004))
    layers = [
        (0.70, 0.06, "1d7a86", 3), (0.79, 0.06, "125566", 3), (0.88, 0.05, "0c3648", 4),
    ]  # fmt: skip
    return hills(canvas, picture, layers, "f0a04a")
