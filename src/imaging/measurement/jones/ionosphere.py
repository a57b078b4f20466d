"""The ionosphere as a thin layer: Sky Jones modules (or Station Jones modules, toward the phase centre).

Z = exp(i phi), phi = -8.44797e9 TEC/nu with the slant TEC in TECU (1e16 electrons a square metre) and nu in Hz, the
sign that LOFAR's and MeqTrees' solutions have. TEC goes through a layer at `height`, at the real points above each
station; it is that of the vertical times the slant factor there.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

from imaging.algorithms import fluctuations
from imaging.config_base import Angle, Frequency, Length
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayJones
from imaging.measurement.horizon import positions_of
from imaging.measurement.layers import lines_of_sight

TECU_PHASE = -8.44797245e9  # rad Hz/TECU: -r c 1e16, with r the classical radius of the electron


class _Ionosphere:
    """What the modules share: `_vertical(context)` gives a function of x, y (m), t (s) -> TECU."""

    def compute_jones(self, Jones, sources=None, stations=None, context=None, inspectors=None, label="Z", **kw):
        positions_of(context)
        vertical, start = self._vertical(), float(np.min(context.time))

        def seen(tile, sources):
            x, y, slant, _ = lines_of_sight(tile, sources, self.height)
            return slant * vertical(x, y, tile.time - start)

        def tec(tile):
            """(source, station, time) TECU; without sources (station, time)."""
            value = seen(tile, sources)
            if self.differential and sources is not None:
                value = value - seen(tile, None)
            return value if sources is not None else value[0]

        if inspectors is not None:
            inspectors.append((f"{label}:TEC", tec))
            inspectors.append((f"{label}:phase", lambda tile: TECU_PHASE * tec(tile) / tile.freq.mean()))
        return ArrayJones(lambda tile: np.exp(1j * TECU_PHASE * tec(tile)[..., None] / tile.nu), "scalar",
                          sources=sources, name=Jones.name)  # fmt: skip

    def _along(self, t):
        """How far (east, north) m the layer has moved at t (time,) s."""
        return self.speed * t * math.sin(self.direction), self.speed * t * math.cos(self.direction)


@dataclass
class IonosphereWave(_Ionosphere):
    """A travelling disturbance: TEC = tec + amplitude sin(2 pi s/wavelength + phase), s along its direction from the
    wave's front."""

    amplitude: float = 0.0
    """TECU, of the wave."""
    wavelength: Length = 250e3
    """Of the wave."""
    speed: float = 200.0
    """m/s at which it travels."""
    direction: Angle = 0.0
    """Azimuth into which it travels, north through east."""
    tec: float = 0.0
    """TECU of the vertical, everywhere."""
    height: Length = 300e3
    """Of the layer."""
    phase: Angle = 0.0
    """Of the wave above the middle of the stations at the first time."""
    differential: bool = False
    """Only the difference from the TEC toward the phase centre (of sky terms)."""
    solvable = False

    def __post_init__(self):
        _check(self, self.wavelength > 0 and self.height > 0, "a wavelength and a height above 0")

    def _vertical(self):
        def vertical(x, y, t):
            east, north = self._along(t)
            along = (x - east) * math.sin(self.direction) + (y - north) * math.cos(self.direction)
            return self.tec + self.amplitude * np.sin(2 * np.pi * along / self.wavelength + self.phase)

        return vertical


@dataclass
class IonosphereScreen(_Ionosphere):
    """Frozen turbulence: phases have the structure function (r/diffractive_scale)^(5/3) rad^2 at `reference`, below the
    outer scale (Mevius et al. 2016, Radio Science 51, 927). The screen repeats itself every size * pixel."""

    diffractive_scale: Length = 10e3
    """Over which the phase at `reference` changes by 1 rad."""
    reference: Frequency = 150e6
    """Frequency of `diffractive_scale`."""
    outer_scale: Length = 200e3
    """Beyond which the structure function grows no more; 0: none but the screen's size."""
    speed: float = 100.0
    """m/s at which the layer moves."""
    direction: Angle = 0.0
    """Azimuth into which it moves, north through east."""
    tec: float = 0.0
    """TECU of the vertical, on the average."""
    height: Length = 300e3
    """Of the layer."""
    pixel: Length = 500.0
    """Between the screen's points; below, it is a plane."""
    size: int = 1024
    """Points of the screen along either side."""
    differential: bool = False
    """Only the difference from the TEC toward the phase centre (of sky terms)."""
    solvable = False

    def __post_init__(self):
        _check(self, min(self.diffractive_scale, self.reference, self.height, self.pixel) > 0 and self.size > 1,
               "scales, frequency, height, pixel above 0, a size of 2 or more")  # fmt: skip

    def _vertical(self):
        rng = np.random.default_rng(random.getrandbits(64))
        factor = fluctuations.spectrum_of_scale(self.diffractive_scale) * (self.reference / TECU_PHASE) ** 2
        screen = self.tec + fluctuations.turbulence(rng, factor, self.outer_scale, self.pixel, self.size)

        def vertical(x, y, t):
            east, north = self._along(t)
            return fluctuations.at_places(screen, x - east, y - north, self.pixel)

        return vertical


def _check(module, good: bool, expected: str) -> None:
    if not good:
        raise ImagingError(f"{type(module).__name__} is no layer like this.", got=str(module), expected=expected,
                           next_step=f"correct the options of {type(module).__name__}")  # fmt: skip
