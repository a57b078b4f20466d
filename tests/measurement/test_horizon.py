"""Azimuth, elevation and parallactic angle against astropy."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time

from imaging.algorithms import simulation
from imaging.errors import ImagingError
from imaging.measurement import horizon

ARCSEC = np.pi / 648000
TIME = 59000.3 * 86400 + np.array([0.0, 7200.0, 21600.0, 36000.0])


def astropy_frames(position):
    place = EarthLocation.from_geocentric(*position, unit="m")
    return [AltAz(obstime=Time(t / 86400, format="mjd", scale="utc"), location=place) for t in TIME]


@pytest.fixture(scope="module")
def positions():
    vla, _ = simulation.vla_antennas("a", 2)
    return np.array([*vla, [5109943.1, 2003650.7, -3239908.3]])  # and one in the Karoo


def test_azimuth_and_elevation(positions):
    ra, dec = np.array([1.2, 4.0]), np.array([0.6, -0.5])
    azimuth, elevation = horizon.azimuth_elevation(TIME, positions, ra, dec)
    assert azimuth.shape == (2, 3, 4)
    for a, position in enumerate(positions):
        for t, frame in enumerate(astropy_frames(position)):
            seen = SkyCoord(ra, dec, unit="rad").transform_to(frame)
            apart = SkyCoord(azimuth[:, a, t], elevation[:, a, t], unit="rad", frame=frame).separation(seen)
            assert apart.to_value(u.arcsec).max() < 1


def test_parallactic_angle(positions):
    centre = (1.2, 0.6)
    angle = horizon.parallactic_angle(TIME, positions, centre)
    for a, position in enumerate(positions):
        for t, frame in enumerate(astropy_frames(position)):
            zenith = SkyCoord(az=0 * u.deg, alt=90 * u.deg, frame=frame).icrs
            expected = SkyCoord(*centre, unit="rad").position_angle(zenith).rad
            assert abs(np.angle(np.exp(1j * (angle[a, t] - expected)))) < ARCSEC


def test_the_textbook_s_formula_is_near(positions):
    """tan q = sin H cos phi / (sin phi cos d - cos phi sin d cos H) of date: precession of 20 years is 0.1 deg."""
    centre = (1.2, 0.6)
    longitude, latitude = horizon.geodetic(positions[:1])
    h = simulation.earth_rotation_angle(TIME) - centre[0] + longitude
    expected = np.arctan2(np.sin(h) * np.cos(latitude), np.sin(latitude) * np.cos(centre[1])
                          - np.cos(latitude) * np.sin(centre[1]) * np.cos(h))  # fmt: skip
    np.testing.assert_allclose(horizon.parallactic_angle(TIME, positions[:1], centre)[0], expected, atol=0.015)


def test_years_to_come_and_stations_without_places(observe):
    far = horizon.parallactic_angle(TIME + 30 * 365.25 * 86400, [simulation.VLA_CENTRE], (1.2, 0.6))
    assert np.isfinite(far).all()
    with pytest.raises(ImagingError, match="positions"):
        horizon.positions_of(observe(positions=None))
