"""Primary beams of closed form, and pointing errors for them: a Sky Jones module and a Pointing module."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Literal

import numpy as np

from imaging.algorithms import fluctuations
from imaging.algorithms.primary_beam import HALF_POWER
from imaging.config_base import Angle, Duration, Length
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayJones, ArrayPointings, pointing_array
from imaging.measurement.horizon import parallactic_angle, positions_of
from imaging.measurement.jones.gains import chosen_stations
from imaging.measurement.jones.rotation import per_station
from imaging.units import SPEED_OF_LIGHT


def voltage(kind: str, diameter, radius, freq) -> np.ndarray:
    """Voltage response, 1 in the middle, at `radius`, the sine of the angle from the axis, and `freq` Hz.

    airy: 2 J1(x)/x, x = pi D r nu/c, negative in every other ring. cos3: cos^3 of the same width, 0 beyond its first
    null. gaussian: of the same width. `diameter` (m) is that of the uniformly illuminated dish. Arrays broadcast.
    """
    x = np.asarray(radius) * np.asarray(freq) * (np.asarray(diameter) / SPEED_OF_LIGHT)
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
    """E of dishes. Pointing offsets move its middle to (dl, dm)."""

    diameter: Length = 25.0
    """Of the uniformly illuminated dish of the same width."""
    kind: Literal["airy", "cos3", "gaussian"] = "airy"
    """The voltage's form."""
    diameters: tuple[Length, ...] = ()
    """Of dishes that differ, one a station, in place of `diameter`."""
    squint: float = 0.0
    """Distance of the two feeds' beams, in half power widths: the first feed's is toward `squint_angle`."""
    squint_angle: Angle = 0.0
    """Position angle of the squint, north through east; of alt-azimuth mounts where the parallactic angle is 0."""
    parallactic: bool = False
    """The squint turns with the parallactic angle, as of alt-azimuth mounts."""
    solvable = False

    def __post_init__(self):
        if self.kind not in ("airy", "cos3", "gaussian") or min((self.diameter, *self.diameters)) <= 0:
            raise ImagingError("There is no such beam.", got=f"{self.kind}, diameter {self.diameter:g} m",
                               expected="airy, cos3 or gaussian, of a positive diameter",
                               next_step="correct the options of AnalyticBeam")  # fmt: skip

    def compute_jones(self, Jones, sources, stations=None, pointing_offsets=None, context=None, **kw) -> ArrayJones:
        size = self.diameter
        if self.diameters:
            size = per_station(self.diameters, context.stations, "diameters")[:, None, None]
        if self.squint and self.parallactic:
            positions_of(context)

        def beam(tile):
            offset = pointing_array(pointing_offsets, tile)
            dl, dm = offset[..., 0], offset[..., 1]
            if not self.squint:
                return voltage(self.kind, size, np.hypot(tile.l - dl, tile.m - dm), tile.nu)
            angle = np.full((1, 1, 1), self.squint_angle)
            if self.parallactic:
                angle = angle + parallactic_angle(tile.time, tile.positions, tile.phase_centre)[..., None]
            half = self.squint / 2 * HALF_POWER * SPEED_OF_LIGHT / (size * tile.nu)
            east, north = half * np.sin(angle), half * np.cos(angle)
            radii = [np.hypot(tile.l - dl - sign * east, tile.m - dm - sign * north) for sign in (1, -1)]
            return np.stack([voltage(self.kind, size, radius, tile.nu) for radius in radii], -1)

        return ArrayJones(beam, "diagonal" if self.squint else "scalar", sources=sources, name=Jones.name)


@dataclass
class PointingErrors:
    """Offsets of the stations' beams in l and m: constant, random by station, swinging and drifting in time."""

    rms: Angle = 0.0
    """Deviation of the stations' offsets, in l and in m."""
    dl: Angle = 0.0
    """Offset in l of all stations."""
    dm: Angle = 0.0
    """Offset in m of all stations."""
    swing: Angle = 0.0
    """Deviation of how far offsets swing as sines in time."""
    period: tuple[Duration, Duration] = (3600.0, 7200.0)
    """Shortest and longest period of the sines."""
    drift: Angle = 0.0
    """Deviation of offsets that drift as Gaussian processes in time."""
    correlation: Duration = 600.0
    """Time in which the drifts forget where they were."""
    distribution: Literal["normal", "even"] = "normal"
    """Of what is random by station: normal of these deviations, or even from minus to plus these sizes."""
    stations: tuple[str, ...] = ()
    """Those that have such errors; all where none is named."""
    solvable = False

    def compute_pointings(self, node, stations=None, context=None, **kw) -> ArrayPointings | None:
        if not any((self.rms, self.dl, self.dm, self.swing, self.drift)):
            return None
        rng = np.random.default_rng(random.getrandbits(64))
        alike = not (self.rms or self.swing or self.drift or self.stations)
        shape = (1 if alike else len(context.stations), 2)
        offset = [self.dl, self.dm] + self.rms * fluctuations.draw(rng, shape, self.distribution)
        swing = self.swing * fluctuations.draw(rng, shape, self.distribution)
        wave, drift = fluctuations.sines(rng, shape, self.period), fluctuations.processes(rng, shape, self.correlation)
        chosen = True if alike else chosen_stations(self.stations, context.stations)[:, None, None, None]
        start = float(np.min(context.time))

        def pointing(tile):
            value = offset[:, None]
            if self.swing:
                value = value + swing[:, None] * wave(tile.time - start)
            if self.drift:
                value = value + self.drift * drift(tile.time - start)
            return np.where(chosen, value[:, :, None], 0.0)

        return ArrayPointings(pointing)
