"""The measurement equation as it is written: direct Fourier sums, for tests and for images beyond doubt.

V(u, v, w) = sum over pixels of B exp(+2 pi i (u l + v m + w (n - 1)) nu / c)   (Thompson, Moran and Swenson 2017, 3.1)
"""

import numpy as np

C = 299792458.0


def fringes(uvw, freq, shape, cell, wterm, centre):
    """Yield row, channel and exp(+2 pi i ...) on the (y, x) pixel grid; 0 beyond the horizon."""
    l = (shape[1] // 2 - np.arange(shape[1])) * cell[0] + centre[0]
    m = ((np.arange(shape[0]) - shape[0] // 2) * cell[1] + centre[1])[:, None]
    r2 = l**2 + m**2
    n1 = -r2 / (1 + np.sqrt(np.maximum(1 - r2, 0))) if wterm else 0.0
    for row, chan in np.ndindex(len(uvw), len(freq)):
        u, v, w = uvw[row] * (freq[chan] / C)
        yield row, chan, np.where(r2 < 1, np.exp(2j * np.pi * (u * l + v * m + w * n1)), 0)


def vis2dirty(uvw, freq, vis, weight, shape, cell, *, wterm=True, centre=(0.0, 0.0)):
    """dirty (plane, y, x) = sum of w Re(V exp(-2 pi i ...)); vis, weight (plane, row, chan); weight 0 = flagged."""
    dirty = np.zeros((len(vis), *shape))
    good = np.where(weight != 0, vis, 0) * weight
    for row, chan, fringe in fringes(uvw, freq, shape, cell, wterm, centre):
        dirty += (good[:, row, chan, None, None] * fringe.conj()).real
    return dirty


def dirty2vis(uvw, freq, image, cell, *, wterm=True, centre=(0.0, 0.0)):
    """vis (plane, row, chan) = sum over pixels of image (plane, y, x) exp(+2 pi i ...)."""
    vis = np.zeros((len(image), len(uvw), len(freq)), complex)
    for row, chan, fringe in fringes(uvw, freq, image.shape[1:], cell, wterm, centre):
        vis[:, row, chan] = (image * fringe).sum(axis=(1, 2))
    return vis
