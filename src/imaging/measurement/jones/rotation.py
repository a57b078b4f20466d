"""Feeds that turn against the sky: a Station Jones module, or a Sky Jones module that is the same for all sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imaging.config_base import Angle
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayJones
from imaging.measurement.horizon import parallactic_angle, positions_of


def rotation(angle, feeds: str = "linear") -> np.ndarray:
    """Feeds turned by `angle` (…) north through east: [[cos, sin], [-sin, cos]] (…, 2, 2), circular (…, 2)."""
    angle = np.asarray(angle)[..., None]
    if feeds == "circular":
        return np.exp(1j * angle * [-1, 1])
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.concatenate([cos, sin], -1), np.concatenate([-sin, cos], -1)], -2)


@dataclass
class Rotation:
    """P, the rotation by the parallactic angle and the feeds' own: [[cos q, sin q], [-sin q, cos q]], or of circular
    feeds diag(exp(-iq), exp(iq)) (Hamaker & Bregman 1996, A&AS 117, 161)."""

    parallactic: bool = True
    """Turn by the parallactic angle at the phase centre, as alt-azimuth mounts do."""
    feed_angle: Angle = 0.0
    """Angle of all feeds in their dish, north through east where the parallactic angle is 0."""
    inverted: bool = False
    """Turn by minus the parallactic angle."""
    feed_angles: tuple[Angle, ...] = ()
    """Further angles of the feeds, one a station."""
    solvable = False

    def compute_jones(self, Jones, sources=None, stations=None, context=None, **kw) -> ArrayJones:
        if self.parallactic:
            positions_of(context)
        own = self.feed_angle + per_station(self.feed_angles, context.stations, "feed_angles")[:, None, None]

        def turned(tile):
            angle = own
            if self.parallactic:
                sky = parallactic_angle(tile.time, tile.positions, tile.phase_centre)[..., None]
                angle = own - sky if self.inverted else own + sky
            return rotation(angle, tile.feeds)

        kind = "diagonal" if context.feeds == "circular" else "full"
        return ArrayJones(turned, kind, sources=sources, name=Jones.name)


def per_station(values, stations, option: str, default: float = 0.0) -> np.ndarray:
    """(station,) or (1,): the `values` of an option that has one a station, or `default` where it has none."""
    if len(values) not in (0, len(stations)):
        raise ImagingError(f"{option} has not one value a station.", got=f"{len(values)} values",
                           expected=f"{len(stations)}: {', '.join(map(str, stations))}",
                           next_step=f"give {option} one value for each station, or none")  # fmt: skip
    return np.asarray(values, float) if len(values) else np.array([default])
