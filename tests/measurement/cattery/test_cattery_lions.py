"""The ionospheric models of Lions (travelling waves, polynomials, frozen turbulence, Karhunen-Loeve) in its ZJones."""

import importlib

import numpy as np
import pytest

from imaging.measurement.expressions import evaluate
from imaging.measurement.expressions.options import Option, TDLStealOptions

pytestmark = pytest.mark.filterwarnings("ignore")
RAD = np.pi / 180


@pytest.fixture
def lions(dialect, tile, tmp_path, monkeypatch):
    """lions(model, settings, values) gives {(source, station): (2, 2, T, F)}; models write files where they run."""
    monkeypatch.chdir(tmp_path)

    def run(model, settings, values=None):
        module = importlib.import_module("Lions.ZJones")
        term = module.ZJones()
        every = [option for item in TDLStealOptions(term) for option in item.walk() if isinstance(option, Option)]
        for option in every:
            option.reset()
        chosen = next(option for option in every if option.symbol == "selname")
        chosen.set(f"Lions_PiercePoints_modules_{model}".replace(".", "_"))
        mine = importlib.import_module(f"Lions.PiercePoints.modules.{model}")
        for name, value in settings.items():
            setattr(mine, name, value)
        field = dialect.field()
        jones = term.compute_jones(field.ns.Z, field.sources, field.stations, tags="Z", label="Z", inspectors=[])
        pairs = [(s, p) for s in dialect.lm for p in range(4)]
        here = tile(values={**tile().values, **(values or {})})
        found = evaluate([jones(s, str(p)) for s, p in pairs], here)
        return dict(zip(pairs, found, strict=True)), here

    return run


def pierced(dialect, here, source, p, height):
    """Where the line of sight meets the shell (3, T), and 1/cos of the angle at which it does.

    The shell is `height` over a sphere that has the station on it at its height over WGS84.
    """
    import erfa
    from astropy import units
    from astropy.coordinates import AltAz, EarthLocation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    (l, m), (ra0, dec0) = dialect.lm[source], dialect.centre
    n = np.sqrt(1 - l * l - m * m)
    ra = ra0 + np.arctan2(l, n * np.cos(dec0) - m * np.sin(dec0))
    dec = np.arcsin(m * np.cos(dec0) + n * np.sin(dec0))
    xyz = dialect.positions[p]
    with iers.conf.set_temp("auto_download", False):
        place = EarthLocation.from_geocentric(*xyz, unit=units.m)
        time = Time(here.time / 86400, format="mjd", scale="utc")
        seen = SkyCoord(ra, dec, unit="rad").transform_to(AltAz(obstime=time, location=place))
    az, el = seen.az.rad, seen.alt.rad
    longitude, latitude, above = erfa.gc2gd(1, xyz)
    east = np.array([-np.sin(longitude), np.cos(longitude), 0])
    up = np.array([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])
    north = np.cross(up, east)
    ray = [np.cos(el) * np.sin(az), np.cos(el) * np.cos(az), np.sin(el)]
    ray = east[:, None] * ray[0] + north[:, None] * ray[1] + up[:, None] * ray[2]
    middle = np.linalg.norm(xyz)  # the triangle of the Earth's centre, the station and the point
    shell = middle - above + height * 1000
    slant = np.arcsin(np.cos(el) * middle / shell)
    distance = shell * np.sin(np.pi / 2 - el - slant) / np.cos(el)
    return xyz[:, None] + ray * distance, 1 / np.cos(slant)


def check(found, dialect, here, height, tec, tolerance=1e-4):
    """exp(-i 75e8 TEC/nu): delays of a hundred rad turn with the horizon, which is good to half an arcsecond."""
    for (source, p), value in found.items():
        point, secant = pierced(dialect, here, source, p, height)
        expected = np.exp(-75e8j * tec(point, secant)[:, None] / here.frequency)
        np.testing.assert_allclose(value[0, 0], expected, atol=tolerance)
        np.testing.assert_array_equal(value[0, 0], value[1, 1])
        assert not value[0, 1].any()


def test_travelling_waves(lions, dialect):
    """Two waves of 250 and 500 km at 300 and 600 km/h, along x and y by the cosine and the sine of their angle."""
    waves = {"Wavelength_2": 500.0, "Speed_2": 600.0, "Amp_1": 0.1, "Amp_2": 0.05, "Theta_1": 15.0, "Theta_2": 30.0}
    found, here = lions("TID_MIM", waves | {"TEC0": 0.1})

    def tec(point, secant):
        swing = 0
        for amplitude, length, speed, angle in ((0.1, 250e3, 300 / 3.6, 15), (0.05, 500e3, 600 / 3.6, 30)):
            for part, along in ((np.cos(angle * RAD), point[0]), (np.sin(angle * RAD), point[1])):
                swing = swing + amplitude * np.cos(2 * np.pi / length * (part * along - speed * here.time))
        return 0.1 * (1 + secant * swing)

    check(found, dialect, here, 200, tec)


def test_a_polynomial(lions, dialect):
    """sum N_ij x^i y^j, in the plane of x and y in m."""
    coefficients = {"N:0:0": 0.2, "N:0:1": 1e-8, "N:1:0": -2e-8, "N:1:1": 1e-15}
    values = {f"Z::{name}": value for name, value in coefficients.items()}
    found, here = lions("Poly_MIM", {"N_long": 2, "N_lat": 2, "height": 300.0}, values)

    def tec(point, secant):
        x, y, _ = point
        return (0.2 + 1e-8 * y - 2e-8 * x + 1e-15 * x * y) * secant

    check(found, dialect, here, 300, tec)


def test_frozen_turbulence(lions, dialect):
    """The pixel of the module's screen that has come over the point, in longitude and latitude."""
    settings = {"N": 16, "speedx": 600.0, "speedy": 50.0, "scale": 20.0, "amp_scale": 0.01, "TEC0": 0.1,
                "height": 200.0, "seed_nr": 1, "use_lonlat": True, "beta": 5 / 3}  # fmt: skip
    importlib.import_module("Lions.PiercePoints.modules.KolmogorovNode").initialized = False
    found, here = lions("Kolmogorov_MIM", settings)
    screen = importlib.import_module("Lions.PiercePoints.modules.PhaseScreen").phasescreen
    assert np.ptp(screen) > 0.5

    def tec(point, secant):
        x, y, z = point
        radius, after = 200 + 6365.0, here.time - 4453401230.76  # the module's own first time
        longitude, latitude = np.arctan(x / y), np.arcsin(z / np.sqrt(x * x + y * y + z * z))
        i = (longitude + (600 / 3600 / radius + 7.272205e-5) * after) / (20 / radius)
        j = (latitude + 50 / 3600 / radius * after) / (20 / radius)
        return (screen[i.astype(int) % 16, j.astype(int) % 16] * 0.01 + 0.1) * secant

    check(found, dialect, here, 200, tec)


def test_the_vla_survey_s_screen(lions, dialect):
    importlib.import_module("Lions.PiercePoints.modules.KolmogorovNode").initialized = False
    found, _ = lions("VLSS_MIM", {})
    for value in found.values():
        np.testing.assert_allclose(np.abs(value[0, 0]), 1, rtol=1e-12)


def test_karhunen_loeve_modes_of_no_amplitude(lions):
    found, _ = lions("KL.KL_MIM", {"rank": 2, "height": 300.0})
    for value in found.values():
        np.testing.assert_array_equal(value[0, 0], 1)
