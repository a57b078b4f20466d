"""Node classes of interferometry: directions, frames, phases, smearing, columns.

Directions are J2000 right ascension and declination in rad, positions ITRF in m, times MJD seconds (UTC). Azimuth runs
from north through east. Frames follow IAU 2006/2000A through erfa with UT1-UTC from astropy's own tables (never
fetched), no polar motion and no refraction: good to an arcsecond. Vector values are (dims..., T or 1, F or 1).
"""

from __future__ import annotations

import numpy as np

from imaging.measurement.expressions.errors import ExpressionError
from imaging.measurement.expressions.evaluation import node_type

LIGHT = 299792458.0


def _column(node, tile, name, p, q):
    pairs = tile.columns.get(name)
    if pairs is not None:
        if (p, q) in pairs:
            return np.asarray(pairs[p, q])
        if (q, p) in pairs:
            other = np.asarray(pairs[q, p])
            return -other if name == "UVW" else other.swapaxes(0, 1).conj()
        if p == q and name == "UVW":
            return np.zeros((3, len(tile.time)))
    raise ExpressionError(
        f"The node {node.name} reads what the tile does not have.", got=f"column {name} of the stations {p} and {q}",
        expected=f"one of the columns {sorted(tile.columns)}",
    )  # fmt: skip


@node_type("Spigot", varies=True)
def _spigot(node, tile):
    """UVW: (3, T, 1), station 2 minus station 1, with `include_deriv` (6, T, 1), m and m/s. Others: (2, 2, T, F)."""
    record = node.definition.record
    name = str(record.get("input_col", record.get("input_column", "DATA"))).upper()
    p, q = int(record.get("station_1_index", 0)), int(record.get("station_2_index", 0))
    value = _column(node, tile, name, p, q)
    if name != "UVW":
        return value
    if record.get("include_deriv"):
        if len(tile.time) < 2:
            raise ExpressionError(f"The node {node.name} needs two times in a tile to know how fast uvw changes.")
        value = np.concatenate([value, np.gradient(value, tile.time, axis=1)])
    return value[..., None]


@node_type("Sink", "VisDataMux", "ReqSeq", "DataCollect")
def _pass(node, tile, *children):
    """Executive nodes have the value of their first child here: what is to be written is the caller's business."""
    return children[int(node.definition.record.get("result_index", 0))]


@node_type("VisPhaseShift", varies=True)
def _phase_shift(node, tile, lmn, uvw):
    """exp(-2 pi i (u l + v m + w n) nu/c): the third component of `lmn` is n-1 where the caller wants that."""
    path = np.sum(lmn * uvw[:3], axis=0)  # derivatives may follow
    return np.exp(-2j * np.pi / LIGHT * path * tile.frequency)


@node_type("TFSmearFactor", varies=True)
def _smearing(node, tile, *paths):
    """sinc(dphi_t/2) sinc(dphi_f/2) for the change of the phase over a cell's width.

    paths : (path in m, its change in m/s) of one baseline, or of two stations, the baseline's being their difference.
    """
    path, speed = paths[0] if len(paths) == 1 else paths[0] - paths[1]
    turns_in_time = speed * tile.time_width[:, None] * tile.frequency / LIGHT
    return np.sinc(turns_in_time) * np.sinc(path * tile.frequency_width / LIGHT)


@node_type("PSVTensor", varies=True)
def _point_and_gaussian(node, tile, lmn, brightness, uvw, shape=None, *terms):
    """Sum over sources of brightness (S,) or (S, 2, 2) at `lmn` (S, 3), for points and Gaussians of `shape` (S, 3).

    shape : FWHM sin(PA), FWHM cos(PA), minor/major; visibility exp(-(pi FWHM u)^2 / (4 ln 2)) along the major axis.
    terms : (S,) or (S, 2, 2) each, what is put left and right of the brightness in turn, the innermost pair first.
    """
    wavenumber = tile.frequency / LIGHT
    l, m, n = lmn.reshape(-1, 3, *lmn.shape[-2:]).swapaxes(0, 1)
    u, v, w = uvw[:3] * wavenumber
    value = np.exp(2j * np.pi * (u * l + v * m + w * (n - 1)))
    if shape is not None:
        along_l, along_m, ratio = shape.reshape(-1, 3, *shape.shape[-2:]).swapaxes(0, 1)
        squares = (u * along_l + v * along_m) ** 2 + (ratio * (u * along_m - v * along_l)) ** 2
        value = value * np.exp(-(np.pi**2) / (4 * np.log(2)) * squares)
    total = _times(value, _by_source(brightness))
    for left, right in zip(terms[::2], terms[1::2], strict=True):
        total = _times(_times(_by_source(left), total), _by_source(right))
    return np.sum(total, axis=0)


def _by_source(value):
    """A scalar or matrix for each source: (S | 1, T, F) or (S | 1, 2, 2, T, F)."""
    cells = value.shape[-2:]
    matrices = value.ndim >= 4 and value.shape[-4:-2] == (2, 2)
    return value.reshape(-1, 2, 2, *cells) if matrices else value.reshape(-1, *cells)


def _times(left, right):
    """The product for each source, of scalars (S, T, F) and matrices (S, 2, 2, T, F)."""
    if left.ndim == right.ndim == 5:
        return np.einsum("sijtf,sjktf->siktf", left, right)
    left = left[:, None, None] if left.ndim < right.ndim else left
    right = right[:, None, None] if right.ndim < left.ndim else right
    return left * right


@node_type("LMN")
def _lmn(node, tile, radec_0, radec, pos_ang=None):
    """Direction cosines of `radec` about `radec_0`, SIN projection, turned by `pos_ang`."""
    (ra_0, dec_0), (ra, dec) = radec_0, radec
    l = np.cos(dec) * np.sin(ra - ra_0)
    m = np.sin(dec) * np.cos(dec_0) - np.cos(dec) * np.sin(dec_0) * np.cos(ra - ra_0)
    n = np.sin(dec) * np.sin(dec_0) + np.cos(dec) * np.cos(dec_0) * np.cos(ra - ra_0)
    if pos_ang is not None:
        l, m = l * np.cos(pos_ang) - m * np.sin(pos_ang), l * np.sin(pos_ang) + m * np.cos(pos_ang)
    return np.array(np.broadcast_arrays(l, m, n))


@node_type("LMRaDec")
def _lm_to_radec(node, tile, radec_0, lm, pos_ang=None):
    """The inverse of LMN."""
    (ra_0, dec_0), (l, m) = radec_0, lm[:2]
    if pos_ang is not None:
        l, m = l * np.cos(pos_ang) + m * np.sin(pos_ang), m * np.cos(pos_ang) - l * np.sin(pos_ang)
    n = np.sqrt(1 - l**2 - m**2)
    dec = np.arcsin(m * np.cos(dec_0) + n * np.sin(dec_0))
    ra = ra_0 + np.arctan2(l, n * np.cos(dec_0) - m * np.sin(dec_0))
    return np.array(np.broadcast_arrays(ra, dec))


def _clock(time):
    """UTC as two-part Julian dates, and UT1-UTC in s; times of shape (T, 1)."""
    from astropy.time import Time
    from astropy.utils import iers

    time = time[:, None]
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
        moment = Time(2400000.5 + np.floor(time / 86400), time / 86400 % 1, format="jd", scale="utc")
        return moment.jd1, moment.jd2, np.asarray(moment.delta_ut1_utc)


def _site(xyz):
    import erfa

    return erfa.gc2gd(1, np.moveaxis(xyz, 0, -1))  # longitude, latitude, height on WGS84


@node_type("LongLat")
def _longitude_latitude(node, tile, xyz):
    """Longitude and latitude on a sphere; with `use_w` on WGS84, and the height above it in m."""
    if node.definition.record.get("use_w"):
        return np.array(_site(xyz))
    x, y, z = xyz
    return np.array([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])


def _frames(tile, xyz, number):
    """erfa's frames of a station at the tile's times; `number` of cells: all, or each time once."""
    import erfa

    utc_1, utc_2, dut = _clock(tile.time[:: tile.repeats])
    frames, _ = erfa.apco13(utc_1, utc_2, dut, *_site(xyz), 0, 0, 0, 0, 0, 1)
    return np.repeat(frames, tile.repeats, axis=0) if number > 1 else frames


def _horizon(tile, radec, xyz):
    import erfa

    number = radec.shape[1] if tile.repeats > 1 else 1
    frames = _frames(tile, xyz, number)
    azimuth, zenith_distance, *_ = erfa.atioq(*erfa.atciq(*radec, 0, 0, 0, 0, frames), frames)
    times = tile.repeats if number == 1 else 1
    return np.repeat(azimuth, times, axis=0), np.repeat(np.pi / 2 - zenith_distance, times, axis=0)


def _from_horizon(tile, azimuth, elevation, xyz):
    import erfa

    number = max(np.shape(azimuth)[:1] + np.shape(elevation)[:1], default=1) if tile.repeats > 1 else 1
    frames = _frames(tile, xyz, number)
    ra, dec = erfa.aticq(*erfa.atoiq("A", azimuth, np.pi / 2 - elevation, frames), frames)
    times = tile.repeats if number == 1 else 1
    return np.repeat(ra, times, axis=0), np.repeat(dec, times, axis=0)


@node_type("AzEl", varies=True)
def _azimuth_elevation(node, tile, radec, xyz):
    return np.array(_horizon(tile, radec, xyz))


@node_type("RADec", "AzElRaDec", varies=True)
def _right_ascension(node, tile, azel, xyz):
    return np.array(_from_horizon(tile, *azel, xyz))


@node_type("ParAngle", varies=True)
def _parallactic_angle(node, tile, radec, xyz):
    """Position angle, north through east, of the zenith seen from `radec`, both in J2000."""
    zenith_ra, zenith_dec = _from_horizon(tile, 0.0, np.pi / 2, xyz)
    ra, dec = radec
    return np.arctan2(
        np.cos(zenith_dec) * np.sin(zenith_ra - ra),
        np.sin(zenith_dec) * np.cos(dec) - np.cos(zenith_dec) * np.sin(dec) * np.cos(zenith_ra - ra),
    )


@node_type("LST", varies=True)
def _sidereal_time(node, tile, xyz):
    import erfa

    utc_1, utc_2, dut = _clock(tile.time)
    tt_1, tt_2 = erfa.taitt(*erfa.utctai(utc_1, utc_2))
    return np.mod(erfa.gst06a(*erfa.utcut1(utc_1, utc_2, dut), tt_1, tt_2) + _site(xyz)[0], 2 * np.pi)


@node_type("UVW", varies=True)
def _station_uvw(node, tile, radec, xyz_0, xyz):
    """u to the east, v to the north, w toward `radec` of a station about a reference position, m."""
    import erfa

    utc_1, utc_2, dut = _clock(tile.time)
    tt_1, tt_2 = erfa.taitt(*erfa.utctai(utc_1, utc_2))
    to_earth = erfa.c2t06a(tt_1, tt_2, *erfa.utcut1(utc_1, utc_2, dut), 0.0, 0.0)
    x, y, z = np.moveaxis(np.einsum("tfij,i->tfj", to_earth, (xyz - xyz_0)[:, 0, 0]), -1, 0)
    ra, dec = radec
    east = -x * np.sin(ra) + y * np.cos(ra)
    outward = x * np.cos(ra) + y * np.sin(ra)
    return np.array([east, z * np.cos(dec) - outward * np.sin(dec), z * np.sin(dec) + outward * np.cos(dec)])


@node_type("WSRTCos3Beam", varies=True)
def _cos3_beam(node, tile, factor, lm, offset=None, ellipticity=None):
    """cos^3(factor nu r), `factor` in 1/Hz, r the distance of `lm` from the pointing.

    Beyond the circle where it falls to `clip` the beam keeps that value; with a negative `clip` (as NEWSTAR does) it
    is -clip only where it would be less, and rises again farther out. With ellipticities (e_x, e_y) it is a diagonal
    matrix of beams that are wider along l by 1 + e and narrower along m by 1 - e.
    """
    l, m = lm[..., 0, :, :], lm[..., 1, :, :]  # of one direction, or of each row of a tensor
    if offset is not None:
        l, m = l - offset[0], m - offset[1]
    if ellipticity is None:
        return _cos3(node, tile, factor, l, m)
    x, y = (_cos3(node, tile, factor, l / (1 + e), m / (1 - e)) for e in ellipticity)
    return np.moveaxis(np.array([[x, np.zeros_like(x)], [np.zeros_like(y), y]]), (0, 1), (-4, -3))


def _cos3(node, tile, factor, l, m):
    angle, clip = factor * tile.frequency * np.hypot(l, m), node.definition.record.get("clip")
    if clip is None:
        return np.cos(angle) ** 3
    if clip < 0:
        return np.maximum(np.cos(angle) ** 3, -clip)
    return np.cos(np.minimum(angle, np.arccos(np.cbrt(clip)))) ** 3
