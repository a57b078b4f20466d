"""Where the sky stands above stations: azimuth, elevation and parallactic angle.

Directions are J2000 (ICRS) right ascension and declination, positions ITRF. Frames follow IAU 2006/2000A through erfa,
with UT1 - UTC of astropy's own tables (nothing is fetched; 0 beyond them), without polar motion and refraction: good to
an arcsecond.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np

from imaging.algorithms.simulation import DAY
from imaging.errors import ImagingError


def positions_of(where) -> np.ndarray:
    """The stations' positions (station, 3) of a tile or an observation. Raises ImagingError where there are none."""
    if where.positions is None:
        raise ImagingError("A term needs the stations' positions.", got="positions=None",
                           expected="ITRF positions, m", next_step="give the Observation its positions")  # fmt: skip
    return np.asarray(where.positions, float)


def azimuth_elevation(time, positions, ra, dec) -> tuple[np.ndarray, np.ndarray]:
    """(source, station, time) rad, azimuth north through east, of ra, dec (source,) at `time` (time,) MJD s.

    Elevations are above the plane of the ellipsoid.
    """
    import erfa

    frame = _frame(*_bytes(time, positions))
    ra, dec = (np.atleast_1d(np.asarray(x, float))[:, None, None] for x in (ra, dec))
    azimuth, zenith_distance, *_ = erfa.atioq(*erfa.atciqz(ra, dec, frame), frame)
    return azimuth, np.pi / 2 - zenith_distance


def parallactic_angle(time, positions, centre) -> np.ndarray:
    """(station, time) rad: the position angle of the zenith at `centre` (ra, dec), north through east, both J2000."""
    import erfa

    frame = _frame(*_bytes(time, positions))
    ra, dec = erfa.aticq(*erfa.atoiq("A", 0.0, 0.0, frame), frame)  # of the zenith
    east = np.cos(dec) * np.sin(ra - centre[0])
    north = np.sin(dec) * np.cos(centre[1]) - np.cos(dec) * np.sin(centre[1]) * np.cos(ra - centre[0])
    return np.arctan2(east, north)


def geodetic(positions) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude (station,) rad on WGS84."""
    import erfa

    longitude, latitude, _ = erfa.gc2gd(1, np.asarray(positions, float))
    return longitude, latitude


def _bytes(time, positions) -> tuple[bytes, bytes]:
    return np.asarray(time, float).tobytes(), np.asarray(positions, float).tobytes()


@lru_cache(maxsize=16)
def _frame(time: bytes, positions: bytes):
    """erfa's parameters between ICRS and the horizon, (station, time)."""
    import erfa
    from astropy.utils import iers

    time, positions = np.frombuffer(time), np.frombuffer(positions).reshape(-1, 3)
    day, rest = 2400000.5 + np.floor(time / DAY), time / DAY % 1
    with iers.conf.set_temp("auto_download", False):
        table = iers.earth_orientation_table.get()
        ut1, status = table.ut1_utc(day, rest, return_status=True)
    ut1 = np.where(status == 0, ut1.to_value("s"), 0.0)
    longitude, latitude, height = (x[:, None] for x in erfa.gc2gd(1, positions))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # years whose leap seconds are not known yet
        return erfa.apco13(day, rest, ut1, longitude, latitude, height, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)[0]
