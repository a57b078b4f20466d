"""Thin layers above the stations: where lines of sight go through them, and how obliquely."""

from __future__ import annotations

import numpy as np

from imaging.image import lm_to_radec
from imaging.measurement.horizon import azimuth_elevation, geodetic, positions_of


def directions(tile, sources) -> tuple[np.ndarray, np.ndarray]:
    """ra, dec (source,) rad of a tile's sources, or of the phase centre alone where a term has no sources."""
    ra, dec = tile.phase_centre
    if sources is None:
        return np.array([ra]), np.array([dec])
    return lm_to_radec(tile.lmn[:, 0], tile.lmn[:, 1], tile.phase_centre)


def lines_of_sight(tile, sources, height: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y, slant as in `pierce_points`, and elevations, all (source, station, time), of a tile's sources."""
    positions = positions_of(tile)
    azimuth, elevation = azimuth_elevation(tile.time, positions, *directions(tile, sources))
    return *pierce_points(positions, azimuth, elevation, height), elevation


def pierce_points(positions, azimuth, elevation, height: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where lines of sight of azimuth and elevation (source, station, time) go through a sphere `height` m up.

    The sphere is about the Earth's middle, `height` above the stations' mean distance from it. Returns x east and y
    north, arcs (m) on it from above the stations' mean position along great circles, and the slant factor, the
    reciprocal of the cosine between line of sight and vertical there.
    """
    positions = np.asarray(positions, float)
    east, north, up = _axes(*geodetic(positions))
    cos = np.cos(elevation)[..., None]
    line = np.sin(azimuth)[..., None] * cos * east + np.cos(azimuth)[..., None] * cos * north
    line = line + np.sin(elevation)[..., None] * up
    radius = np.linalg.norm(positions, axis=1).mean() + height
    place = positions[:, None]
    along = (line * place).sum(-1)
    distance = np.sqrt(along**2 + radius**2 - (place**2).sum(-1)) - along
    point = place + distance[..., None] * line
    slant = radius / (point * line).sum(-1)
    x, y, z = positions.mean(0)
    e, n, u = _axes(np.arctan2(y, x), np.arctan2(z, np.hypot(x, y)))
    right, ahead, above = (point * e).sum(-1), (point * n).sum(-1), (point * u).sum(-1)
    across = np.hypot(right, ahead)
    arc = radius * np.arctan2(across, above) / np.where(across > 0, across, 1)
    return right * arc, ahead * arc, slant


def _axes(longitude, latitude) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """East, north and up, ITRF; (station, 1, 3) of arrays."""
    sl, cl, sb, cb = np.sin(longitude), np.cos(longitude), np.sin(latitude), np.cos(latitude)
    axes = (
        np.stack([-sl, cl, 0 * sl], -1),
        np.stack([-sb * cl, -sb * sl, cb], -1),
        np.stack([cb * cl, cb * sl, sb], -1),
    )
    return tuple(axis[..., None, :] for axis in axes)
