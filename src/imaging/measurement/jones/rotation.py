"""Feeds that turn against the sky: a Station Jones module."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imaging.algorithms.simulation import earth_rotation_angle
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayJones

ELLIPSOID = 0.00669437999014  # squared eccentricity of WGS84


def parallactic_angle(time, positions, centre) -> np.ndarray:
    """(station, time) rad at `positions` (station, 3) ITRF m and `time` (time,) MJD s: from north to zenith, eastward.

    tan q = sin H cos phi / (sin phi cos d - cos phi sin d cos H), with geodetic latitudes (Thompson, Moran & Swenson
    2017, eq. 4.43). Time as in `simulation.earth_rotation_angle`: `centre` (ra, dec) rad is of date.
    """
    x, y, z = np.asarray(positions, float).T[..., None]
    latitude = np.arctan2(z, (1 - ELLIPSOID) * np.hypot(x, y))
    h = earth_rotation_angle(time) - centre[0] + np.arctan2(y, x)
    cos, sin = np.cos(latitude), np.sin(latitude)
    return np.arctan2(np.sin(h) * cos, sin * np.cos(centre[1]) - cos * np.sin(centre[1]) * np.cos(h))


@dataclass
class Rotation:
    """P by q, the parallactic angle (of alt-azimuth mounts, `parallactic`) and the feeds' own angle `feed_angle`, rad.

    Linear feeds [[cos q, sin q], [-sin q, cos q]], circular ones diag(exp(-iq), exp(iq)).
    """

    parallactic: bool = True
    feed_angle: float = 0.0
    solvable = False

    def compute_jones(self, Jones, stations=None, context=None, **kw) -> ArrayJones:
        if self.parallactic and context.positions is None:
            raise ImagingError("The parallactic angle needs the stations' positions.", got="positions=None",
                               expected="ITRF positions, m", next_step="give the Observation its positions"
                               )  # fmt: skip

        def rotation(tile):
            angle = np.full((1, 1), self.feed_angle)
            if self.parallactic:
                angle = angle + parallactic_angle(tile.time, tile.positions, tile.phase_centre)
            angle = angle[..., None]
            if tile.feeds == "circular":
                return np.exp(1j * angle[..., None] * [-1, 1])
            cos, sin = np.cos(angle), np.sin(angle)
            return np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)

        return ArrayJones(rotation, "diagonal" if context.feeds == "circular" else "full", name=Jones.name)
