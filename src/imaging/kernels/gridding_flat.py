"""Spread visibilities onto a (u, v) grid tile by tile, and back, where there is no w-term.

As gridding.py, whose one plane it fills, but many samples share few cells here: those of a block are ordered by where
they start, and each bin's cells stay in registers while its samples are added (gridding_bins.py).
"""

import numpy as np

from imaging.kernels._jit import njit
from imaging.kernels.gridding import AHEAD, MARGIN, call_for, fetch, give_back, place, rotations, turn
from imaging.kernels.gridding_bins import GROUP, LANES, ROW, both_taps, gather_bin, spread_bin
from imaging.kernels.gridding_runs import scale
from imaging.kernels.gridding_sort import sign_of
from imaging.kernels.gridding_taps import TILE, prefetch

BLOCK = 256  # samples placed at a time
PITCH = BLOCK + MARGIN
BINS = TILE * TILE // GROUP


@njit(cache=True, error_model="numpy")
def arrange(cell_u, cell_v, count, order, shift, ends):
    """Order the samples of a block by bin (stable): ends[b] is where bin b ends; shift[k] as in `spread_bin`."""
    ends[:] = 0
    for k in range(count):
        ends[cell_v[k] * (TILE // GROUP) + cell_u[k] // GROUP] += 1
    total = 0
    for b in range(BINS):
        total, ends[b] = total + ends[b], total
    for k in range(count):
        b = cell_v[k] * (TILE // GROUP) + cell_u[k] // GROUP
        order[ends[b]] = k
        ends[b] += 1
        shift[k] = cell_u[k] % GROUP


@njit(cache=True, error_model="numpy")
def move_tile(grid, buffer, start, row0, column0, support, nu, onto_grid):
    """Add a tile's buffer to the grid and clear it, or load it from the grid, which is periodic."""
    size, nv, imaginary = TILE + support, grid.shape[0], TILE + GROUP
    before, inside = min(max(-column0, 0), size), min(size, nu - column0)
    for j in range(size):
        y, at = (row0 + j) % nv, start + j * ROW
        for begin, end, wrap in ((0, before, nu), (before, inside, 0), (inside, size, -nu)):
            if end > begin:
                cells = grid[y, 2 * (column0 + begin + wrap) : 2 * (column0 + end + wrap)]
                re, im = buffer[at + begin : at + end], buffer[at + imaginary + begin : at + imaginary + end]
                if onto_grid:
                    for i in range(re.size):
                        cells[2 * i] += re[i]
                        cells[2 * i + 1] += im[i]
                    re[:] = 0
                    im[:] = 0
                else:
                    for i in range(re.size):
                        re[i], im[i] = cells[2 * i], cells[2 * i + 1]


@njit(cache=True, nogil=True, error_model="numpy")
def grid_tiles(support, coefficients, g, uvw, freq_c, vis, weight, psf, runs, starts, work, grid):
    """Spread the samples of some tiles onto the plane `grid` (rhs, v, 2 u); see gridding.grid_tiles.

    coefficients as of `both_taps`; work (item, 2): first and end tile.
    """
    nrhs, half, nchan = grid.shape[0], len(support) // 2, freq_c.size - MARGIN
    size = (TILE + GROUP) * ROW
    buffer = np.zeros(nrhs * size, coefficients.dtype)
    u, v = np.empty(PITCH), np.empty(PITCH)
    cell_u, cell_v = np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp)
    zu, zv = np.empty(BLOCK, coefficients.dtype), np.empty(BLOCK, coefficients.dtype)
    c, s = np.empty(BLOCK, coefficients.dtype), np.empty(BLOCK, coefficients.dtype)
    re, im = np.zeros(nrhs * PITCH, coefficients.dtype), np.zeros(nrhs * PITCH, coefficients.dtype)
    order, shift, ends = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32), np.empty(BINS, np.int64)
    taps = np.empty(BLOCK * LANES, coefficients.dtype)
    rotated = g.shift_l != 0 or g.shift_m != 0
    nvis, nweight = vis.shape[0], weight.shape[0]
    flat_vis, flat_weight = vis.reshape(-1), weight.reshape(-1)
    for item in range(work.shape[0]):
        tile, run, end_run = work[item, 0], starts[work[item, 0]], starts[work[item, 0] + 1]
        origin_v, origin_u = (tile // (g.nu // TILE)) * TILE, (tile % (g.nu // TILE)) * TILE
        chan = -1
        while run < end_run:
            count = 0
            while count < BLOCK and run < end_run:
                row, end_chan = runs[run, 0], runs[run, 2]
                chan = max(chan, runs[run, 1])
                n = min(end_chan - chan, BLOCK - count)
                sign = sign_of(uvw[row, 0], uvw[row, 2], g)
                scale(u, count, n, uvw[row, 0] * sign, freq_c, chan)
                scale(v, count, n, uvw[row, 1] * sign, freq_c, chan)
                fetch(flat_vis, flat_weight, nvis, nweight, psf, uvw.shape[0], nchan, row, chan, sign, n, re, im, PITCH,
                      count)  # fmt: skip
                count, chan = count + n, chan + n
                if chan == end_chan:
                    run, chan = run + 1, -1
                    prefetch(uvw, 3 * runs[min(run + AHEAD, runs.shape[0] - 1), 0])
                    call_for(runs, run + AHEAD, nchan, uvw.shape[0], vis)
                    call_for(runs, run + AHEAD, nchan, uvw.shape[0], weight)
            place(u, g.scale_u, g.nu, origin_u, count, cell_u, zu)
            place(v, g.scale_v, g.nv, origin_v, count, cell_v, zv)
            if rotated:
                rotations(u, v, u, g, count, c, s)
                for r in range(nrhs):
                    turn(re, im, r * PITCH, c, s, -1, count)
            arrange(cell_u, cell_v, count, order, shift, ends)
            for k in range(count):
                both_taps(support, coefficients, zu[k], zv[k], taps, k * LANES)
            first = 0
            for b in range(BINS):
                if ends[b] > first:
                    start = b // (TILE // GROUP) * ROW + b % (TILE // GROUP) * GROUP
                    for r in range(nrhs):
                        spread_bin(support, buffer, r * size + start, order, shift, first, ends[b], taps, re, im,
                                   r * PITCH)  # fmt: skip
                    first = ends[b]
        for r in range(nrhs):
            move_tile(grid[r], buffer, r * size, origin_v - half, origin_u - half, len(support), g.nu, True)


@njit(cache=True, nogil=True, error_model="numpy")
def degrid_tiles(support, coefficients, g, uvw, freq_c, grid, runs, work, vis):
    """Add to each sample what the plane `grid` holds for it: the transpose of `grid_tiles`.

    work (item, 3): tile, first and end run. vis (rhs, row, chan) is added to, at the samples of those runs only.
    """
    flat_vis, nchan = vis.reshape(-1), freq_c.size - MARGIN
    nrhs, half = grid.shape[0], len(support) // 2
    size = (TILE + GROUP) * ROW
    buffer = np.zeros(nrhs * size, coefficients.dtype)
    u, v = np.empty(PITCH), np.empty(PITCH)
    cell_u, cell_v = np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp)
    zu, zv = np.empty(BLOCK, coefficients.dtype), np.empty(BLOCK, coefficients.dtype)
    c, s = np.empty(BLOCK, coefficients.dtype), np.empty(BLOCK, coefficients.dtype)
    re, im = np.zeros(nrhs * PITCH, coefficients.dtype), np.zeros(nrhs * PITCH, coefficients.dtype)
    order, shift, ends = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32), np.empty(BINS, np.int64)
    taps = np.empty(BLOCK * LANES, coefficients.dtype)
    parts = np.empty((BLOCK, 3), np.intp)  # where the block's samples are: row, first channel, number
    rotated = g.shift_l != 0 or g.shift_m != 0
    for item in range(work.shape[0]):
        tile, run, end_run = work[item]
        origin_v, origin_u = (tile // (g.nu // TILE)) * TILE, (tile % (g.nu // TILE)) * TILE
        for r in range(nrhs):
            move_tile(grid[r], buffer, r * size, origin_v - half, origin_u - half, len(support), g.nu, False)
        chan = -1
        while run < end_run:
            count, nparts = 0, 0
            while count < BLOCK and run < end_run:
                row, end_chan = runs[run, 0], runs[run, 2]
                chan = max(chan, runs[run, 1])
                n = min(end_chan - chan, BLOCK - count)
                sign = sign_of(uvw[row, 0], uvw[row, 2], g)
                scale(u, count, n, uvw[row, 0] * sign, freq_c, chan)
                scale(v, count, n, uvw[row, 1] * sign, freq_c, chan)
                parts[nparts, 0], parts[nparts, 1], parts[nparts, 2] = row, chan, n
                count, chan, nparts = count + n, chan + n, nparts + 1
                if chan == end_chan:
                    run, chan = run + 1, -1
                    prefetch(uvw, 3 * runs[min(run + AHEAD, runs.shape[0] - 1), 0])
                    call_for(runs, run + AHEAD, nchan, uvw.shape[0], vis)
            place(u, g.scale_u, g.nu, origin_u, count, cell_u, zu)
            place(v, g.scale_v, g.nv, origin_v, count, cell_v, zv)
            arrange(cell_u, cell_v, count, order, shift, ends)
            for k in range(count):
                both_taps(support, coefficients, zu[k], zv[k], taps, k * LANES)
            first = 0
            for b in range(BINS):
                if ends[b] > first:
                    start = b // (TILE // GROUP) * ROW + b % (TILE // GROUP) * GROUP
                    for r in range(nrhs):
                        gather_bin(support, buffer, r * size + start, order, shift, first, ends[b], taps, re, im,
                                   r * PITCH)  # fmt: skip
                    first = ends[b]
            if rotated:
                rotations(u, v, u, g, count, c, s)
                for r in range(nrhs):
                    turn(re, im, r * PITCH, c, s, 1, count)
            for r in range(nrhs):
                give_back(flat_vis, r, uvw, g, nchan, parts, nparts, re, im, r * PITCH)
