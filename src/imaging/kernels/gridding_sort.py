"""Where samples fall on a (u, v, w) grid, and the list of them by tile and w-plane.

Runs of neighbouring channels that share a tile and a plane are listed, not samples: the list is short, and what it
points to is read as it lies in memory.
"""

from typing import NamedTuple

import numpy as np

from imaging.kernels._jit import njit
from imaging.kernels.gridding_taps import TILE


class Geometry(NamedTuple):
    """Where samples fall: all lengths in wavelengths, offsets as direction cosines."""

    scale_u: float  # cycles per pixel = scale * wavelengths
    scale_v: float
    nu: int  # cells of the grid, multiples of 2 * TILE
    nv: int
    use_w: bool
    w_min: float  # of the samples folded to w >= 0
    dw_inverse: float
    shift_l: float  # samples are rotated by exp(-2 pi i (u l + v m + w n)) of this shift
    shift_m: float
    shift_n: float


@njit(cache=True, inline="always")
def cell_of(wavelengths, scale, n):
    """The cell just above a coordinate on the periodic grid, and how far above: 0 <= distance <= 1."""
    cycles = wavelengths * scale
    position = (cycles - np.floor(cycles)) * n
    cell = np.ceil(position)
    return (0 if cell >= n else int(cell)), cell - position


@njit(cache=True, inline="always")
def sign_of(u, w, g):
    """-1 for a sample used as its conjugate at (-u, -v, -w): all w >= 0, or without w half the grid's columns."""
    return -1.0 if (w < 0 if g.use_w else u * g.scale_u < 0) else 1.0


@njit(cache=True, error_model="numpy")
def keys_of_row(u, v, w, freq_c, g, key):
    """plane << 32 | tile of a row's samples."""
    tiles_u = g.nu // TILE
    for chan in range(freq_c.size):
        cell_u, _ = cell_of(u * freq_c[chan], g.scale_u, g.nu)
        cell_v, _ = cell_of(v * freq_c[chan], g.scale_v, g.nv)
        key[chan] = (cell_v // TILE) * tiles_u + cell_u // TILE
    if g.use_w:
        for chan in range(freq_c.size):
            plane = max(np.ceil((w * freq_c[chan] - g.w_min) * g.dw_inverse), 0.0)
            key[chan] += np.int64(plane) << 32


@njit(cache=True, nogil=True, error_model="numpy")
def list_runs(uvw, freq_c, mask, g, row0, row1, count):
    """Runs of neighbouring channels with the same tile and w-plane in rows row0 ... row1.

    Returns (run, 5): row, first channel, end channel, first w-plane, tile. `count` (tile,) is added to. `mask`
    (row, chan), or of size 0, is true where a sample is used.
    """
    nchan, found = freq_c.size, 0
    runs = np.empty((1024 + nchan, 5), np.int32)
    key = np.empty(nchan + 1, np.int64)
    for row in range(row0, row1):
        if found + nchan > runs.shape[0]:
            before = runs
            runs = np.empty((2 * before.shape[0] + nchan, 5), np.int32)
            runs[:found] = before[:found]
        sign = sign_of(uvw[row, 0], uvw[row, 2], g)
        keys_of_row(uvw[row, 0] * sign, uvw[row, 1] * sign, uvw[row, 2] * sign, freq_c, g, key)
        key[nchan] = -1
        if mask.size > 0:
            for chan in range(nchan):
                if not mask[row, chan]:
                    key[chan] = -1
        begin, before_key = 0, np.int64(-1)
        for chan in range(nchan + 1):
            if key[chan] != before_key:
                if before_key >= 0:
                    tile = before_key & 0xFFFFFFFF
                    runs[found, 0], runs[found, 1], runs[found, 2] = row, begin, chan
                    runs[found, 3], runs[found, 4] = before_key >> 32, tile
                    count[tile] += 1
                    found += 1
                begin, before_key = chan, key[chan]
    return runs[:found]


@njit(cache=True, nogil=True, error_model="numpy")
def runs_by_tile(found, cursor, runs):
    """Copy `found` (run, 5) to `runs` (run, 4), each to where `cursor` of its tile is."""
    for i in range(found.shape[0]):
        at = cursor[found[i, 4]]
        cursor[found[i, 4]] = at + 1
        for j in range(4):
            runs[at, j] = found[i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def sort_tiles(runs, starts, tile0, tile1, load, planes_used, tiles_u, depth):
    """Sort the runs of each tile by w-plane (stable), count its samples, note which tile columns each plane uses."""
    nplanes = planes_used.shape[0]
    counts = np.zeros(nplanes + 1, np.int64)
    for tile in range(tile0, tile1):
        part = runs[starts[tile] : starts[tile + 1]]
        low, high, in_order = nplanes, 0, True
        for i in range(part.shape[0]):
            plane = part[i, 3]
            low, high = min(low, plane), max(high, plane)
            in_order = in_order and (i == 0 or part[i - 1, 3] <= plane)
            load[tile] += part[i, 2] - part[i, 1]
            for p in range(plane, plane + depth):
                planes_used[p, tile % tiles_u] = True
        if in_order:
            continue
        counts[low : high + 2] = 0
        for i in range(part.shape[0]):
            counts[part[i, 3] + 1] += 1
        for plane in range(low, high + 1):
            counts[plane + 1] += counts[plane]
        before = part.copy()
        for i in range(part.shape[0]):
            at = counts[before[i, 3]]
            counts[before[i, 3]] = at + 1
            part[at, 0], part[at, 1], part[at, 2], part[at, 3] = before[i, 0], before[i, 1], before[i, 2], before[i, 3]


@njit(cache=True, error_model="numpy")
def first_run(runs, begin, end, plane):
    """Index of the first run whose w-plane is at least `plane`."""
    while begin < end:
        middle = (begin + end) // 2
        if runs[middle, 3] < plane:
            begin = middle + 1
        else:
            end = middle
    return begin
