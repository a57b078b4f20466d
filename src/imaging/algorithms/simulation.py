"""A synthetic observation: where antennas stand, which baselines they make, what they see, the noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from imaging.algorithms.components import Component
from imaging.image import Grid, radec_to_lmn
from imaging.units import SPEED_OF_LIGHT

SIDEREAL_RATE = 1.00273781191135448  # turns of the Earth a UT1 day
DAY = 86400.0

# Centre of the VLA (ITRF m), its geodetic latitude and longitude, the azimuths of its arms (north, south-east,
# south-west) and the power of the station number with which the distance from the centre grows
# (Napier, Thompson & Ekers 1983, Proc. IEEE 71, 1295). A configuration uses every 8th, 4th, 2nd or each station.
VLA_CENTRE = np.array([-1601185.4, -5041977.5, 3554875.9])
VLA_LATITUDE, VLA_LONGITUDE = math.radians(34.0787), math.radians(-107.6184)
VLA_ARMS = {"N": math.radians(355.0), "E": math.radians(115.0), "W": math.radians(236.0)}
VLA_POWER, VLA_FIRST_STATION = 1.716, 13.6
VLA_STEP = {"a": 8, "b": 4, "c": 2, "d": 1}
LOW_POWER = 0.02  # of a primary beam: below, sources are not followed across their extent

# Correlations from (I, Q, U, V): Hamaker & Bregman 1996, A&AS 117, 161; I = (RR + LL)/2 = (XX + YY)/2.
STOKES_TO_CORR = {
    "RR": (1, 0, 0, 1), "RL": (0, 1, 1j, 0), "LR": (0, 1, -1j, 0), "LL": (1, 0, 0, -1),
    "XX": (1, 1, 0, 0), "XY": (0, 0, 1, 1j), "YX": (0, 0, 1, -1j), "YY": (1, -1, 0, 0),
    "I": (1, 0, 0, 0), "Q": (0, 1, 0, 0), "U": (0, 0, 1, 0), "V": (0, 0, 0, 1),
}  # fmt: skip


def vla_antennas(configuration: str = "c", number: int = 27) -> tuple[np.ndarray, list[str]]:
    """Positions (antenna, 3) ITRF m and station names of a Y of `number` antennas in configuration a, b, c or d.

    Station n of an arm stands at 13.6 m * n^1.716 from the centre, all on the plane tangent to the Earth there: the
    real array's layout without its terrain. Antennas fill the arms from the inside.
    """
    step = VLA_STEP[configuration]
    stations = [(arm, step * (1 + i // 3)) for i, arm in zip(range(number), list(VLA_ARMS) * number, strict=False)]
    radius = np.array([VLA_FIRST_STATION * n**VLA_POWER for _, n in stations])
    azimuth = np.array([VLA_ARMS[arm] for arm, _ in stations])
    enu = np.stack([radius * np.sin(azimuth), radius * np.cos(azimuth), np.zeros(number)], axis=1)
    return VLA_CENTRE + enu @ enu_axes(VLA_LONGITUDE, VLA_LATITUDE), [f"{arm}{n:02d}" for arm, n in stations]


def enu_axes(longitude: float, latitude: float) -> np.ndarray:
    """Rows: the unit vectors east, north and up (ITRF) at a place, rad."""
    sl, cl, sb, cb = math.sin(longitude), math.cos(longitude), math.sin(latitude), math.cos(latitude)
    return np.array([[-sl, cl, 0.0], [-sb * cl, -sb * sl, cb], [cb * cl, cb * sl, sb]])


def earth_rotation_angle(time) -> np.ndarray:
    """Angle (rad) from the celestial intermediate origin to Greenwich at `time`, MJD in s.

    IERS Conventions (2010), eq. 5.15, UT1 taken equal to UTC. Serves as Greenwich sidereal time here: precession,
    nutation and aberration are left out, right ascension and declination are those of date.
    """
    days = np.asarray(time, float) / DAY - 51544.5
    return 2 * np.pi * ((0.7790572732640 + SIDEREAL_RATE * days) % 1.0)


def time_of_hour_angle(hour_angle, ra: float, longitude: float, mjd: float) -> np.ndarray:
    """MJD in s at which a source has `hour_angle` (rad, negative before transit) around the transit after `mjd`."""
    start = mjd * DAY
    to_transit = (ra - longitude - earth_rotation_angle(start)) % (2 * np.pi)
    return start + (to_transit + np.asarray(hour_angle)) / (2 * np.pi * SIDEREAL_RATE) * DAY


def elevation(hour_angle, dec: float, latitude: float) -> np.ndarray:
    """Elevation (rad) of a source of declination `dec` at `hour_angle` (rad)."""
    up = math.sin(latitude) * math.sin(dec) + math.cos(latitude) * math.cos(dec) * np.cos(hour_angle)
    return np.arcsin(up)


def baseline_tracks(positions, time, phase_centre) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows in time order, baselines p < q within: antenna1, antenna2, time (row,) and uvw (row, 3) m.

    With H the Greenwich hour angle of the phase centre and (X, Y, Z) the position of antenna1 less that of
    antenna2 (Thompson, Moran & Swenson 2017, eq. 4.1):
        u =  sin H X + cos H Y
        v = -sin d cos H X + sin d sin H Y + cos d Z
        w =  cos d cos H X - cos d sin H Y + sin d Z
    The sign of the baseline is the one found in MeasurementSets of the VLA, ALMA, MeerKAT, ASKAP and MWA.
    """
    time = np.asarray(time, float)
    p, q = np.triu_indices(len(positions), 1)
    ra, dec = phase_centre
    h = earth_rotation_angle(time) - ra
    sh, ch, sd, cd = np.sin(h), np.cos(h), math.sin(dec), math.cos(dec)
    zero = np.zeros_like(h)
    rotation = np.array([[sh, ch, zero], [-sd * ch, sd * sh, zero + cd], [cd * ch, -cd * sh, zero + sd]])
    uvw = np.einsum("ijt,bj->tbi", rotation, np.asarray(positions)[p] - np.asarray(positions)[q])
    return np.tile(p, len(time)), np.tile(q, len(time)), np.repeat(time, len(p)), uvw.reshape(-1, 3)


def predict_components(
    uvw,
    freq,
    components: Sequence[Component],
    phase_centre,
    corr_type: Sequence[str],
    attenuation: Callable | None = None,
) -> np.ndarray:
    """Visibilities (row, chan, corr) complex128, Jy: the direct sum over components, exact in w.

    V(u,v,w) = sum_s B_s G_s exp(+2 pi i (u l + v m + w (n - 1)) nu/c), with uvw (row, 3) m, freq (chan,) Hz.
    G = exp(-2 pi^2 (u, v) C (u, v)^T) is the transform of a Gaussian of unit flux and covariance C (rad^2). The
    sky is multiplied by attenuation(radius, freq), the primary beam's power at sin(distance from the phase
    centre). Channels and integrations are points (no smearing); feeds are taken to be unrotated.
    """
    uvw = np.asarray(uvw, float)
    to_corr = np.array([STOKES_TO_CORR[c] for c in corr_type], complex)
    vis = np.zeros((len(uvw), len(freq), len(corr_type)), complex)
    for chan, nu in enumerate(freq):
        u, v, w = uvw.T * (nu / SPEED_OF_LIGHT)
        for s in components:
            l, m, _ = radec_to_lmn(s.ra, s.dec, phase_centre)
            place, shape, stokes = np.array([l, m]), s.covariance(), s.stokes_at(nu)
            if attenuation is not None:
                place, shape, power = _attenuate(place, shape, lambda radius, nu=nu: attenuation(radius, nu))
                stokes = stokes * power
            (l, m), r2 = place, place @ place
            n_minus_1 = -r2 / (1 + math.sqrt(1 - r2))  # without cancellation
            fringe = np.exp(2j * np.pi * (u * l + v * m + w * n_minus_1))
            if shape.any():
                quadratic = shape[0, 0] * u * u + 2 * shape[0, 1] * u * v + shape[1, 1] * v * v
                fringe *= np.exp(-2 * np.pi**2 * quadratic)
            vis[:, chan] += fringe[:, None] * (to_corr @ stokes)
    return vis


def predict_image(uvw, freq, model, grid: Grid, corr_type: Sequence[str], attenuation: Callable | None = None):
    """As `predict_components`, of a model image (chan, pol, y, x), Jy/pixel, about the phase centre.

    Its Stokes planes are among I, Q, U and V; every channel of the data sees the nearest one of the image. Accurate to
    1e-7 of the visibilities' rms.
    """
    from imaging.algorithms.gridding import Gridder

    uvw, (l, m) = np.ascontiguousarray(uvw, float), grid.lm()
    radius = np.hypot(l[None, :], m[:, None])
    columns = ["IQUV".index(stokes) for stokes in grid.stokes]
    to_corr = np.array([STOKES_TO_CORR[c] for c in corr_type], complex)[:, columns]
    vis = np.zeros((len(uvw), len(freq), len(corr_type)), complex)
    for chan, nu in enumerate(freq):
        sky = np.asarray(model[np.abs(np.array(grid.freq) - nu).argmin()], float)
        if attenuation is not None:
            sky = sky * attenuation(radius, nu)
        operator = Gridder(uvw, np.array([nu]), grid.shape, grid.cell, 1e-7, precision="double")
        vis[:, chan] = (to_corr @ operator.dirty2vis(sky)[..., 0]).T
    return vis


def _attenuate(place, shape, attenuation) -> tuple:
    """Place, covariance and relative flux of a Gaussian (or a point) that is multiplied by a radial function.

    Around the source ln A = ln A0 + g d + d^T H d / 2 in the offset d, to second order (a Gaussian A is exact), and
    the product of two Gaussians is one: C' = (C^-1 - H)^-1 = (1 - C H)^-1 C, moved by C' g. Where the beam is near
    zero the logarithm means nothing, and the power at the middle is taken.
    """
    radius = math.hypot(*place)
    step = 3e-4  # rad, an arcmin: far less than a primary beam, far more than rounding
    powers = [float(attenuation(abs(r))) for r in (radius - step, radius, radius + step)]
    if not shape.any() or min(powers) < LOW_POWER:
        return place, shape, powers[1]
    below, here, above = (math.log(p) for p in powers)
    first, second = (above - below) / (2 * step), (above - 2 * here + below) / step**2
    outward = np.asarray(place) / radius if radius > 0 else np.array([1.0, 0.0])
    radial = np.outer(outward, outward)
    bend = second * radial + (first / radius if radius > 0 else second) * (np.eye(2) - radial)
    gradient = first * outward
    squeeze = np.linalg.inv(np.eye(2) - shape @ bend)
    new = squeeze @ shape
    flux = math.exp(here + gradient @ new @ gradient / 2) * math.sqrt(np.linalg.det(squeeze))
    return place + new @ gradient, new, flux


def visibility_rms(sefd: float, width: float, integration: float, efficiency: float = 1.0) -> float:
    """Noise (Jy) of the real, and of the imaginary, part of one correlation of one baseline and channel.

    SEFD / (efficiency sqrt(2 width integration)): the radiometer equation (Thompson, Moran & Swenson 2017, eq. 6.50).
    """
    return sefd / (efficiency * math.sqrt(2 * width * integration))


def thermal_noise(shape, rms: float, rng: np.random.Generator) -> np.ndarray:
    """Complex Gaussian noise of `rms` in each of the real and imaginary parts."""
    return rms * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
