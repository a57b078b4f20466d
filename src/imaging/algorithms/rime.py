"""Visibilities of many sources through Jones matrices, by the faster of two ways that are both exact.

V_pq = sum_s J_ps K_ps B_s K_qs^H J_qs^H (Smirnov 2011, A&A 527, A106). For points the sum is a product of matrices,
V = Z Z^H at each time and frequency with Z = [J_ps K_ps B_s^(1/2)], as in matvis (Kittiwisit et al. 2025): BLAS does
it. Gaussians, smeared sources and baselines whose uvw are not differences of stations' go row by row.
"""

from __future__ import annotations

import numpy as np

from imaging.algorithms import jones as algebra
from imaging.units import SPEED_OF_LIGHT

CACHE = 2**21  # bytes of Z at a time
CHANNELS = 16  # the fringe's recurrence begins anew as often
CONSISTENT = 1e-6  # m: uvw this near to differences of stations' coordinates are such differences


def brightness(stokes, feeds: str = "linear") -> np.ndarray:
    """Matrices (…, 2, 2) of stokes (…, 4) I, Q, U, V: XX = I + Q, XY = U + iV; RR = I + V, RL = Q + iU."""
    i, q, u, v = np.moveaxis(np.asarray(stokes, float), -1, 0)
    if feeds == "circular":
        q, u, v = v, q, u
    made = np.empty((*i.shape, 2, 2), complex)
    made[..., 0, 0], made[..., 1, 1] = i + q, i - q
    made[..., 0, 1], made[..., 1, 0] = u + 1j * v, u - 1j * v
    return made


def roots(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hermitian matrix (…, 2, 2) = R diag(sign) R^H: R, and the signs (…, 2) of its two columns.

    Columns are eigenvectors times the root of |eigenvalue|: any brightness has them, polarised by more than its
    intensity or negative too.
    """
    mean, z = (matrix[..., 0, 0] + matrix[..., 1, 1]).real / 2, (matrix[..., 0, 0] - matrix[..., 1, 1]).real / 2
    corner = matrix[..., 1, 0]
    length = np.sqrt(z**2 + np.abs(corner) ** 2)
    polarised = length > 0
    z, corner = np.where(polarised, z / np.where(polarised, length, 1), 1.0), corner / np.where(polarised, length, 1)
    upper = z >= 0
    scale = 1 / np.sqrt(2 * (1 + np.abs(z)))
    first = np.where(upper, 1 + z, np.conj(corner)) * scale
    second = np.where(upper, corner, 1 - z) * scale
    values = np.stack([mean + length, mean - length], -1)
    made = np.empty(matrix.shape, complex)
    made[..., 0, 0], made[..., 1, 0] = first, second
    made[..., 0, 1], made[..., 1, 1] = -np.conj(second), np.conj(first)
    made *= np.sqrt(np.abs(values))[..., None, :]
    return made, np.sign(values)


def station_uvw(uvw, antenna1, antenna2, time, stations: int) -> tuple[np.ndarray, float]:
    """Coordinates (time, station, 3) m with uvw = those of antenna1 less those of antenna2, and the largest misfit.

    Least squares, time by time; each connected group of stations has its mean at 0. `time` (row,) counts from 0.
    """
    found, misfit, solved = np.zeros((int(time.max()) + 1 if len(time) else 0, stations, 3)), 0.0, {}
    order = np.argsort(time, kind="stable")
    starts = np.searchsorted(time[order], np.arange(len(found) + 1))
    for t in range(len(found)):
        rows = order[starts[t] : starts[t + 1]]
        p, q = antenna1[rows], antenna2[rows]
        key = (p.tobytes(), q.tobytes())
        if key not in solved:
            incidence = np.zeros((len(rows), stations))
            incidence[np.arange(len(rows)), p] += 1
            incidence[np.arange(len(rows)), q] -= 1
            solved[key] = np.linalg.pinv(incidence)
        found[t] = solved[key] @ uvw[rows]
        misfit = max(misfit, float(np.abs(found[t, p] - found[t, q] - uvw[rows]).max(initial=0.0)))
    return found, misfit


def add_sources(
    vis, lmn1, brightness, jones, *, antenna1, antenna2, time, uvw, freq,
    stations_uvw=None, shape=None, motion=None, width=None,
):  # fmt: skip
    """Add to vis (row, chan, 2, 2) complex128 the visibilities of sources.

    lmn1 (source, 3): l, m, n - 1. brightness (source, time | 1, chan | 1, 2, 2) Jy. jones of any kind
    (`algorithms.jones`). antenna1, antenna2, time (row,): indices into the axes of jones. uvw (row, 3) m, freq (chan,)
    Hz. stations_uvw (time, station, 3) allows the product over stations; without it all goes by rows. shape (source,
    3): second moments ll, lm, mm of Gaussians, rad^2. motion (row, 3) m and width (chan,) Hz: what is averaged over.
    """
    lmn1, wavenumber = np.ascontiguousarray(lmn1, float), 2 * np.pi * np.asarray(freq, float) / SPEED_OF_LIGHT
    if not len(lmn1) or not vis.size:
        return
    smeared = motion is not None or width is not None
    extended = np.zeros(len(lmn1), bool) if shape is None else np.asarray(shape).any(1)
    by_rows = extended | (smeared or stations_uvw is None)
    if not by_rows.all():  # what is not Hermitian has no root
        by_rows |= (
            np.abs(brightness - brightness.conj().swapaxes(3, 4)).max((1, 2, 3, 4)) > 1e-15 * np.abs(brightness).max()
        )
    rows = {"antenna1": antenna1, "antenna2": antenna2, "time": time}
    if not by_rows.all():
        _by_stations(
            vis, lmn1[~by_rows], brightness[~by_rows], _some(jones, ~by_rows), stations_uvw, wavenumber, **rows
        )
    if by_rows.any():
        from imaging.kernels import rime

        moments = np.zeros((len(lmn1), 3)) if shape is None else np.asarray(shape, float)
        motion = np.zeros((len(uvw), 3)) if motion is None else np.ascontiguousarray(motion, float)
        change = np.zeros(len(freq)) if width is None else 2 * np.pi * np.asarray(width, float) / SPEED_OF_LIGHT
        rime.add_rows(vis, _complex(algebra.as_kind(_some(jones, by_rows), "full")), _complex(brightness[by_rows]),
                      lmn1[by_rows], moments[by_rows], np.ascontiguousarray(uvw, float), motion, antenna1, antenna2,
                      time, wavenumber, change, evenly_spaced(wavenumber))  # fmt: skip


def _by_stations(vis, lmn1, brightness, jones, stations_uvw, wavenumber, antenna1, antenna2, time):
    from scipy.linalg.blas import zgemm, zherk

    from imaging.kernels import rime

    stations = stations_uvw.shape[1]
    scalar = algebra.kind_of(jones) == "scalar"
    fill = rime.fill_stations_scalar if scalar else rime.fill_stations
    jones = _complex(jones if scalar else algebra.as_kind(jones, "full"))
    root, sign = roots(brightness)
    root, even = _complex(root), evenly_spaced(wavenumber)
    block = int(np.clip(CACHE // (CHANNELS * 4 * 16 * stations), 16, 256))
    order = np.argsort(time, kind="stable")
    starts = np.searchsorted(time[order], np.arange(len(stations_uvw) + 1))
    for t in range(len(stations_uvw)):
        rows = order[starts[t] : starts[t + 1]]
        if not len(rows):
            continue
        for f in range(0, len(wavenumber), CHANNELS):
            chans = slice(f, min(f + CHANNELS, len(wavenumber)))
            number = chans.stop - f
            product = np.zeros((number, 2 * stations, 2 * stations), complex)
            for s in range(0, len(lmn1), block):
                some = slice(s, s + block)
                z = np.empty((number, 2 * len(lmn1[some]), 2 * stations), complex)
                fill(z, _cut(_some(jones, some), 2, t, chans), _cut(root[some], 1, t, chans), lmn1[some], stations_uvw,
                     wavenumber[chans], even, t)  # fmt: skip
                signs = _cut(sign[some], 1, t, chans)[:, 0]
                for k in range(number):
                    column, each = z[k].T, signs[:, k if signs.shape[1] > 1 else 0].ravel()
                    target = product[k].T
                    if (each >= 0).all():
                        zherk(1.0, column, beta=1.0, c=target, overwrite_c=1)
                    else:
                        zgemm(1.0, column * each, column, trans_b=2, beta=1.0, c=target, overwrite_c=1)
            rime.scatter(vis, product, rows, antenna1, antenna2, f)


def evenly_spaced(wavenumber: np.ndarray) -> bool:
    line = np.linspace(wavenumber[0], wavenumber[-1], len(wavenumber))
    return bool(np.abs(wavenumber - line).max() <= 4 * np.finfo(float).eps * wavenumber.max())


def _some(jones, which):
    """Some of the sources; no copy where it is all of them."""
    if jones.shape[0] == 1 or (isinstance(which, np.ndarray) and which.all()):
        return jones
    return jones[which]


def _cut(array, axis, t, chans):
    """One time, at `axis`, and some channels, after it, where these are longer than 1; C order."""
    time = slice(None) if array.shape[axis] == 1 else slice(t, t + 1)
    chans = slice(None) if array.shape[axis + 1] == 1 else chans
    return np.ascontiguousarray(array[(slice(None),) * axis + (time, chans)])


def _complex(array):
    return np.require(array, complex, ["C", "W"])
