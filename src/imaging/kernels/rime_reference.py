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
    if jones.ndim < 5:
        jones = (jones[..., None] if jones.ndim == 3 else jones)[..., None] * np.eye(2)
    shape = (max(jones.shape[0], antenna1.max() + 1, antenna2.max() + 1), max(jones.shape[1], time.max() + 1))
    jones = np.broadcast_to(jones, (*shape, vis.shape[1], 2, 2))
    left, right = jones[antenna1, time], jones[antenna2, time]
    vis[...] = np.einsum("ifab,ifbc,ifdc->ifad", left, vis, right.conj())
