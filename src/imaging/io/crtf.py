"""CASA region text (CRTF 0): `circle[[13h31m08s, 30d30m33s], 10arcsec], corr=[I]` as masks.

Parsed here and not by the `regions` package, whose CRTF reader takes sky positions for pixels wherever a line has
no `coord=` (CASA takes the image's frame then). Shapes and their meaning: CASA Docs, "Region File Format".
"""

from __future__ import annotations

import math
import re

import numpy as np

from imaging import units
from imaging.errors import ImagingError
from imaging.image import Grid, radec_to_lmn
from imaging.log import logger

SHAPES = "box|centerbox|rotbox|poly|circle|annulus|ellipse|symbol"
LINE = re.compile(rf"\s*([+-]?)\s*({SHAPES})\s*(\[.*)", re.IGNORECASE | re.DOTALL)
_IGNORED = re.compile(r"\s*(#|$|ann\s|(vector|line|text)\s*\[)", re.IGNORECASE)
_EDGE = 1e-6  # pixels: a centre on the border is inside, in spite of rounding


def mask_from_text(text: str, grid: Grid, source: str = "mask") -> np.ndarray:
    """A bool mask (chan, pol, y, x) of CRTF lines; `source` names them in messages.

    A pixel is inside when its centre is; pixel coordinates count from 0. Lines take effect in their order: `-`
    removes, and removes from the whole image in the first line. `range` in channels or frequency and `corr` choose
    planes; annotations (`ann`, text, lines) and the styles of drawing are nothing to a mask.
    """
    mask = np.zeros(grid.cube_shape, bool)
    defaults: dict[str, str] = {}
    first = True
    for line in text.splitlines():
        if re.match(r"\s*global\s", line):
            defaults |= _keywords(line.split("global", 1)[1])
            continue
        if _IGNORED.match(line):
            continue
        match = LINE.match(line)
        try:
            if not match:
                raise ValueError("no shape")
            sign, shape, rest = match.groups()
            brackets, end = _brackets(rest)
            keywords = defaults | _keywords(rest[end:])
            inside = _inside(shape.lower(), brackets, _Place(grid, keywords.get("coord", "")))
            planes = _planes(keywords, grid)
        except (ValueError, IndexError, TypeError, AttributeError) as error:
            raise ImagingError(
                f"A region of {source} is not understood.",
                got=line.strip() + (f" ({error})" if isinstance(error, ValueError) else ""),
                expected=f"CRTF: circle[[13h31m08s, 30d30m33s], 10arcsec]; shapes {SHAPES.replace('|', ', ')}",
                next_step="correct the line, or give a mask image",
            ) from None
        if sign != "-" and not inside.any():
            logger.warning("%s: the region %s holds no pixel of the image", source, line.strip())
        if sign == "-" and first:
            mask[:] = True
        first = False
        chosen = planes[:, :, None, None] & inside
        mask = mask & ~chosen if sign == "-" else mask | chosen
    return mask


def _brackets(text: str) -> tuple[list, int]:
    """The nested list at the beginning of `text`, and where it ends."""
    stack: list[list] = [[]]
    for token in re.finditer(r"\[|\]|[^\[\],]+", text):
        if token[0] == "[":
            stack.append([])
        elif token[0] == "]":
            done = stack.pop()
            stack[-1].append(done)
            if len(stack) == 1:
                return done, token.end()
        elif token[0].strip():
            stack[-1].append(token[0].strip())
    raise ValueError("a bracket is missing")


def _keywords(text: str) -> dict[str, str]:
    return {key.lower(): value.strip(" '\"[]") for key, value in re.findall(r"(\w+)\s*=\s*(\[[^\]]*\]|[^,]+)", text)}


class _Place:
    """Positions and lengths as CRTF writes them, in pixels of a grid.

    Across, pixels are stretched by cell_x / cell_y, so that angles and circles are those of the sky.
    """

    def __init__(self, grid: Grid, frame: str):
        self.grid, self.frame = grid, frame.upper()
        self.stretch = grid.cell[0] / grid.cell[1]

    def position(self, pair: list[str]) -> tuple[float, float]:
        if all(text.endswith("pix") for text in pair):
            x, y = (float(text[:-3]) for text in pair)
        else:
            x, y = self._pixel(*units.parse_direction(" ".join(pair)))
        return x * self.stretch, y

    def length(self, text: str, across: bool = False) -> float:
        if text.endswith("pix"):
            value = float(text[:-3]) * (self.stretch if across else 1.0)
        else:
            value = units.parse_quantity(text, units.ANGLE, "arcsec") / self.grid.cell[1]
        if value < 0:
            raise ValueError("a negative length")
        return value

    def _pixel(self, ra: float, dec: float) -> tuple[float, float]:
        same = ("", "J2000", "ICRS", "FK5")
        if self.frame not in same or (self.frame and self.grid.frame not in same):
            ra, dec = _transform(ra, dec, self.frame, self.grid.frame)
        l, m, n = (float(cosine) for cosine in radec_to_lmn(ra, dec, self.grid.centre))
        if n <= 0:
            raise ValueError("more than 90 degrees from the image centre")
        ny, nx = self.grid.shape
        return nx // 2 - l / self.grid.cell[0], ny // 2 + m / self.grid.cell[1]


def _transform(ra: float, dec: float, frame: str, to: str) -> tuple[float, float]:
    from astropy.coordinates import SkyCoord

    names = {"J2000": "fk5", "FK5": "fk5", "ICRS": "icrs", "B1950": "fk4", "FK4": "fk4", "GALACTIC": "galactic"}
    if frame not in names:
        raise ValueError(f"coord={frame}")
    moved = SkyCoord(ra, dec, unit="rad", frame=names[frame]).transform_to(names[to])
    return float(moved.spherical.lon.rad), float(moved.spherical.lat.rad)


def _inside(shape: str, brackets: list, place: _Place) -> np.ndarray:
    ny, nx = place.grid.shape
    x, y = np.arange(nx) * place.stretch, np.arange(ny)[:, None]
    if shape == "poly":
        return _polygon(np.array([place.position(pair) for pair in brackets]), x, y)
    x0, y0 = place.position(brackets[0])
    x, y = x - x0, y - y0
    if shape == "symbol":
        return (abs(x) <= 0.5 * place.stretch) & (abs(y) <= 0.5)
    if shape == "circle":
        return np.hypot(x, y) <= place.length(brackets[1]) + _EDGE
    if shape == "annulus":
        inner, outer = (place.length(text) for text in brackets[1])
        return (np.hypot(x, y) >= inner - _EDGE) & (np.hypot(x, y) <= outer + _EDGE)
    if shape == "box":
        x1, y1 = place.position(brackets[1])
        return (abs(x - (x1 - x0) / 2) <= abs(x1 - x0) / 2 + _EDGE) & (
            abs(y - (y1 - y0) / 2) <= abs(y1 - y0) / 2 + _EDGE
        )
    angle = units.parse_quantity(brackets[2], units.ANGLE, "deg") if shape != "centerbox" else 0.0
    along, aside = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    if shape == "ellipse":  # semi-axes; the angle turns the first from north to east, up to the left
        major, minor = (place.length(text) + _EDGE for text in brackets[1])
        return (aside / major) ** 2 + (along / minor) ** 2 <= 1
    width, height = place.length(brackets[1][0], across=True), place.length(brackets[1][1])
    return (abs(along) <= width / 2 + _EDGE) & (abs(aside) <= height / 2 + _EDGE)


def _polygon(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd rule (a ray to the left crosses the border an odd number of times); the border is inside."""
    if len(corners) < 3:
        raise ValueError("a polygon has three corners or more")
    inside = np.zeros((len(y), len(x)), bool)
    border = np.zeros_like(inside)
    for (xa, ya), (xb, yb) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = math.hypot(xb - xa, yb - ya)
        across = (xb - xa) * (y - ya) - (yb - ya) * (x - xa)
        along = (xb - xa) * (x - xa) + (yb - ya) * (y - ya)
        inside ^= ((ya > y) != (yb > y)) & ((across > 0) == (yb < ya))
        if length:
            border |= (abs(across) <= _EDGE * length) & (abs(along - length**2 / 2) <= length**2 / 2 + _EDGE * length)
    return inside | border


def _planes(keywords: dict[str, str], grid: Grid) -> np.ndarray:
    chans, pols = np.ones(len(grid.freq), bool), np.ones(len(grid.stokes), bool)
    if "corr" in keywords:
        wanted = re.split(r"[\s,]+", keywords["corr"].upper())
        pols = np.array([name in wanted for name in grid.stokes])
    if "range" in keywords:
        low, high = (text.strip() for text in keywords["range"].split(","))
        if low.endswith("chan") and high.endswith("chan"):
            index = np.arange(len(grid.freq))
            chans = (index >= float(low[:-4])) & (index <= float(high[:-4]))
        else:
            limits = sorted(units.parse_quantity(text, units.FREQUENCY, "Hz") for text in (low, high))
            half = np.array(grid.width) / 2
            chans = (np.array(grid.freq) + half >= limits[0]) & (np.array(grid.freq) - half <= limits[1])
    return chans[:, None] & pols
