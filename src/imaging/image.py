"""Image: what every algorithm, reader and writer speaks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class Beam:
    """Elliptical Gaussian: FWHM `major`, `minor` and position angle `pa` (north through east), all rad."""

    major: float
    minor: float
    pa: float = 0.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the pixels are: SIN projection, x towards decreasing right ascension, y north.

    `centre` is (ra, dec) rad at pixel (ny//2, nx//2); `cell` (x, y) rad, positive; `shape` (ny, nx);
    `freq` and `width` are the channels' centres and widths in Hz; `stokes` names the polarisation axis.
    """

    centre: tuple[float, float]
    cell: tuple[float, float]
    shape: tuple[int, int]
    freq: tuple[float, ...]
    width: tuple[float, ...]
    stokes: tuple[str, ...] = ("I",)
    frame: str = "ICRS"
    specframe: str = "TOPO"
    restfreq: float = 0.0

    @property
    def cube_shape(self) -> tuple[int, int, int, int]:
        return (len(self.freq), len(self.stokes), *self.shape)

    def lm(self) -> tuple[np.ndarray, np.ndarray]:
        """Direction cosines l (nx,) and m (ny,) of the columns and rows, relative to the centre."""
        ny, nx = self.shape
        return (nx // 2 - np.arange(nx)) * self.cell[0], (np.arange(ny) - ny // 2) * self.cell[1]


@dataclass(frozen=True, slots=True)
class Image:
    """One image product.

    `data` (chan, pol, y, x); `unit` as FITS writes it; `beams` one a channel (of no size where a channel has no
    data), or empty; `valid` the pixels that
    mean something (same shape, bool) or None for all of them; `header` further FITS keywords: value or
    (value, comment).
    """

    data: np.ndarray
    grid: Grid
    unit: str = "Jy/beam"
    beams: tuple[Beam, ...] = ()
    valid: np.ndarray | None = None
    header: dict = field(default_factory=dict)

    def with_data(self, data: np.ndarray, **changes) -> Image:
        """The same sky with other pixel values (and whatever else `changes` names)."""
        return replace(self, data=data, **changes)

    def usable(self, shape: tuple[int, ...], pblimit: float = 0.0) -> np.ndarray:
        """The pixels of a cube of `shape` that count here, bool; of a primary beam all of them where pblimit < 0."""
        if pblimit < 0 or self.valid is None:
            return np.ones(shape, dtype=bool)
        return np.broadcast_to(self.valid, shape).copy()


def term(image: Image, number: int) -> Image:
    """One Taylor term of an image of several (header NTERMS), as an image of one channel; else the image as it is."""
    if "NTERMS" not in image.header:
        return image
    part, grid = slice(number, number + 1), image.grid
    header = {key: value for key, value in image.header.items() if key != "NTERMS"}
    return replace(image, data=image.data[part], grid=replace(grid, freq=grid.freq[part], width=grid.width[part]),
                   beams=image.beams[part], valid=None if image.valid is None else image.valid[part],
                   header=header | {"TERM": (number, "Taylor term, about the frequency of this channel")}
                   )  # fmt: skip


def radec_to_lmn(ra, dec, centre) -> tuple:
    """Direction cosines (l east, m north, n towards the centre) of ra, dec about `centre`, all rad (SIN projection)."""
    ra0, dec0 = centre
    cd, sd, cd0, sd0 = np.cos(dec), np.sin(dec), np.cos(dec0), np.sin(dec0)
    c = np.cos(np.asarray(ra) - ra0)
    return cd * np.sin(np.asarray(ra) - ra0), sd * cd0 - cd * sd0 * c, sd * sd0 + cd * cd0 * c


def lm_to_radec(l, m, centre) -> tuple:
    """Inverse of radec_to_lmn on the visible hemisphere."""
    ra0, dec0 = centre
    n = np.sqrt(1 - np.asarray(l) ** 2 - np.asarray(m) ** 2)
    dec = np.arcsin(m * math.cos(dec0) + n * math.sin(dec0))
    return ra0 + np.arctan2(l, n * math.cos(dec0) - m * math.sin(dec0)), dec
