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

from typing import NamedTuple

import numpy as np

from imaging.kernels._jit import njit
from imaging.kernels.gridding_taps import TILE, gather, prefetch, row_stride, spread, taps

BLOCK = 64  # samples placed at a time
AHEAD = 16  # runs between asking for a sample and using it


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


# --- small functions shared by the loops -----------------------------------------------------------------------------


@njit(cache=True, inline="always")
def cell_of(wavelengths, scale, n):
    """The cell just above a coordinate on the periodic grid, and how far above: 0 <= distance <= 1."""
    cycles = wavelengths * scale
    position = (cycles - np.floor(cycles)) * n
    cell = np.ceil(position)
    return (0 if cell >= n else int(cell)), cell - position


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


# --- sorting samples -------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True, error_model="numpy")
def list_runs(uvw, freq_c, mask, g, row0, row1, cursor, runs, fill):
    """Find runs of neighbouring channels with the same tile and w-plane in rows row0 ... row1.

    `cursor` (tile,) counts them; with `fill` it is where the next run of each tile goes in `runs` (run, 4): row, first
    channel, end channel, first w-plane. `mask` (row, chan), or of size 0, is true where a sample is used.
    """
    tiles_u = g.nu // TILE
    masked = mask.size > 0
    for row in range(row0, row1):
        u, v, w = uvw[row, 0], uvw[row, 1], uvw[row, 2]
        if g.use_w and w < 0:
            u, v, w = -u, -v, -w
        begin, tile_before, plane_before = 0, -1, 0
        for chan in range(freq_c.size + 1):
            tile, plane = -1, 0
            if chan < freq_c.size and (not masked or mask[row, chan]):
                f = freq_c[chan]
                cell_u, _ = cell_of(u * f, g.scale_u, g.nu)
                cell_v, _ = cell_of(v * f, g.scale_v, g.nv)
                tile = (cell_v // TILE) * tiles_u + cell_u // TILE
                if g.use_w:
                    plane = max(int(np.ceil((w * f - g.w_min) * g.dw_inverse)), 0)
            if tile != tile_before or plane != plane_before:
                if tile_before >= 0:
                    at = cursor[tile_before]
                    cursor[tile_before] = at + 1
                    if fill:
                        runs[at, 0], runs[at, 1], runs[at, 2], runs[at, 3] = row, begin, chan, plane_before
                begin, tile_before, plane_before = chan, tile, plane


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


@njit(cache=True, inline="always")
def first_run(runs, begin, end, plane):
    """Index of the first run whose w-plane is at least `plane`."""
    while begin < end:
        middle = (begin + end) // 2
        if runs[middle, 3] < plane:
            begin = middle + 1
        else:
            end = middle
    return begin


# --- grid and degrid -------------------------------------------------------------------------------------------------
# Scratch arrays are made one by one: LLVM does not vectorise loops over the rows of one array that was taken apart.


@njit(cache=True, inline="always")
def block(like):
    """Scratch space for one number per sample of a block."""
    return np.empty(BLOCK, like.dtype)


@njit(cache=True, inline="always")
def call_for(runs, run, uvw, nchan, samples, nrhs):
    """Have the memory of a later run on its way: sorted by tile, samples lie far apart."""
    run = min(run, runs.shape[0] - 1)
    row = runs[run, 0]
    prefetch(uvw, 3 * row)
    for r in range(nrhs):
        prefetch(samples, (r * uvw.shape[0] + row) * nchan + runs[run, 1])


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
def move_plane(grid, p, buffer, slot, row0, column0, support, nu, onto_grid):
    """Add a plane of a tile's buffer to the grid and clear it, or load it from the grid, which is periodic."""
    size, stride = TILE + support, row_stride(support)
    nv = grid.shape[1]
    before, inside = min(max(-column0, 0), size), min(size, nu - column0)
    for j in range(size):
        y = (row0 + j) % nv
        for begin, end, wrap in ((0, before, nu), (before, inside, 0), (inside, size, -nu)):
            if end > begin:
                cells = grid[p, y, 2 * (column0 + begin + wrap) : 2 * (column0 + end + wrap)]
                local = buffer[slot + j * stride + 2 * begin : slot + j * stride + 2 * end]
                if onto_grid:
                    for i in range(cells.size):
                        cells[i] += local[i]
                    local[:] = 0
                else:
                    for i in range(cells.size):
                        local[i] = cells[i]


@njit(cache=True, nogil=True, error_model="numpy")
def grid_tiles(support, coefficients, g, uvw, freq_c, vis, weight, runs, starts, work, plane0, grid):
    """Spread the samples of some tiles onto some planes of the grid.

    vis (rhs, row, chan), or of size 0 for unit visibilities; weight (rhs or 1, row, chan), or of size 0 for unit
    weights: samples of weight zero are not looked at. work (item, 3): tile, first and end plane, of all planes;
    `plane0` is the plane that grid[:, 0] stands for. grid (rhs, plane, v, 2 u), re and im side by side, is added to.
    No two tiles of one call, or of calls at the same time, may overlap in the same planes.
    """
    real = coefficients.dtype.type
    ntaps, nrhs, half = len(support), grid.shape[0], len(support) // 2
    depth = ntaps if g.use_w else 1
    stride = row_stride(ntaps)
    plane_size = (TILE + ntaps) * stride
    buffer = np.zeros(nrhs * ntaps * plane_size + stride, coefficients.dtype)
    ku, kv, kw = np.ones_like(coefficients[0]), np.ones_like(coefficients[0]), np.ones_like(coefficients[0])
    plane_at = np.zeros(ntaps, np.intp)
    u, v, w = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    cell_u, cell_v, plane = np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp)
    zu, zv, zw = block(coefficients), block(coefficients), block(coefficients)
    c, s = block(coefficients), block(coefficients)
    re, im = np.empty((nrhs, BLOCK), coefficients.dtype), np.empty((nrhs, BLOCK), coefficients.dtype)
    for item in range(work.shape[0]):
        tile, first_plane, end_plane = work[item]
        origin_v, origin_u = (tile // (g.nu // TILE)) * TILE, (tile % (g.nu // TILE)) * TILE
        run = first_run(runs, starts[tile], starts[tile + 1], first_plane - depth + 1)
        end_run = first_run(runs, run, starts[tile + 1], end_plane)
        chan, current = -1, -1
        while run < end_run:
            count = 0
            while count < BLOCK and run < end_run:
                row = runs[run, 0]
                chan = max(chan, runs[run, 1])
                sign = -1.0 if g.use_w and uvw[row, 2] < 0 else 1.0
                used = False
                for r in range(nrhs):
                    wt = weight[min(r, weight.shape[0] - 1), row, chan] if weight.size > 0 else real(1)
                    re[r, count], im[r, count] = wt, real(0)
                    if vis.size > 0:
                        value = vis[r, row, chan] if wt != 0 else vis.dtype.type(0)
                        re[r, count], im[r, count] = wt * value.real, wt * value.imag * real(sign)
                    used = used or wt != 0
                if used:
                    f = sign * freq_c[chan]
                    u[count], v[count], w[count] = uvw[row, 0] * f, uvw[row, 1] * f, uvw[row, 2] * f
                    plane[count] = runs[run, 3]
                    count += 1
                chan += 1
                if chan == runs[run, 2]:
                    run, chan = run + 1, -1
                    call_for(runs, run + AHEAD, uvw, freq_c.size, vis, nrhs)
                    call_for(runs, run + AHEAD, uvw, freq_c.size, weight, weight.shape[0])
            place(u, g.scale_u, g.nu, origin_u, count, cell_u, zu)
            place(v, g.scale_v, g.nv, origin_v, count, cell_v, zv)
            place_w(w, plane, g, count, zw)
            rotations(u, v, w, g, count, c, s)
            for r in range(nrhs):
                for k in range(count):
                    x, y = re[r, k], im[r, k]
                    re[r, k], im[r, k] = x * c[k] + y * s[k], y * c[k] - x * s[k]
            for k in range(count):
                p = plane[k]
                if p != current:
                    if current >= 0:
                        for q in range(max(current, first_plane), min(current + depth, p, end_plane)):
                            for r in range(nrhs):
                                slot = (r * ntaps + q % ntaps) * plane_size
                                move_plane(grid[r], q - plane0, buffer, slot, origin_v - half, origin_u - half,
                                           ntaps, g.nu, True)  # fmt: skip
                    current = p
                    for i in range(depth):
                        plane_at[i] = ((p + i) % ntaps) * plane_size
                taps(support, coefficients, zu[k], ku)
                taps(support, coefficients, zv[k], kv)
                if g.use_w:
                    taps(support, coefficients, zw[k], kw)
                low, high = max(first_plane - p, 0), min(end_plane - p, depth)
                start = cell_v[k] * stride + 2 * cell_u[k]
                for r in range(nrhs):
                    spread(support, buffer, start + r * ntaps * plane_size, plane_at, low, high, ku, kv, kw,
                           re[r, k], im[r, k])  # fmt: skip
        if current >= 0:
            for q in range(max(current, first_plane), min(current + depth, end_plane)):
                for r in range(nrhs):
                    slot = (r * ntaps + q % ntaps) * plane_size
                    move_plane(grid[r], q - plane0, buffer, slot, origin_v - half, origin_u - half,
                               ntaps, g.nu, True)  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def degrid_tiles(support, coefficients, g, uvw, freq_c, grid, runs, work, plane0, vis):
    """Add to each sample what the planes of the grid hold for it: the transpose of `grid_tiles`.

    work (item, 3): tile, first and end run. vis (rhs, row, chan) is added to, at the samples of those runs only.
    """
    real = coefficients.dtype.type
    ntaps, nrhs, half = len(support), grid.shape[0], len(support) // 2
    depth = ntaps if g.use_w else 1
    stride = row_stride(ntaps)
    plane_size = (TILE + ntaps) * stride
    end_plane = plane0 + grid.shape[1]
    buffer = np.zeros(nrhs * ntaps * plane_size + stride, coefficients.dtype)
    ku, kv, kw = np.ones_like(coefficients[0]), np.ones_like(coefficients[0]), np.ones_like(coefficients[0])
    plane_at = np.zeros(ntaps, np.intp)
    u, v, w = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    cell_u, cell_v, plane = np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp)
    rows, chans = np.empty(BLOCK, np.intp), np.empty(BLOCK, np.intp)
    zu, zv, zw = block(coefficients), block(coefficients), block(coefficients)
    c, s = block(coefficients), block(coefficients)
    for item in range(work.shape[0]):
        tile, run, end_run = work[item]
        origin_v, origin_u = (tile // (g.nu // TILE)) * TILE, (tile % (g.nu // TILE)) * TILE
        run = first_run(runs, run, end_run, plane0 - depth + 1)
        end_run = first_run(runs, run, end_run, end_plane)
        chan, current = -1, -1
        while run < end_run:
            count = 0
            while count < BLOCK and run < end_run:
                row = runs[run, 0]
                chan = max(chan, runs[run, 1])
                f = -freq_c[chan] if g.use_w and uvw[row, 2] < 0 else freq_c[chan]
                u[count], v[count], w[count] = uvw[row, 0] * f, uvw[row, 1] * f, uvw[row, 2] * f
                rows[count], chans[count], plane[count] = row, chan, runs[run, 3]
                count += 1
                chan += 1
                if chan == runs[run, 2]:
                    run, chan = run + 1, -1
                    call_for(runs, run + AHEAD, uvw, freq_c.size, vis, nrhs)
            place(u, g.scale_u, g.nu, origin_u, count, cell_u, zu)
            place(v, g.scale_v, g.nv, origin_v, count, cell_v, zv)
            place_w(w, plane, g, count, zw)
            rotations(u, v, w, g, count, c, s)
            for k in range(count):
                p = plane[k]
                if p != current:
                    loaded = p if current < 0 else max(p, current + depth)
                    for q in range(max(loaded, plane0), min(p + depth, end_plane)):
                        for r in range(nrhs):
                            slot = (r * ntaps + q % ntaps) * plane_size
                            move_plane(grid[r], q - plane0, buffer, slot, origin_v - half, origin_u - half,
                                       ntaps, g.nu, False)  # fmt: skip
                    current = p
                    for i in range(depth):
                        plane_at[i] = ((p + i) % ntaps) * plane_size
                taps(support, coefficients, zu[k], ku)
                taps(support, coefficients, zv[k], kv)
                if g.use_w:
                    taps(support, coefficients, zw[k], kw)
                low, high = max(plane0 - p, 0), min(end_plane - p, depth)
                start = cell_v[k] * stride + 2 * cell_u[k]
                sign = real(-1) if g.use_w and uvw[rows[k], 2] < 0 else real(1)
                for r in range(nrhs):
                    x, y = gather(support, buffer, start + r * ntaps * plane_size, plane_at, low, high, ku, kv, kw)
                    vis[r, rows[k], chans[k]] += (x * c[k] - y * s[k]) + 1j * (sign * (y * c[k] + x * s[k]))
