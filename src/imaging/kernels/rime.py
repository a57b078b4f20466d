"""The measurement equation's inner loops: sums over sources of J_p K_p B K_q^H J_q^H (Smirnov 2011, A&A 527, A106).

Arrays, complex128 and C order; an axis of 1 does not depend on it:
jones (source, station, time, chan, 2, 2), or scalar without the last two axes; brightness and its roots
(source, time, chan, 2, 2); lmn1 (source, 3): l, m, n - 1; uvw in m; wavenumber (chan,) = 2 pi nu/c.
Fringes of evenly spaced channels (`even`) follow from one another, and are begun anew every RENEW channels.
"""

import numpy as np

from imaging.kernels._jit import njit

RENEW = 16


@njit(cache=True, nogil=True, error_model="numpy")
def _cis(angle):
    return complex(np.cos(angle), np.sin(angle))


@njit(cache=True, nogil=True, error_model="numpy")
def fill_stations(z, jones, roots, lmn1, uvw, wavenumber, even, t):
    """z (chan, 2 source, 2 station) = J_p K_p B^(1/2) at time `t`, uvw (time, station, 3)."""
    nchan = len(wavenumber)
    step = wavenumber[nchan - 1] - wavenumber[0]
    step = step / (nchan - 1) if nchan > 1 else 0.0
    sources, stations, tj, fj = jones.shape[0] > 1, jones.shape[1] > 1, jones.shape[2] > 1, jones.shape[3] > 1
    tb, fb = roots.shape[1] > 1, roots.shape[2] > 1
    for s in range(len(lmn1)):
        for a in range(uvw.shape[1]):
            path = uvw[t, a, 0] * lmn1[s, 0] + uvw[t, a, 1] * lmn1[s, 1] + uvw[t, a, 2] * lmn1[s, 2]
            turn, fringe = _cis(path * step), 1 + 0j
            for f in range(nchan):
                fringe = fringe * turn if even and f % RENEW else _cis(path * wavenumber[f])
                j = jones[s * sources, a * stations, t * tj, f * fj]
                b = roots[s, t * tb, f * fb]
                for r in range(2):
                    j0, j1 = j[r, 0] * fringe, j[r, 1] * fringe
                    z[f, 2 * s, 2 * a + r] = j0 * b[0, 0] + j1 * b[1, 0]
                    z[f, 2 * s + 1, 2 * a + r] = j0 * b[0, 1] + j1 * b[1, 1]


@njit(cache=True, nogil=True, error_model="numpy")
def fill_stations_scalar(z, jones, roots, lmn1, uvw, wavenumber, even, t):
    """As `fill_stations`, for scalar jones."""
    nchan = len(wavenumber)
    step = wavenumber[nchan - 1] - wavenumber[0]
    step = step / (nchan - 1) if nchan > 1 else 0.0
    sources, stations, tj, fj = jones.shape[0] > 1, jones.shape[1] > 1, jones.shape[2] > 1, jones.shape[3] > 1
    tb, fb = roots.shape[1] > 1, roots.shape[2] > 1
    for s in range(len(lmn1)):
        for a in range(uvw.shape[1]):
            path = uvw[t, a, 0] * lmn1[s, 0] + uvw[t, a, 1] * lmn1[s, 1] + uvw[t, a, 2] * lmn1[s, 2]
            turn, fringe = _cis(path * step), 1 + 0j
            for f in range(nchan):
                fringe = fringe * turn if even and f % RENEW else _cis(path * wavenumber[f])
                j = jones[s * sources, a * stations, t * tj, f * fj] * fringe
                b = roots[s, t * tb, f * fb]
                for r in range(2):
                    z[f, 2 * s, 2 * a + r] = j * b[r, 0]
                    z[f, 2 * s + 1, 2 * a + r] = j * b[r, 1]


@njit(cache=True, nogil=True)
def scatter(vis, upper, rows, antenna1, antenna2, first):
    """Add to vis (row, chan, 2, 2), from channel `first` on, at `rows` of one time, a product z^T z^* (chan, 2 A, 2 A).

    Of each Hermitian product only the triangle with column >= row is read, and it is stored by columns.
    """
    for i in rows:
        p, q = 2 * antenna1[i], 2 * antenna2[i]
        for f in range(len(upper)):
            for a in range(2):
                for b in range(2):
                    if p + a <= q + b:
                        vis[i, first + f, a, b] += upper[f, q + b, p + a]
                    else:
                        vis[i, first + f, a, b] += np.conj(upper[f, p + a, q + b])


@njit(cache=True, nogil=True, error_model="numpy")
def _sinc(x):
    return np.sin(x) / x if abs(x) > 1e-9 else 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def add_rows(vis, jones, brightness, lmn1, shape, uvw, motion, antenna1, antenna2, time, wavenumber, width, even):
    """Add to vis (row, chan, 2, 2) sources that a product over stations cannot make.

    shape (source, 3): second moments ll, lm, mm of a Gaussian in rad^2, 0 for a point. motion (row, 3): the change of
    uvw during the integration, width (chan,) = 2 pi dnu/c: averaging over both multiplies by sinc(phase change / 2).
    """
    nchan = len(wavenumber)
    step = wavenumber[nchan - 1] - wavenumber[0]
    step = step / (nchan - 1) if nchan > 1 else 0.0
    sources, stations, tj, fj = jones.shape[0] > 1, jones.shape[1] > 1, jones.shape[2] > 1, jones.shape[3] > 1
    tb, fb = brightness.shape[1] > 1, brightness.shape[2] > 1
    for i in range(len(uvw)):
        u, v, w = uvw[i]
        p, q, t = antenna1[i], antenna2[i], time[i]
        for s in range(len(lmn1)):
            path = u * lmn1[s, 0] + v * lmn1[s, 1] + w * lmn1[s, 2]
            drift = motion[i, 0] * lmn1[s, 0] + motion[i, 1] * lmn1[s, 1] + motion[i, 2] * lmn1[s, 2]
            size = shape[s, 0] * u * u + 2 * shape[s, 1] * u * v + shape[s, 2] * v * v
            turn, fringe = _cis(path * step), 1 + 0j
            for f in range(nchan):
                fringe = fringe * turn if even and f % RENEW else _cis(path * wavenumber[f])
                k = fringe
                if size > 0:
                    k *= np.exp(-0.5 * size * wavenumber[f] ** 2)
                if width[f] != 0:
                    k *= _sinc(0.5 * path * width[f])
                if drift != 0:
                    k *= _sinc(0.5 * drift * wavenumber[f])
                left = jones[s * sources, p * stations, t * tj, f * fj]
                right = jones[s * sources, q * stations, t * tj, f * fj]
                b = brightness[s, t * tb, f * fb]
                for r in range(2):
                    x = (left[r, 0] * b[0, 0] + left[r, 1] * b[1, 0]) * k
                    y = (left[r, 0] * b[0, 1] + left[r, 1] * b[1, 1]) * k
                    vis[i, f, r, 0] += x * np.conj(right[0, 0]) + y * np.conj(right[0, 1])
                    vis[i, f, r, 1] += x * np.conj(right[1, 0]) + y * np.conj(right[1, 1])


@njit(cache=True, nogil=True)
def apply_stations(vis, jones, antenna1, antenna2, time):
    """vis (row, chan, 2, 2) becomes J_p vis J_q^H in place; jones (station, time, chan, 2, 2)."""
    stations, tj, fj = jones.shape[0] > 1, jones.shape[1] > 1, jones.shape[2] > 1
    for i in range(vis.shape[0]):
        p, q, t = antenna1[i] * stations, antenna2[i] * stations, time[i] * tj
        for f in range(vis.shape[1]):
            left, right, x = jones[p, t, f * fj], jones[q, t, f * fj], vis[i, f]
            a = left[0, 0] * x[0, 0] + left[0, 1] * x[1, 0]
            b = left[0, 0] * x[0, 1] + left[0, 1] * x[1, 1]
            c = left[1, 0] * x[0, 0] + left[1, 1] * x[1, 0]
            d = left[1, 0] * x[0, 1] + left[1, 1] * x[1, 1]
            x[0, 0] = a * np.conj(right[0, 0]) + b * np.conj(right[0, 1])
            x[0, 1] = a * np.conj(right[1, 0]) + b * np.conj(right[1, 1])
            x[1, 0] = c * np.conj(right[0, 0]) + d * np.conj(right[0, 1])
            x[1, 1] = c * np.conj(right[1, 0]) + d * np.conj(right[1, 1])
