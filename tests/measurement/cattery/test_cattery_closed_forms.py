"""Each configuration of the Cattery's Jones modules against its formula, written from what the module documents."""

import random

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")
C = 299792458.0
DEG, ARCSEC, GHZ = np.pi / 180, np.pi / 648000, 1e-9


# The horizon, by astropy --------------------------------------------------------------------------


class Horizon:
    """Azimuth, elevation and parallactic angle (3, 1) at the times of a tile, of astropy."""

    def __init__(self, dialect, here):
        from astropy.time import Time
        from astropy.utils import iers

        iers.conf.auto_download = False
        self.time, self.centre = Time(here.time / 86400, format="mjd", scale="utc"), dialect.centre

    def _frame(self, xyz):
        from astropy import units
        from astropy.coordinates import AltAz, EarthLocation

        return AltAz(obstime=self.time, location=EarthLocation.from_geocentric(*xyz, unit=units.m))

    def _coordinates(self, ra, dec):
        from astropy.coordinates import SkyCoord

        return SkyCoord(ra, dec, unit="rad")

    def radec(self, l, m):
        ra0, dec0 = self.centre
        n = np.sqrt(1 - l * l - m * m)
        ra = ra0 + np.arctan2(l, n * np.cos(dec0) - m * np.sin(dec0))
        return ra, np.arcsin(m * np.cos(dec0) + n * np.sin(dec0))

    def azel(self, l, m, xyz):
        seen = self._coordinates(*self.radec(l, m)).transform_to(self._frame(xyz))
        return seen.az.rad[:, None], seen.alt.rad[:, None]

    def lmn_of(self, az, el, xyz):
        """The direction cosines of a place in the sky (3, 3, 1)."""
        from astropy.coordinates import SkyCoord

        frame = self._frame(xyz)
        seen = SkyCoord(az[:, 0], el[:, 0], unit="rad", frame=frame).transform_to("icrs")
        (ra, dec), (ra0, dec0) = (seen.ra.rad, seen.dec.rad), self.centre
        l = np.cos(dec) * np.sin(ra - ra0)
        m = np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra - ra0)
        return np.array([l, m, np.sqrt(1 - l * l - m * m)])[..., None]

    def angle(self, xyz, l=0.0, m=0.0):
        from astropy.coordinates import SkyCoord

        frame = self._frame(xyz)
        zenith = SkyCoord(np.zeros(3), np.full(3, np.pi / 2), unit="rad", frame=frame).transform_to("icrs")
        return self._coordinates(*self.radec(l, m)).position_angle(zenith).rad[:, None]


class Case:
    """What a formula may use: the tile, the horizon, a station's number p, a source's l and m, the dialect."""

    def __init__(self, dialect, here, p, l=0.0, m=0.0):
        self.dialect, self.tile, self.p, self.l, self.m = dialect, here, p, l, m
        self.nu, self.t = here.frequency, here.time[:, None]
        self.xyz, self.first = dialect.positions[p], dialect.positions[0]
        self.horizon = Horizon(dialect, here)
        uvw = here.columns["UVW"]
        self.uvw = (uvw[0, p] if p else np.zeros((3, 3)))[..., None]
        self.offset = (1e-4 * p, -2e-4)

    def pa(self):
        return self.horizon.angle(self.xyz)

    def azel(self, xyz=None):
        return self.horizon.azel(self.l, self.m, self.xyz if xyz is None else xyz)

    def phase(self, dl, dm, dn=0.0):
        """exp(-2 pi i (u dl + v dm + w dn) nu/c) of the station."""
        u, v, w = self.uvw
        return np.exp(-2j * np.pi * (u * dl + v * dm + w * dn) * self.nu / C)


def diagonal(x, y):
    x, y = np.broadcast_arrays(np.atleast_2d(x), y)
    return np.array([[x, np.zeros_like(x)], [np.zeros_like(y), y]])


def turned(angle, sense=1):
    """[[cos, sin], [-sin, cos]]."""
    return np.array([[np.cos(angle), sense * np.sin(angle)], [-sense * np.sin(angle), np.cos(angle)]])


def constant(rows):
    return np.array(rows)[:, :, None, None]


# Station Jones ------------------------------------------------------------------------------------


def _rotation(case):
    return (10 * DEG, 20 * DEG, 30 * DEG, 30 * DEG)[case.p] + case.pa()


def _circular(case):
    return diagonal(np.exp(-1j * _rotation(case)), np.exp(1j * _rotation(case)))


def _leakage(case):
    """A rotation by 0.1 and an ellipticity of 0.2."""
    ellipticity = constant([[np.cos(0.2), 1j * np.sin(0.2)], [1j * np.sin(0.2), np.cos(0.2)]])
    return np.einsum("ijtf,jktf->iktf", turned(np.full((1, 1), 0.1), -1), ellipticity)


def _decoupled(case):
    """Rows of their own: rotations by 0.1 and 0.3, ellipticities of 0.2 and 0.4."""
    c, s = np.cos, np.sin
    rotation = np.array([[c(0.1), -s(0.1)], [s(0.3), c(0.3)]])
    return constant(rotation @ np.array([[c(0.2), 1j * s(0.2)], [1j * s(0.4), c(0.4)]]))


PARAMETERS = {
    "leakage, coupled": {f"J:{kind}:angle:{p}": value for kind, value in (("R", 0.1), ("E", 0.2)) for p in range(4)},
    "leakage, decoupled": {
        f"J:{kind}:angle:{axis}:{p}": value for kind, axis, value in
        (("R", "x", 0.1), ("R", "y", 0.3), ("E", "x", 0.2), ("E", "y", 0.4)) for p in range(4)
    },
    "solvable, amplitude and phase": {
        f"J:{p}:{term}": value for p in range(4) for term, value in (("xa", 1.5), ("xp", 0.3), ("ya", 0.7), ("yp", -1))
    },
    "intrinsic Faraday rotation": {f"J:{s}:RM": 1e17 for s in "abcd"},
    "refraction": {"J::scale:0": 1e-3}, "refraction and extinction": {"J::scale:0": 1e-3},
    "refraction, flat": {"J::scale:0": 1e-3}, "gradients of TEC": {"J::alpha": 0.03, "J::beta": -0.02},
    "gradients of TEC of each station": {
        f"J::{name}:{p}": value * (p + 1) for p in range(4) for name, value in (("alpha", 30.0), ("beta", -20.0))
    },
    "solvable positions": {f"J::{name}:{s}": v for s in "abcd" for name, v in (("dl", 3 * ARCSEC), ("dm", -ARCSEC))},
}  # fmt: skip

STATION = {
    "leakage": lambda case: constant([[1, 0.04], [-0.04, 1]]),
    "feed angle": lambda case: turned(np.full((1, 1), 30 * DEG), -1),
    "feed angle, parallactic": lambda case: turned(30 * DEG + case.pa(), -1),
    "rotation": lambda case: turned(_rotation(case)),
    "rotation, circular": _circular,
    "rotation, fixed": lambda case: turned(np.full((1, 1), (10, 20, 30, 90)[case.p] * DEG)),
    "solvable, real and imaginary": lambda case: constant([[0.8 - 0.5j, 0], [0, 0.8 - 0.5j]]),
    "solvable, full": lambda case: constant([[0.8 - 0.5j, 0.1j], [0.1j, 0.8 - 0.5j]]),
    "solvable, amplitude and phase": lambda case: constant([[1.5 * np.exp(0.3j), 0], [0, 0.7 * np.exp(-1j)]]),
    "leakage, coupled": _leakage,
    "leakage, decoupled": _decoupled,
}


def _gain_errors(model, p, t, start):
    """x and y amplitudes and phases of station p, of the numbers drawn before and for it."""
    draw = random.Random(1)
    limits = {"a": (0.5, 1.5, 1.0, 1.0), "p": (-60.0, 60.0, 0.0, DEG)}  # least, greatest, nominal, unit
    listed = {"a": iter((0.9, 0.8, 0.7)), "p": iter((0.9, 0.8, 0.7))}
    for _ in range(p + 1):
        found = []
        for kind in "aapp":
            least, greatest, nominal, unit = limits[kind]
            if model == "FixedOffset":
                value = nominal + 0.2 * unit
            elif model == "ListOfValues":
                value = next(listed[kind], 0.7) * unit
            elif model == "RandomError":
                value = draw.uniform(least * unit, greatest * unit)
            elif model == "SineError":
                period, phase = draw.uniform(1, 2) * 3600, draw.uniform(0, 2 * np.pi)
                swing, middle = (greatest - least) / 2 * unit, (greatest + least) / 2 * unit
                value = middle + swing * np.sin(2 * np.pi * t / period + phase)
            else:
                first = draw.uniform(0.5, 1) * draw.choice([-1, 1])
                value = (first + draw.uniform(-0.1, 0.1) * (t - start) / 7200) * unit
            found.append(value)
    return found


def _gain(model):
    def formula(case):
        xa, ya, xp, yp = _gain_errors(model, case.p, case.t, case.dialect.start)
        return diagonal(xa * np.exp(1j * xp), ya * np.exp(1j * yp))

    return formula


STATION |= {
    f"gain, {model}": _gain(model)
    for model in ("FixedOffset", "ListOfValues", "RandomError", "RandomPolc", "SineError")
}


# Sky Jones ----------------------------------------------------------------------------------------


def _cos3(factor, l, m, nu, clip=0.1):
    x = factor * GHZ * nu * np.hypot(l, m)
    return np.where(x > np.arccos(np.cbrt(clip)), clip, np.cos(x) ** 3)


def _elliptical(case):
    l, m, e = case.l, case.m, 0.01
    return diagonal(_cos3(65, l / (1 + e), m / (1 - e), case.nu), _cos3(65, l / (1 - e), m / (1 + e), case.nu))


def _airy(case):
    from scipy.special import j1

    r = np.hypot(case.l - case.offset[0], case.m - case.offset[1])
    x = np.maximum(np.pi * 25 * case.nu * r / C, 1e-9)
    return diagonal(2 * j1(x) / x, 2 * j1(x) / x)


def _sinc(case):
    x = 265.667 / 1.4 * GHZ * case.nu * np.hypot(case.l, case.m)
    return np.where((case.l < 0) | (case.m < 0), 0, np.sinc(x / np.pi))


def _layer(case, turning=True):
    """Where the line of sight meets a layer 300 km up, in the first model's flat geometry (m)."""
    flat = np.array([1, 1, 0])
    place = (case.xyz - case.first)[:2]
    away = 3e5 * np.array([case.l, case.m]) / np.sqrt(1 - np.array([case.l, case.m]) ** 2)
    if turning:  # the layer stays with the sky: antennas turn under it
        angle = case.horizon.angle(case.first * flat)
        return turned(angle, 1)[:, 0] * place[0] + turned(angle, 1)[:, 1] * place[1] + away[:, None, None]
    angle = case.horizon.angle(case.xyz * flat)
    return place[:, None, None] + turned(angle, 1)[:, 0] * away[0] + turned(angle, 1)[:, 1] * away[1]


def _overhead(case):
    """The same for a layer over each station, by azimuth and elevation."""
    az, el = case.azel()
    r = 3e5 * np.tan(np.pi / 2 - el)
    return np.array([r * np.sin(az), r * np.cos(az)]) + (case.xyz - case.first)[:2, None, None]


def _waves(case, x, y):
    """5 TECU and two travelling waves of 2 x 25 km and 25 km/h, the amplitude of the first falling from 5 to 2 %."""
    after = case.t - case.dialect.start
    turns = after * 25 / 50 / 3600
    along_x = 5 * (0.05 - 0.03 * after / 3600) * np.sin(2 * np.pi * (x / 5e4 + turns))
    return 5 + along_x + 5 * 0.1 * np.cos(2 * np.pi * (y / 5e4 + turns))


def _wedge(case, x, y):
    """5 TECU and a slope over 100 km that grows from 0.1 to 1 TECU in an hour."""
    return 5 + x * (0.1 + 0.9 * (case.t - case.dialect.start) / 3600) / 1e5


def _delay(tec, cosine, nu):
    return np.exp(-25j * 3e8 * tec / cosine / nu)


def _ionosphere(tec, geometry=_layer, relative=True, **more):
    def one(case):
        if geometry is _overhead:
            cosine = np.cos(np.pi / 2 - case.azel()[1])
            return _delay(tec(case, *_overhead(case)), cosine, case.nu)
        return _delay(tec(case, *_layer(case, **more)), np.sqrt(1 - case.l**2 - case.m**2), case.nu)

    def formula(case):
        if not relative:
            return one(case)
        return one(case) / one(Case(case.dialect, case.tile, case.p))  # the first source is in the middle

    return formula


def _dipoles(case):
    az, el = case.azel()
    return np.array([[np.cos(az), -np.sin(az) * np.sin(el)], [np.sin(az), np.cos(az) * np.sin(el)]])


def _uson_cotton(case):
    """1/2 + sum c_i u^i, twice, u = (k nu r)^2 (GHz, deg), R and L parted by the squint: Uson & Cotton 2008."""
    pointed = case.dialect.current == "VLA beams, pointed"
    dl, dm = case.offset if pointed else (0, 0)
    angle = 20 * DEG - (0 if pointed else case.pa())
    squint = 237.56 / 3600 * 2.997925e8 / case.nu  # deg
    coefficients = [0.5, -0.56249985, 0.21093573, -0.03954289, 0.00443319, -0.00031761, 0.00001109]

    def beam(sign):
        l = (case.l + dl) / DEG + sign * np.sin(angle) * squint
        m = (case.m + dm) / DEG - sign * np.cos(angle) * squint
        u = (1.496 * 25 / 24.5 * case.nu * GHZ) ** 2 * (l**2 + m**2)
        return 2 * np.polynomial.polynomial.polyval(u, coefficients)

    return diagonal(beam(1), beam(-1))


def _wsrt(case):
    """cos^3(68 nu r) with r elliptical by 1 % in the square, wider in m for x and in l for y; offsets are added."""
    pointed = case.dialect.current == "WSRT beams, pointed"
    l, m = np.add((case.l, case.m), case.offset if pointed else (0, 0))
    x, y = np.sqrt(1.01 * l**2 + 0.99 * m**2), np.sqrt(0.99 * l**2 + 1.01 * m**2)
    return diagonal(np.cos(68 * GHZ * case.nu * x) ** 3, np.cos(68 * GHZ * case.nu * y) ** 3)


def _refracted(case, rate):
    """(dl, dm, dn) of a source whose distance in elevation from the centre is larger by a part `rate`, and both el."""
    az, el = case.azel(case.first)
    middle = case.horizon.azel(0.0, 0.0, case.first)[1]
    seen = el + rate * (el - middle)
    here = np.array([case.l, case.m, np.sqrt(1 - case.l**2 - case.m**2)])[:, None, None]
    return case.horizon.lmn_of(az, seen, case.first) - here, seen, middle


def _refraction(rate, extinction=False):
    def formula(case):
        shift, seen, middle = _refracted(case, rate)
        return case.phase(*shift) * (np.sin(middle) / np.sin(seen) if extinction else 1)

    return formula


def _flat_refraction(case):
    """The shift in elevation laid along the parallactic angle of the centre."""
    el, middle = case.azel(case.first)[1], case.horizon.azel(0.0, 0.0, case.first)[1]
    pa, shift = case.horizon.angle(case.first), 1e-3 * (el - middle)
    return case.phase(np.sin(shift * np.sin(pa)), np.sin(shift * np.cos(pa)))


def _slope(case):
    """1 rad at 1 GHz per unit, times the distance of the station from the first one."""
    distance = np.linalg.norm(case.xyz - case.first)
    return np.exp(1j * distance * (0.03 * case.l - 0.02 * case.m) / (case.nu * GHZ))


def _field_rotation(case):
    angle = DEG
    l, m = np.cos(angle) * case.l - np.sin(angle) * case.m, np.sin(angle) * case.l + np.cos(angle) * case.m
    return case.phase(l - case.l, m - case.m)


SKY = {
    "cos3": lambda case: _cos3(65, case.l, case.m, case.nu),
    "cos3, elliptical": _elliptical,
    "circular aperture": _airy,
    "clipped sinc": _sinc,
    "ionosphere, travelling waves": _ionosphere(_waves),
    "ionosphere, wedge": _ionosphere(_wedge),
    "ionosphere, not relative": _ionosphere(_wedge, relative=False, turning=False),
    "ionosphere 2": _ionosphere(_waves, _overhead),
    "ionosphere 2, wedge": _ionosphere(_wedge, _overhead),
    "n inverse": lambda case: np.exp(2j * np.pi * case.nu / C * case.uvw[2] * (np.sqrt(1 - case.l**2 - case.m**2) - 1)),
    "dipole projection": _dipoles,
    "VLA beams": _uson_cotton,
    "VLA beams, pointed": _uson_cotton,
    "WSRT beams": _wsrt,
    "WSRT beams, pointed": _wsrt,
    "rotation of the sky": lambda case: turned(case.pa()),
    "positions shifted": lambda case: case.phase(3 * ARCSEC, 0.0),
    "elevations shifted": _refraction(0.01),
    "field rotated": _field_rotation,
    "solvable, real and imaginary": lambda case: constant([[0.8 - 0.5j, 0], [0, 0.8 - 0.5j]]),
    "solvable, amplitude and phase": lambda case: constant([[0.9 * np.exp(0.3j), 0], [0, 0.9 * np.exp(0.3j)]]),
    "intrinsic Faraday rotation": lambda case: turned(1e17 / case.nu[None] ** 2, -1),
    "solvable cos3": lambda case: _cos3(65, case.l, case.m, case.nu),
    "solvable cos3, elliptical": _elliptical,
    "solvable cos3, as NEWSTAR": lambda case: np.maximum(
        np.cos(400 * GHZ * case.nu * np.hypot(case.l, case.m)) ** 3, 0.1
    ),
    "refraction": _refraction(1e-3),
    "refraction and extinction": _refraction(1e-3, extinction=True),
    "refraction, flat": _flat_refraction,
    "gradients of TEC": _slope,
    "gradients of TEC of each station": lambda case: np.exp(
        1j * (case.p + 1) * (30 * case.l - 20 * case.m) / (case.nu * GHZ)
    ),
    "solvable positions": lambda case: case.phase(3 * ARCSEC, -ARCSEC),
}
# The horizon is good to half an arcsecond (astropy's has polar motion); a few terms turn many times with it.
HORIZON = {"rotation": 1e-5, "parallactic": 1e-5, "ionosphere": 1e-5, "dipole": 1e-5, "VLA": 1e-5, "refraction": 1e-5,
           "ionosphere 2": 1e-4, "elevations": 1e-4}  # fmt: skip


def _close(value, expected, case):
    """A scalar stands for itself times the identity."""
    expected = np.asarray(expected)
    expected = diagonal(expected, expected) if expected.ndim <= 2 else expected
    value = diagonal(value, value) if value.ndim == 2 else value
    tolerance = max((limit for word, limit in HORIZON.items() if word in case), default=1e-9)
    np.testing.assert_allclose(*np.broadcast_arrays(value, expected), rtol=0, atol=tolerance)


def test_a_station_jones_is_its_formula(dialect, station_case, tile):
    here = tile(values={**tile().values, **PARAMETERS.get(station_case, {})})
    values = dialect.station_values(station_case, here)
    for p, value in enumerate(values):
        _close(value, STATION[station_case](Case(dialect, here, p)), station_case)


def test_a_sky_jones_is_its_formula(dialect, sky_case, tile):
    here, dialect.current = tile(values={**tile().values, **PARAMETERS.get(sky_case, {})}), sky_case
    values = iter(dialect.sky_values(sky_case, here))
    for l, m in dialect.lm.values():
        for p in range(len(dialect.positions)):
            _close(next(values), SKY[sky_case](Case(dialect, here, p, l, m)), sky_case)
