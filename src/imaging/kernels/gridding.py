"""Spread visibilities onto a (u, v, w) grid tile by tile, and back.

The scheme is the gridding part of improved w-stacking (Arras, Reinecke et al. 2021, A&A 646, A58; Ye, Gull, Tan and
Nikolic 2022, MNRAS 510, 4110): the kernel that spreads a sample over `support` cells in u and v also spreads it over
`support` planes in w. What makes it quick here:

* samples are sorted once into tiles of TILE x TILE cells and, in a tile, by their first w-plane. A tile keeps only the
  `support` planes in use, in a buffer that stays in the nearest caches, and touches the big grid once per plane;
* the kernel's taps are polynomials, one per tap, evaluated once per sample for all right-hand sides;
* the tap block is written as explicit vectors (gridding_taps.py).

Every grid cell receives its contributions in the order of the sorted samples, whoever adds them: results do not depend
on the number of threads.
"""

import numpy as np

from imaging.kernels._jit import njit
from imaging.kernels.gridding_runs import add, multiply, put, scale
from imaging.kernels.gridding_sort import cell_of, first_run, sign_of
from imaging.kernels.gridding_taps import TILE, gather, prefetch, row_stride, spread, taps

BLOCK = 128  # samples placed at a time
MARGIN = 16  # numbers beyond a block that vectors may write
PITCH = BLOCK + MARGIN
PORTION = 64
"""Runs of a tile, counted from its first one, whose samples are summed in single precision before these sums are added
up in double: one long sum would lose digits, and the correction of the kernel magnifies that at the corners."""
AHEAD = 6  # runs between asking for a sample and using it; more are gone from the nearest cache by then


@njit(cache=True, inline="always")
def cis(turns, real):
    """cos and sin of 2 pi turns, |turns| <= 1/2, in the precision of `real`: Taylor series of half the angle."""
    x = real(turns) * real(np.pi)
    y = x * x
    s = real(-8.22063524662432972e-18)
    s = s * y + real(2.81145725434552076e-15)
    s = s * y + real(-7.64716373181981648e-13)
    s = s * y + real(1.60590438368216146e-10)
    s = s * y + real(-2.50521083854417188e-08)
    s = s * y + real(2.75573192239858907e-06)
    s = s * y + real(-1.98412698412698413e-04)
    s = s * y + real(8.33333333333333333e-03)
    s = s * y + real(-1.66666666666666667e-01)
    s = s * y * x + x
    c = real(-1.56192069685862265e-16)
    c = c * y + real(4.77947733238738530e-14)
    c = c * y + real(-1.14707455977297247e-11)
    c = c * y + real(2.08767569878680990e-09)
    c = c * y + real(-2.75573192239858907e-07)
    c = c * y + real(2.48015873015873016e-05)
    c = c * y + real(-1.38888888888888889e-03)
    c = c * y + real(4.16666666666666667e-02)
    c = c * y + real(-0.5)
    c = c * y + real(1.0)
    return real(1.0) - real(2.0) * s * s, real(2.0) * s * c


# --- grid and degrid -------------------------------------------------------------------------------------------------
# Scratch arrays are made one by one: LLVM does not vectorise loops over the rows of one array that was taken apart.


@njit(cache=True, inline="always")
def block(like):
    """Scratch space for one number per sample of a block."""
    return np.empty(BLOCK, like.dtype)


# Nor do these take slices: to count the references to one costs as much as a sample. Those called for each run of
# channels, often of a few samples, are inlined: to hand over so many arrays costs as much again.


@njit(cache=True, inline="always", error_model="numpy")
def call_for(runs, run, nchan, nrow, samples):
    """Have the memory of a later run on its way: sorted by tile, samples lie far apart."""
    run = min(run, runs.shape[0] - 1)
    for r in range(samples.shape[0]):
        at = (r * nrow + runs[run, 0]) * nchan
        prefetch(samples, at + runs[run, 1])
        prefetch(samples, at + runs[run, 2] - 1)


@njit(cache=True, inline="always", error_model="numpy")
def fetch(vis, weight, nvis, nweight, psf, rows, nchan, row, chan, sign, n, re, im, pitch, at):
    """re, im = weight * vis of n samples for each right-hand side, `pitch` apart, from `at` on; see `grid_tiles`."""
    nrhs = re.size // pitch
    for r in range(nrhs):
        first = (min(r, nweight - 1) * rows + row) * nchan + chan
        put(re, r * pitch + at, n, weight, first if nweight > 0 else -1)
        if nvis > 0 and r < nrhs - psf:
            first = (min(r, nvis - 1) * rows + row) * nchan + chan
            multiply(re, im, r * pitch + at, n, vis, first, re.dtype.type(sign))
        else:
            im[r * pitch + at : r * pitch + at + n] = 0


@njit(cache=True, error_model="numpy")
def place(coordinate, scale, n, origin, count, cell, z):
    """Cells in the tile's buffer and tap coordinates of a block of samples along u or v."""
    for k in range(count):
        at, distance = cell_of(coordinate[k], scale, n)
        cell[k] = at - origin
        z[k] = 2 * distance - 1


@njit(cache=True, error_model="numpy")
def place_w(w, plane, g, count, z):
    """Tap coordinates of a block of samples along w."""
    for k in range(count):
        z[k] = 2 * (plane[k] - (w[k] - g.w_min) * g.dw_inverse) - 1


@njit(cache=True, error_model="numpy")
def rotations(u, v, w, g, count, c, s):
    """cos and sin of 2 pi (u l + v m + w n) for the shift to the middle of the image."""
    real = c.dtype.type
    for k in range(count):
        turns = u[k] * g.shift_l + v[k] * g.shift_m + w[k] * g.shift_n
        c[k], s[k] = cis(turns - np.rint(turns), real)


@njit(cache=True, error_model="numpy")
def turn(re, im, at, c, s, sense, count):
    """Multiply by c + i sense s."""
    sense = c.dtype.type(sense)
    for k in range(count):
        x, y = re[at + k], im[at + k]
        re[at + k], im[at + k] = x * c[k] - y * (sense * s[k]), y * c[k] + x * (sense * s[k])


@njit(cache=True, inline="always", error_model="numpy")
def give_back(vis, r, uvw, g, nchan, parts, nparts, re, im, at):
    """Add what a block holds, from `at` on, to plane `r` of flat vis; parts (part, 3): row, first channel, number."""
    for i in range(nparts):
        row, n = parts[i, 0], parts[i, 2]
        sign = re.dtype.type(sign_of(uvw[row, 0], uvw[row, 2], g))
        add(vis, (r * uvw.shape[0] + row) * nchan + parts[i, 1], n, re, im, at, sign)
        at += n


@njit(cache=True, error_model="numpy")
def add_plane(grid, p, buffer, sums, settled, slot, row0, column0, support, nu):
    """Add a plane of a tile to the grid, which is periodic, and clear it; `sums` are looked at where `settled`."""
    size, stride = TILE + support, row_stride(support)
    nv = grid.shape[1]
    before, inside = min(max(-column0, 0), size), min(size, nu - column0)
    for j in range(size):
        y = (row0 + j) % nv
        for begin, end, wrap in ((0, before, nu), (before, inside, 0), (inside, size, -nu)):
            if end > begin:
                cells = grid[p, y, 2 * (column0 + begin + wrap) : 2 * (column0 + end + wrap)]
                local = buffer[slot + j * stride + 2 * begin : slot + j * stride + 2 * end]
                if settled:
                    total = sums[slot + j * stride + 2 * begin : slot + j * stride + 2 * end]
                    for i in range(cells.size):
                        local[i] = grid.dtype.type(total[i] + local[i])
                    total[:] = 0
                for i in range(cells.size):
                    cells[i] += local[i]
                local[:] = 0


@njit(cache=True, error_model="numpy")
def load_plane(grid, p, buffer, slot, row0, column0, support, nu):
    """Copy a plane of a tile from the grid."""
    size, stride = TILE + support, row_stride(support)
    nv = grid.shape[1]
    before, inside = min(max(-column0, 0), size), min(size, nu - column0)
    for j in range(size):
        y = (row0 + j) % nv
        for begin, end, wrap in ((0, before, nu), (before, inside, 0), (inside, size, -nu)):
            if end > begin:
                cells = grid[p, y, 2 * (column0 + begin + wrap) : 2 * (column0 + end + wrap)]
                local = buffer[slot + j * stride + 2 * begin : slot + j * stride + 2 * end]
                for i in range(cells.size):
                    local[i] = cells[i]


@njit(cache=True, error_model="numpy")
def settle(buffer, sums):
    """Add what a tile holds to its sums in double precision."""
    for i in range(buffer.size):
        sums[i] += buffer[i]
    buffer[:] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def grid_tiles(support, coefficients, g, uvw, freq_c, vis, weight, psf, runs, starts, work, plane0, grid):
    """Spread the samples of some tiles onto some planes of the grid.

    freq_c : frequency / c of the channels, 1/m, and MARGIN numbers more. vis (rhs - psf or 1, row, chan), or of size 0;
    weight (rhs or 1, row, chan), or of size 0 for unit weights: samples of weight zero are not looked at. The last
    `psf` right-hand sides, and all without vis, are of unit visibilities. work (item, 3): tile, first and end plane, of
    all planes; `plane0` is the plane that grid[:, 0] stands for. grid (rhs, plane, v, 2 u), re and im side by side, is
    added to. No two tiles of one call, or of calls at the same time, may overlap in the same planes.
    """
    ntaps, nrhs, half = len(support), grid.shape[0], len(support) // 2
    depth = ntaps if g.use_w else 1
    stride = row_stride(ntaps)
    plane_size = (TILE + ntaps) * stride
    buffer = np.zeros(nrhs * depth * plane_size + stride, coefficients.dtype)
    sums = np.zeros(buffer.size)
    ku, kv, kw = np.ones_like(coefficients[0]), np.ones_like(coefficients[0]), np.ones_like(coefficients[0])
    plane_at = np.zeros(ntaps, np.intp)
    u, v, w = np.empty(PITCH), np.empty(PITCH), np.empty(PITCH)
    cell_u, cell_v, plane = np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp)
    zu, zv, zw = block(coefficients), block(coefficients), block(coefficients)
    c, s = block(coefficients), block(coefficients)
    re, im = np.zeros(nrhs * PITCH, coefficients.dtype), np.zeros(nrhs * PITCH, coefficients.dtype)
    rotated = g.shift_l != 0 or g.shift_m != 0 or g.shift_n != 0
    nvis, nweight, nchan = vis.shape[0], weight.shape[0], freq_c.size - MARGIN
    flat_vis, flat_weight = vis.reshape(-1), weight.reshape(-1)
    for item in range(work.shape[0]):
        tile, first_plane, end_plane = work[item]
        origin_v, origin_u = (tile // (g.nu // TILE)) * TILE, (tile % (g.nu // TILE)) * TILE
        run = first_run(runs, starts[tile], starts[tile + 1], first_plane - depth + 1)
        end_run = first_run(runs, run, starts[tile + 1], end_plane)
        chan, current, settled = -1, -1, False
        while run < end_run:
            count = 0
            while count < BLOCK and run < end_run:
                row, end_chan = runs[run, 0], runs[run, 2]
                chan = max(chan, runs[run, 1])
                n = min(end_chan - chan, BLOCK - count)
                sign = sign_of(uvw[row, 0], uvw[row, 2], g)
                scale(u, count, n, uvw[row, 0] * sign, freq_c, chan)
                scale(v, count, n, uvw[row, 1] * sign, freq_c, chan)
                scale(w, count, n, uvw[row, 2] * sign, freq_c, chan)
                plane[count : count + n] = runs[run, 3]
                fetch(flat_vis, flat_weight, nvis, nweight, psf, uvw.shape[0], nchan, row, chan, sign, n, re, im, PITCH,
                      count)  # fmt: skip
                count, chan = count + n, chan + n
                if chan == end_chan:
                    run, chan = run + 1, -1
                    prefetch(uvw, 3 * runs[min(run + AHEAD, runs.shape[0] - 1), 0])
                    call_for(runs, run + AHEAD, nchan, uvw.shape[0], vis)
                    call_for(runs, run + AHEAD, nchan, uvw.shape[0], weight)
                    if (run - starts[tile]) % PORTION == 0:
                        break
            place(u, g.scale_u, g.nu, origin_u, count, cell_u, zu)
            place(v, g.scale_v, g.nv, origin_v, count, cell_v, zv)
            if g.use_w:
                place_w(w, plane, g, count, zw)
            if rotated:
                rotations(u, v, w, g, count, c, s)
                for r in range(nrhs):
                    turn(re, im, r * PITCH, c, s, -1, count)
            for k in range(count):
                p = plane[k]
                if p != current:
                    if current >= 0:
                        for q in range(max(current, first_plane), min(current + depth, p, end_plane)):
                            for r in range(nrhs):
                                slot = (r * depth + q % depth) * plane_size
                                add_plane(grid[r], q - plane0, buffer, sums, settled, slot, origin_v - half,
                                          origin_u - half, ntaps, g.nu)  # fmt: skip
                    current = p
                    for i in range(depth):
                        plane_at[i] = ((p + i) % depth) * plane_size
                taps(support, coefficients, zu[k], ku)
                taps(support, coefficients, zv[k], kv)
                if g.use_w:
                    taps(support, coefficients, zw[k], kw)
                low, high = max(first_plane - p, 0), min(end_plane - p, depth)
                start = cell_v[k] * stride + 2 * cell_u[k]
                for r in range(nrhs):
                    x, y = re[r * PITCH + k], im[r * PITCH + k]
                    if x != 0 or y != 0:
                        spread(support, buffer, start + r * depth * plane_size, plane_at, low, high, ku, kv, kw, x, y)
            if chan < 0 and run < end_run and (run - starts[tile]) % PORTION == 0:
                settle(buffer, sums)
                settled = True
        for q in range(max(current, first_plane), min(current + depth, end_plane)):
            for r in range(nrhs):
                slot = (r * depth + q % depth) * plane_size
                add_plane(grid[r], q - plane0, buffer, sums, settled, slot, origin_v - half, origin_u - half, ntaps,
                          g.nu)  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def degrid_tiles(support, coefficients, g, uvw, freq_c, grid, runs, work, plane0, vis):
    """Add to each sample what the planes of the grid hold for it: the transpose of `grid_tiles`.

    work (item, 3): tile, first and end run. vis (rhs, row, chan) is added to, at the samples of those runs only.
    """
    flat_vis = vis.reshape(-1)
    ntaps, nrhs, half, nchan = len(support), grid.shape[0], len(support) // 2, freq_c.size - MARGIN
    depth = ntaps if g.use_w else 1
    stride = row_stride(ntaps)
    plane_size = (TILE + ntaps) * stride
    end_plane = plane0 + grid.shape[1]
    buffer = np.zeros(nrhs * depth * plane_size + stride, coefficients.dtype)
    ku, kv, kw = np.ones_like(coefficients[0]), np.ones_like(coefficients[0]), np.ones_like(coefficients[0])
    plane_at = np.zeros(ntaps, np.intp)
    u, v, w = np.empty(PITCH), np.empty(PITCH), np.empty(PITCH)
    cell_u, cell_v, plane = np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp)
    parts = np.empty((BLOCK, 3), np.intp)  # where the block's samples are: row, first channel, number
    zu, zv, zw = block(coefficients), block(coefficients), block(coefficients)
    c, s = block(coefficients), block(coefficients)
    re, im = np.zeros(nrhs * PITCH, coefficients.dtype), np.zeros(nrhs * PITCH, coefficients.dtype)
    rotated = g.shift_l != 0 or g.shift_m != 0 or g.shift_n != 0
    for item in range(work.shape[0]):
        tile, run, end_run = work[item]
        origin_v, origin_u = (tile // (g.nu // TILE)) * TILE, (tile % (g.nu // TILE)) * TILE
        run = first_run(runs, run, end_run, plane0 - depth + 1)
        end_run = first_run(runs, run, end_run, end_plane)
        chan, current = -1, -1
        while run < end_run:
            count, nparts = 0, 0
            while count < BLOCK and run < end_run:
                row, end_chan = runs[run, 0], runs[run, 2]
                chan = max(chan, runs[run, 1])
                n = min(end_chan - chan, BLOCK - count)
                sign = sign_of(uvw[row, 0], uvw[row, 2], g)
                scale(u, count, n, uvw[row, 0] * sign, freq_c, chan)
                scale(v, count, n, uvw[row, 1] * sign, freq_c, chan)
                scale(w, count, n, uvw[row, 2] * sign, freq_c, chan)
                plane[count : count + n] = runs[run, 3]
                parts[nparts, 0], parts[nparts, 1], parts[nparts, 2] = row, chan, n
                count, chan, nparts = count + n, chan + n, nparts + 1
                if chan == end_chan:
                    run, chan = run + 1, -1
                    prefetch(uvw, 3 * runs[min(run + AHEAD, runs.shape[0] - 1), 0])
                    call_for(runs, run + AHEAD, nchan, uvw.shape[0], vis)
            place(u, g.scale_u, g.nu, origin_u, count, cell_u, zu)
            place(v, g.scale_v, g.nv, origin_v, count, cell_v, zv)
            if g.use_w:
                place_w(w, plane, g, count, zw)
            for k in range(count):
                p = plane[k]
                if p != current:
                    loaded = p if current < 0 else max(p, current + depth)
                    for q in range(max(loaded, plane0), min(p + depth, end_plane)):
                        for r in range(nrhs):
                            slot = (r * depth + q % depth) * plane_size
                            load_plane(grid[r], q - plane0, buffer, slot, origin_v - half, origin_u - half, ntaps,
                                       g.nu)  # fmt: skip
                    current = p
                    for i in range(depth):
                        plane_at[i] = ((p + i) % depth) * plane_size
                taps(support, coefficients, zu[k], ku)
                taps(support, coefficients, zv[k], kv)
                if g.use_w:
                    taps(support, coefficients, zw[k], kw)
                low, high = max(plane0 - p, 0), min(end_plane - p, depth)
                start = cell_v[k] * stride + 2 * cell_u[k]
                for r in range(nrhs):
                    x, y = gather(support, buffer, start + r * depth * plane_size, plane_at, low, high, ku, kv, kw)
                    re[r * PITCH + k], im[r * PITCH + k] = x, y
            if rotated:
                rotations(u, v, w, g, count, c, s)
                for r in range(nrhs):
                    turn(re, im, r * PITCH, c, s, 1, count)
            for r in range(nrhs):
                give_back(flat_vis, r, uvw, g, nchan, parts, nparts, re, im, r * PITCH)
