"""The plain version of `weighting`: Briggs (1995), section 3, as numpy says it."""

import numpy as np


def _cells(grid, uvw, wavenumber, plane, scale_u, scale_v, shift, sign):
    planes, nv, nu = grid.shape
    i = np.floor(sign * scale_u * uvw[:, :1] * wavenumber + nu // 2 + shift).astype(int)
    j = np.floor(sign * scale_v * uvw[:, 1:2] * wavenumber + nv // 2 + shift).astype(int)
    inside = (i >= 0) & (i < nu) & (j >= 0) & (j < nv) & (plane >= 0)
    return i, j, inside


def add_density(grid, gridded, uvw, weight, wavenumber, plane, scale_u, scale_v, shift, box):
    planes, nv, nu = grid.shape
    p = np.broadcast_to(plane, weight.shape)
    for sign in (1, -1):
        i, j, inside = _cells(grid, uvw, wavenumber, plane, scale_u, scale_v, shift, sign)
        use = inside & (weight > 0)
        np.add.at(gridded, p[use], weight[use])
        for dj in range(-box, box + 1):
            for di in range(-box, box + 1):
                a, b = i + di, j + dj
                near = use & (a >= 0) & (a < nu) & (b >= 0) & (b < nv)
                np.add.at(grid, (p[near], b[near], a[near]), weight[near])


def density_at(out, grid, uvw, wavenumber, plane, scale_u, scale_v, shift):
    i, j, inside = _cells(grid, uvw, wavenumber, plane, scale_u, scale_v, shift, 1)
    out[...] = 0
    p = np.broadcast_to(plane, out.shape)
    out[inside] = grid[p[inside], j[inside], i[inside]]
