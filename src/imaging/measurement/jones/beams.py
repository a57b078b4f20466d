"""Primary beams of closed form, and pointing errors for them: a Sky Jones module and a Pointing module."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.primary_beam import HALF_POWER
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayJones, ArrayPointings, pointing_array
from imaging.units import SPEED_OF_LIGHT


def voltage(kind: str, diameter: float, radius, freq) -> np.ndarray:
    """Voltage response, 1 in the middle, at `radius`, the sine of the angle from the axis, and `freq` Hz.

    airy: 2 J1(x)/x, x = pi D r nu/c, negative in every other ring. cos3: cos^3 of the same width, 0 beyond its first
    null. gaussian: of the same width. `diameter` (m) is that of the uniformly illuminated dish.
    """
    x = np.asarray(radius) * np.asarray(freq) * (diameter / SPEED_OF_LIGHT)
    if kind == "airy":
        from scipy.special import j1

        safe = np.where(x > 1e-8, np.pi * x, 1.0)
        return np.where(x > 1e-8, 2 * j1(safe) / safe, 1.0)
    if kind == "cos3":
        angle = x * (2 * math.acos(0.5 ** (1 / 6)) / HALF_POWER)
        return np.cos(np.minimum(angle, np.pi / 2)) ** 3
    return np.exp(-2 * math.log(2) * (x / HALF_POWER) ** 2)


@dataclass
class AnalyticBeam:
    """E of dishes of `diameter` (m): one of airy, cos3 and gaussian. Pointing offsets move its middle to (dl, dm)."""

    diameter: float = 25.0
    kind: str = "airy"
    solvable = False

    def __post_init__(self):
        if self.kind not in ("airy", "cos3", "gaussian") or self.diameter <= 0:
            raise ImagingError("There is no such beam.", got=f"{self.kind}, diameter {self.diameter:g} m",
                               expected="airy, cos3 or gaussian, of a positive diameter",
                               next_step="correct the options of AnalyticBeam")  # fmt: skip

    def compute_jones(self, Jones, sources, stations=None, pointing_offsets=None, **kw) -> ArrayJones:
        def beam(tile):
            offset = pointing_array(pointing_offsets, tile)
            radius = np.hypot(tile.l - offset[..., 0], tile.m - offset[..., 1])
            return voltage(self.kind, self.diameter, radius, tile.nu)

        return ArrayJones(beam, "scalar", sources=sources, name=Jones.name)


@dataclass
class PointingErrors:
    """Constant offsets by station, normal of deviation `rms` (rad) in l and in m, about (`dl`, `dm`)."""

    rms: float = 0.0
    dl: float = 0.0
    dm: float = 0.0
    solvable = False

    def compute_pointings(self, node, stations=None, **kw) -> ArrayPointings | None:
        if self.rms == self.dl == self.dm == 0:
            return None
        rng = np.random.default_rng(random.getrandbits(64))
        offsets = [self.dl, self.dm] + rng.normal(0, self.rms, (len(stations), 1, 1, 2))
        return ArrayPointings(lambda tile: offsets)
