"""A sky model of equal sources in a pattern about the phase centre, good for tests of beams and positions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from imaging.algorithms.components import Component
from imaging.config_base import Angle, Flux, Frequency
from imaging.errors import ImagingError
from imaging.image import lm_to_radec
from imaging.measurement.sky.components import Source, SourceSky


@dataclass
class GriddedSky(SourceSky):
    """Points or Gaussians on a cross, grid, circle (a cross and its diagonals, of equal radii), star (the same, of
    equal steps) or line. S+1-2 is one step east and two south of S+0+0, the middle."""

    pattern: Literal["cross", "grid", "circle", "star", "l", "m"] = "cross"
    """l and m are lines."""
    size: int = 3
    """Sources along each direction, odd."""
    step: Angle = math.radians(5 / 60)
    """Between them, as direction cosines."""
    flux: Flux = 1.0
    """Stokes I at `frequency`."""
    centre_flux: Flux = 0.0
    """Of the one in the middle; 0: that of the others."""
    polarisation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Q, U and V as parts of I."""
    spectral_index: float = 0.0
    """Of all."""
    frequency: Frequency = 1.4e9
    """Where the flux is `flux`."""
    major: Angle = 0.0
    """FWHM of Gaussians; 0: points."""
    minor: Angle = 0.0
    """FWHM of Gaussians."""
    pa: Angle = 0.0
    """Position angle of Gaussians, north through east."""
    l: Angle = 0.0
    """Where the middle is, east of the phase centre."""
    m: Angle = 0.0
    """Where the middle is, north of the phase centre."""
    solvable = False

    def __post_init__(self):
        reach = math.hypot(abs(self.l) + self.size / 2 * self.step, abs(self.m) + self.size / 2 * self.step)
        if self.size < 1 or self.size % 2 == 0 or reach > 1 or not self.major >= self.minor >= 0:
            raise ImagingError("There is no such pattern of sources.", next_step="correct the options of GriddedSky",
                               got=f"size {self.size}, step {self.step:g} rad, axes {self.major:g}, {self.minor:g} rad",
                               expected="an odd size, all above the horizon, major >= minor")  # fmt: skip

    def source_list(self, meqmaker=None, **kw) -> list[Source]:
        context = getattr(meqmaker, "context", None)
        centre = context.phase_centre if context else (0.0, 0.0)
        return [self._source(i, j, scale, centre) for i, j, scale in self.places()]

    def estimate_image_size(self, **kw) -> float:
        """Arcmin: the pattern about the phase centre."""
        half = max(abs(self.l), abs(self.m)) + self.step * (self.size // 2) + self.major
        return math.degrees(2 * half) * 60

    def places(self) -> list[tuple[int, int, float]]:
        """Steps to the east and north, and the length of a step, the middle first."""
        reach = range(-(self.size // 2), self.size // 2 + 1)
        grid = [(i, j) for i in reach for j in reach if (i, j) != (0, 0)]
        kept = {"grid": lambda i, j: True, "cross": lambda i, j: i * j == 0, "l": lambda i, j: j == 0,
                "m": lambda i, j: i == 0}.get(self.pattern, lambda i, j: i * j == 0 or abs(i) == abs(j))  # fmt: skip
        shorter = math.sqrt(0.5) if self.pattern == "circle" else 1.0
        return [(0, 0, 1.0), *((i, j, shorter if i * j else 1.0) for i, j in grid if kept(i, j))]

    def _source(self, i: int, j: int, scale: float, phase_centre) -> Source:
        l, m = self.l + i * self.step * scale, self.m + j * self.step * scale
        ra, dec = lm_to_radec(l, m, phase_centre)
        flux = self.centre_flux if (i, j) == (0, 0) and self.centre_flux else self.flux
        stokes = (flux, *(flux * part for part in self.polarisation))
        return _Placed(l, m, Component(f"S{i:+d}{j:+d}", float(ra), float(dec), stokes, (self.spectral_index,),
                                       self.frequency, self.major, self.minor, self.pa))  # fmt: skip


class _Placed(Source):
    """A source at l, m of whatever phase centre."""

    def __init__(self, l: float, m: float, component: Component):
        super().__init__(component)
        self._lmn = (l, m, math.sqrt(1 - l**2 - m**2))

    def lmn(self, phase_centre) -> tuple[float, float, float]:
        return self._lmn
