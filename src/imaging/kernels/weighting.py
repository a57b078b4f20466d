"""Weight density of the samples on the uv grid (Briggs 1995, section 3), and its value at each sample.

Sums are made in the order of the samples, by one thread: they do not depend on how many there are.
"""

import math

from imaging.kernels._jit import njit


@njit(cache=True)
def add_density(grid, gridded, uvw, weight, wavenumber, plane, scale_u, scale_v, shift, box):
    """Add every sample's weight at its cell and at that of (-u, -v), each to a box of (2 box + 1)² cells.

    grid (plane, v, u) float64; gridded (plane,) float64 grows by the weight of what fell inside; uvw (row, 3) m;
    weight (row, chan); wavenumber (chan,) 1/m; plane (chan,) int, negative for none. The cell of u is
    floor(scale_u u + nu/2 + shift), u in wavelengths and scale_u = nu cell. Boxes are cut at the edge.
    """
    planes, nv, nu = grid.shape
    for row in range(uvw.shape[0]):
        for chan in range(wavenumber.shape[0]):
            w = weight[row, chan]
            p = plane[chan]
            if w <= 0 or p < 0:
                continue
            x = scale_u * uvw[row, 0] * wavenumber[chan]
            y = scale_v * uvw[row, 1] * wavenumber[chan]
            for sign in (1.0, -1.0):
                i = int(math.floor(sign * x + nu // 2 + shift))
                j = int(math.floor(sign * y + nv // 2 + shift))
                if i < 0 or i >= nu or j < 0 or j >= nv:
                    continue
                gridded[p] += w
                for b in range(max(j - box, 0), min(j + box + 1, nv)):
                    for a in range(max(i - box, 0), min(i + box + 1, nu)):
                        grid[p, b, a] += w


@njit(cache=True)
def density_at(out, grid, uvw, wavenumber, plane, scale_u, scale_v, shift):
    """The density in each sample's cell to out (row, chan); 0 for a sample outside the grid or of no plane."""
    planes, nv, nu = grid.shape
    for row in range(uvw.shape[0]):
        for chan in range(wavenumber.shape[0]):
            out[row, chan] = 0.0
            p = plane[chan]
            if p < 0:
                continue
            i = int(math.floor(scale_u * uvw[row, 0] * wavenumber[chan] + nu // 2 + shift))
            j = int(math.floor(scale_v * uvw[row, 1] * wavenumber[chan] + nv // 2 + shift))
            if i >= 0 and i < nu and j >= 0 and j < nv:
                out[row, chan] = grid[p, j, i]
