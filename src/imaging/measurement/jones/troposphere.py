"""The troposphere: turbulent delays and absorption; a Station Jones module toward the phase centre, or a Sky Jones."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

from imaging.algorithms import fluctuations
from imaging.config_base import Angle, Length
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayJones
from imaging.measurement.horizon import positions_of
from imaging.measurement.layers import lines_of_sight
from imaging.units import SPEED_OF_LIGHT

LOWEST = 0.05  # sine of the elevation below which there is no more air: 3 degrees


@dataclass
class Troposphere:
    """T = exp(-opacity X/2 + 2 pi i nu delay), X = 1/sin(elevation) and the delay that of frozen turbulence in a thin
    layer times the slant factor (Thompson, Moran & Swenson 2017, chapter 13).

    The delay's structure function is Kolmogorov's, r^(5/3), below the outer scale. The screen repeats itself every
    size * pixel.
    """

    rms: Length = 0.0
    """Deviation of the path's length to the zenith; 1 mm is 3.3 ps."""
    outer_scale: Length = 3e3
    """Beyond which the structure function grows no more."""
    speed: float = 10.0
    """m/s at which the layer moves."""
    direction: Angle = math.pi / 2
    """Azimuth into which it moves, north through east."""
    height: Length = 1e3
    """Of the layer."""
    pixel: Length = 20.0
    """Between the screen's points; below, it is a plane."""
    size: int = 1024
    """Points of the screen along either side."""
    opacity: float = 0.0
    """Of the zenith, nepers of power."""
    solvable = False

    def __post_init__(self):
        if min(self.outer_scale, self.height, self.pixel) <= 0 or self.size < 2 or min(self.rms, self.opacity) < 0:
            raise ImagingError("There is no such troposphere.", got=str(self), next_step="correct its options",
                               expected="scales, height, pixel above 0, a size of 2 or more, nothing negative"
                               )  # fmt: skip

    def compute_jones(self, Jones, sources=None, stations=None, context=None, inspectors=None, label="T", **kw):
        positions_of(context)
        rng = np.random.default_rng(random.getrandbits(64))
        factor = fluctuations.spectrum_of_rms(self.rms, self.outer_scale)
        screen = fluctuations.turbulence(rng, factor, self.outer_scale, self.pixel, self.size)
        start, east, north = float(np.min(context.time)), math.sin(self.direction), math.cos(self.direction)

        def delay_and_absorption(tile):
            x, y, slant, elevation = lines_of_sight(tile, sources, self.height)
            moved = self.speed * (tile.time - start)
            path = slant * fluctuations.at_places(screen, x - moved * east, y - moved * north, self.pixel)
            absorbed = np.exp(-self.opacity / 2 / np.maximum(np.sin(elevation), LOWEST))
            return (path, absorbed) if sources is not None else (path[0], absorbed[0])

        def troposphere(tile):
            path, absorbed = delay_and_absorption(tile)
            return absorbed[..., None] * np.exp(2j * np.pi / SPEED_OF_LIGHT * path[..., None] * tile.nu)

        if inspectors is not None:
            inspectors.append((f"{label}:delay", lambda tile: delay_and_absorption(tile)[0] / SPEED_OF_LIGHT))
            inspectors.append((f"{label}:absorption", lambda tile: delay_and_absorption(tile)[1]))
        return ArrayJones(troposphere, "scalar", sources=sources, name=Jones.name)
