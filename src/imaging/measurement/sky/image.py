"""A sky model that is an image: its visibilities are degridded, facet by facet."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imaging.algorithms.rime import brightness
from imaging.config_base import Flux
from imaging.errors import ImagingError
from imaging.image import Grid, Image, lm_to_radec, radec_to_lmn
from imaging.measurement.tiles import Tile
from imaging.units import SPEED_OF_LIGHT


@dataclass(eq=False)
class Facet:
    """Some pixels of a model image, which all see the Jones terms toward their middle.

    A source as others are (`protocols.SkyComponent`) that makes its own visibilities. pixels (chan, pol, y, x),
    Jy/pixel; `grid` is the whole image's, and (l, m) where in it the middle pixel (ny // 2, nx // 2) is.
    """

    name: str
    pixels: np.ndarray
    grid: Grid
    middle: tuple[float, float]
    epsilon: float = 1e-7
    shape = (0.0, 0.0, 0.0)

    def __post_init__(self):
        self.attrs: dict = {}

    def get_attr(self, name: str, default=None):
        return self.attrs.get(name, default)

    def set_attr(self, name: str, value) -> None:
        self.attrs[name] = value

    def lmn(self, phase_centre: tuple[float, float]) -> tuple[float, float, float]:
        return tuple(float(x) for x in radec_to_lmn(*lm_to_radec(*self.middle, self.grid.centre), phase_centre))

    def brightness(self, tile: Tile) -> np.ndarray:
        """(1, chan, 2, 2) Jy: that of all pixels together."""
        flux, (below, share) = self.pixels.sum((2, 3), dtype=float), self._planes(tile.freq)
        above = np.minimum(below + 1, len(flux) - 1)
        return self._matrices(flux[below] * (1 - share[:, None]) + flux[above] * share[:, None], tile)[None]

    def degridded(self, tile: Tile, threads: int = 1) -> np.ndarray:
        """(row, chan, 2, 2) Jy, without Jones terms; between the image's channels linear in frequency."""
        from imaging.algorithms.gridding import Gridder
        from imaging.algorithms.phase_rotation import turn

        uvw, (below, share) = tile.uvw @ turn(tile.phase_centre, self.grid.centre).T, self._planes(tile.freq)
        precision = "double" if self.epsilon < 1e-5 else "single"
        vis = np.zeros((len(self.grid.stokes), len(uvw), len(tile.freq)), complex)
        for plane in np.unique(below):
            some = np.flatnonzero(below == plane)
            operator = Gridder(uvw, tile.freq[some], self.pixels.shape[2:], self.grid.cell, self.epsilon,
                               centre=self.middle, precision=precision, threads=threads)  # fmt: skip
            for number, weight in ((plane, 1 - share[some]), (plane + 1, share[some])):
                if weight.any():
                    vis[:, :, some] += operator.dirty2vis(self.pixels[number]) * weight
        cycles = np.outer(uvw[:, 2] - tile.uvw[:, 2], tile.freq / SPEED_OF_LIGHT)
        vis *= np.exp(2j * np.pi * (cycles - np.rint(cycles)))
        return self._matrices(np.moveaxis(vis, 0, -1), tile)

    def _planes(self, freq) -> tuple[np.ndarray, np.ndarray]:
        """The plane at or below each frequency, the first or the last beyond these, and the share of the next one."""
        known = np.array(self.grid.freq)
        below = np.clip(np.searchsorted(known, freq, side="right") - 1, 0, len(known) - 1)
        step = np.append(np.diff(known), np.inf)[below]
        return below, np.clip((freq - known[below]) / step, 0, 1)

    def _matrices(self, values, tile: Tile) -> np.ndarray:
        """(…, 2, 2) of (…, pol)."""
        stokes = np.zeros((*values.shape[:-1], 4), values.dtype)
        stokes[..., ["IQUV".index(name) for name in self.grid.stokes]] = values
        return brightness(stokes, tile.feeds)


@dataclass
class FitsImageSky:
    """A model image in Jy/pixel, with planes of I, Q, U and V and channels as it has them, in a SIN projection."""

    image: str
    """The FITS image."""
    facets: int = 1
    """Parts along each axis; all pixels of one see the Jones terms toward the middle of those that are not 0."""
    threshold: Flux = 0.0
    """Pixels whose total intensity is less than this in all channels, or as negative, are left out, per pixel."""
    epsilon: float = 1e-7
    """Relative error of the visibilities, against the direct sum over pixels."""
    solvable = False

    def __post_init__(self):
        if self.facets < 1 or not 1e-12 <= self.epsilon <= 1e-2:
            raise ImagingError("There is no such sky model.", got=f"facets {self.facets}, epsilon {self.epsilon:g}",
                               expected="facets from 1 on, epsilon from 1e-12 to 1e-2",
                               next_step="correct the options of FitsImageSky")  # fmt: skip
        self._image: Image | None = None

    def source_list(self, **kw) -> list[Facet]:
        image = self._load()
        grid, data = image.grid, image.data
        order = np.argsort(grid.freq)
        data = np.where((np.abs(data[:, :1]) >= self.threshold).any(0), data, 0)[order]
        grid = _with_channels(grid, order)
        l, m = grid.lm()
        found = []
        for number in range(self.facets**2):
            down, across = divmod(number, self.facets)
            rows, columns = _part(grid.shape[0], self.facets, down), _part(grid.shape[1], self.facets, across)
            used = np.argwhere(data[:, :, rows, columns].any((0, 1))) + [rows.start, columns.start]
            if len(used):
                (y0, x0), (y1, x1) = used.min(0), used.max(0) + 1
                middle = float(l[x0 + (x1 - x0) // 2]), float(m[y0 + (y1 - y0) // 2])
                found.append(Facet(f"{Path(self.image).stem}:{number}", data[:, :, y0:y1, x0:x1], grid, middle,
                                   self.epsilon))  # fmt: skip
        if not found:
            raise ImagingError(f"The model image {self.image} is empty.", got=f"nothing from {self.threshold:g} Jy on",
                               expected="a model in Jy/pixel", next_step="lower the threshold")  # fmt: skip
        return found

    def estimate_image_size(self, **kw) -> float:
        """Arcmin: the longer side."""
        grid = self._load().grid
        return math.degrees(max(grid.shape[0] * grid.cell[1], grid.shape[1] * grid.cell[0])) * 60

    def _load(self) -> Image:
        if self._image is None:
            from imaging.io.images import load_image

            image = load_image(self.image)
            if image.unit.lower() != "jy/pixel" or not set(image.grid.stokes) <= set("IQUV") or not image.grid.cell[0]:
                raise ImagingError(f"The image {self.image} is no model of the sky.",
                                   got=f"unit '{image.unit}', Stokes {', '.join(image.grid.stokes)}",
                                   expected="Jy/pixel, Stokes among I, Q, U and V, and sky coordinates",
                                   next_step="name a .model image")  # fmt: skip
            self._image = image
        return self._image


def _part(length: int, number: int, index: int) -> slice:
    return slice(length * index // number, length * (index + 1) // number)


def _with_channels(grid: Grid, order) -> Grid:
    return replace(grid, freq=tuple(grid.freq[i] for i in order), width=tuple(grid.width[i] for i in order))
