"""Between the transformed w-planes of the grid and the image: phases exp(-2 pi i w (n - 1)) and kernel corrections.

The planes are equally spaced in w, so their phases are powers of one number: Horner's rule instead of a sine each
(the w-screens of Arras, Reinecke et al. 2021, A&A 646, A58).
"""

from typing import NamedTuple

import numpy as np

from imaging.kernels._jit import njit
from imaging.kernels.gridding import cis

HORNER = 16  # planes between fresh phases: the error of repeated products stays below single precision's


class Sky(NamedTuple):
    """Where pixels are: l = (nx // 2 - x) cell_l + l0, m = (y - ny // 2) cell_m + m0."""

    cell_l: float
    cell_m: float
    l0: float
    m0: float
    shift_n: float  # added to n - 1 to halve its range
    t_scale: float  # |(n - 1 + shift) t_scale| <= 1
    dw: float  # wavelengths between planes


@njit(cache=True, error_model="numpy")
def pixel_row(y, g, sky, correct_u, correct_v, transform_w, t, factor):
    """t = n - 1 + shift, by which w is multiplied, and the kernel correction for a row; both 0 beyond the horizon."""
    ny, nx = correct_v.size, correct_u.size
    m = (y - ny // 2) * sky.cell_m + sky.m0
    for x in range(nx):
        l = (nx // 2 - x) * sky.cell_l + sky.l0
        r2 = l * l + m * m
        n1 = -r2 / (1 + np.sqrt(max(1 - r2, 0.0)))
        t[x] = n1 + sky.shift_n if g.use_w else 0.0
        factor[x] = 1.0 if r2 < 1 else 0.0
    total = np.full(nx, transform_w[0])
    for coefficient in transform_w[1:] if g.use_w else transform_w[:0]:
        for x in range(nx):
            q = t[x] * sky.t_scale
            total[x] = total[x] * (q * q * 2 - 1) + coefficient
    for x in range(nx):
        factor[x] *= correct_u[x] * correct_v[y] / total[x]


@njit(cache=True, error_model="numpy")
def phasors(t, w, c, s):
    """cos and sin of 2 pi w t."""
    real = c.dtype.type
    for x in range(t.size):
        turns = w * t[x]
        c[x], s[x] = cis(turns - np.rint(turns), real)


@njit(cache=True, nogil=True, error_model="numpy")
def planes_to_image(grid, g, sky, correct_u, correct_v, transform_w, plane0_w, y0, y1, image):
    """image (rhs, y, x) += correction * Re sum_p grid_p exp(-2 pi i w_p t), for the rows y0 ... y1.

    grid (rhs, plane, v, 2 u) holds the Fourier transforms of the planes, zero frequency first.
    """
    ny, nx = correct_v.size, correct_u.size
    t, factor = np.empty(nx), np.empty(nx)
    zr, zi, er = np.empty(nx, grid.dtype), np.empty(nx, grid.dtype), np.empty(nx, grid.dtype)
    ei, ar, ai = np.empty(nx, grid.dtype), np.empty(nx, grid.dtype), np.empty(nx, grid.dtype)
    for y in range(y0, y1):
        pixel_row(y, g, sky, correct_u, correct_v, transform_w, t, factor)
        v = (y - ny // 2) % g.nv
        phasors(t, sky.dw, zr, zi)
        for begin in range(0, grid.shape[1], HORNER):
            end = min(begin + HORNER, grid.shape[1])
            phasors(t, plane0_w + begin * sky.dw, er, ei)
            for r in range(grid.shape[0]):
                ar[:], ai[:] = 0, 0
                for p in range(end - 1, begin - 1, -1):
                    add_plane(ar, ai, zr, zi, grid[r, p, v], 0, nx // 2, g.nu - nx // 2)
                    add_plane(ar, ai, zr, zi, grid[r, p, v], nx // 2, nx, -(nx // 2))
                for x in range(nx):
                    image[r, y, x] += factor[x] * (ar[x] * er[x] + ai[x] * ei[x])


@njit(cache=True, error_model="numpy")
def add_plane(ar, ai, zr, zi, cells, x0, x1, shift):
    """a <- a conj(z) + cells[x + shift]: one step of Horner's rule in the planes' phases."""
    for x in range(x0, x1):
        re, im = ar[x] * zr[x] + ai[x] * zi[x], ai[x] * zr[x] - ar[x] * zi[x]
        ar[x], ai[x] = re + cells[2 * (x + shift)], im + cells[2 * (x + shift) + 1]


@njit(cache=True, nogil=True, error_model="numpy")
def image_to_planes(image, g, sky, correct_u, correct_v, transform_w, plane0_w, y0, y1, grid):
    """grid_p = correction * image * exp(+2 pi i w_p t), for the rows y0 ... y1: the transpose of `planes_to_image`."""
    ny, nx = correct_v.size, correct_u.size
    t, factor = np.empty(nx), np.empty(nx)
    zr, zi, er = np.empty(nx, grid.dtype), np.empty(nx, grid.dtype), np.empty(nx, grid.dtype)
    ei, ar, ai = np.empty(nx, grid.dtype), np.empty(nx, grid.dtype), np.empty(nx, grid.dtype)
    for y in range(y0, y1):
        pixel_row(y, g, sky, correct_u, correct_v, transform_w, t, factor)
        v = (y - ny // 2) % g.nv
        phasors(t, sky.dw, zr, zi)
        for begin in range(0, grid.shape[1], HORNER):
            end = min(begin + HORNER, grid.shape[1])
            phasors(t, plane0_w + begin * sky.dw, er, ei)
            for r in range(grid.shape[0]):
                for x in range(nx):
                    value = factor[x] * image[r, y, x]
                    ar[x], ai[x] = value * er[x], value * ei[x]
                for p in range(begin, end):
                    take_plane(ar, ai, zr, zi, grid[r, p, v], 0, nx // 2, g.nu - nx // 2)
                    take_plane(ar, ai, zr, zi, grid[r, p, v], nx // 2, nx, -(nx // 2))


@njit(cache=True, error_model="numpy")
def take_plane(ar, ai, zr, zi, cells, x0, x1, shift):
    """cells[x + shift] <- a, then a <- a z."""
    for x in range(x0, x1):
        re, im = ar[x], ai[x]
        cells[2 * (x + shift)], cells[2 * (x + shift) + 1] = re, im
        ar[x], ai[x] = re * zr[x] - im * zi[x], re * zi[x] + im * zr[x]
