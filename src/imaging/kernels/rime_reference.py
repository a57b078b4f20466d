"""The measurement equation in plain numpy: Smirnov (2011), A&A 527, A106, equation 18, with sources of an extent."""

import numpy as np


def add_rows(vis, jones, brightness, lmn1, shape, uvw, motion, antenna1, antenna2, time, wavenumber, width, even):
    stations, times = uvw.shape[0] and max(antenna1.max(), antenna2.max()) + 1, time.max() + 1
    if jones.ndim == 4:
        jones = jones[..., None, None] * np.eye(2)
    jones = np.broadcast_to(jones, (len(lmn1), max(stations, jones.shape[1]), max(times, jones.shape[2]),
                                    len(wavenumber), 2, 2))  # fmt: skip
    brightness = np.broadcast_to(brightness, (len(lmn1), jones.shape[2], len(wavenumber), 2, 2))
    path, drift = lmn1 @ uvw.T, lmn1 @ motion.T
    u, v = uvw[:, 0], uvw[:, 1]
    size = shape[:, :1] * u**2 + 2 * shape[:, 1:2] * u * v + shape[:, 2:] * v**2
    k = np.exp(1j * path[..., None] * wavenumber - size[..., None] * wavenumber**2 / 2)
    k *= np.sinc(path[..., None] * width / (2 * np.pi)) * np.sinc(drift[..., None] * wavenumber / (2 * np.pi))
    left, right = jones[:, antenna1, time], jones[:, antenna2, time]
    vis += np.einsum("sif,sifab,sifbc,sifdc->ifad", k, left, brightness[:, time], right.conj())


def apply_stations(vis, jones, antenna1, antenna2, time):
    shape = (max(jones.shape[0], antenna1.max() + 1, antenna2.max() + 1), max(jones.shape[1], time.max() + 1))
    jones = np.broadcast_to(jones, (*shape, vis.shape[1], 2, 2))
    left, right = jones[antenna1, time], jones[antenna2, time]
    vis[...] = np.einsum("ifab,ifbc,ifdc->ifad", left, vis, right.conj())


def fill_stations(z, jones, roots, lmn1, uvw, wavenumber, even, t):
    if jones.ndim == 4:
        jones = jones[..., None, None] * np.eye(2)
    at = t if jones.shape[2] > 1 else 0
    roots = np.broadcast_to(roots[:, t if roots.shape[1] > 1 else 0], (len(lmn1), len(wavenumber), 2, 2))
    fringe = np.exp(1j * (lmn1 @ uvw[t].T)[..., None] * wavenumber)
    jones = np.broadcast_to(jones[:, :, at], (*fringe.shape, 2, 2))
    filled = np.einsum("saf,safrm,sfmc->fscar", fringe, jones, roots)
    z[...] = filled.reshape(z.shape)


fill_stations_scalar = fill_stations


def scatter(vis, upper, rows, antenna1, antenna2, first):
    whole = np.triu(upper.swapaxes(1, 2))
    whole = whole + np.triu(whole, 1).conj().swapaxes(1, 2)
    for i in rows:
        p, q = 2 * antenna1[i], 2 * antenna2[i]
        vis[i, first : first + len(upper)] += whole[:, p : p + 2, q : q + 2]
