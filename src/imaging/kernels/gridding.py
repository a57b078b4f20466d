"""Spread visibilities onto a (u, v, w) grid tile by tile, and back.

The scheme is the gridding part of improved w-stacking (Arras, Reinecke et al. 2021, A&A 646, A58; Ye, Gull, Tan and
Nikolic 2022, MNRAS 510, 4110): the kernel that spreads a sample over `support` cells in u and v also spreads it over
`support` planes in w. What makes it quick here:

* samples are sorted once into tiles of TILE x TILE cells and, in a tile, by their first w-plane. A tile keeps only the
  `support` planes in use, in a buffer that fits the first-level cache, and touches the big grid once per plane;
* the kernel's taps are polynomials, one per tap, evaluated once per sample for all right-hand sides;
* the tap block is written as explicit vectors (`taps`, `spread`, `gather`), whose width comes from the *type* of
  `support`, a tuple as long as the kernel is wide. Numba's cache on disk works with that, and would not with closures.

Every grid cell receives its contributions in the order of the sorted samples, whoever adds them: results do not depend
on the number of threads. Under NUMBA_DISABLE_JIT the three vector functions are plain loops.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

TILE = 16  # cells; a power of two not below the widest kernel, so that only next neighbours overlap
BLOCK = 64  # samples placed at a time
AHEAD = 16  # runs between asking for a sample and using it
HORNER = 16  # planes between fresh phases: the error of repeated products stays below single precision's
CORRECTION_DEGREE = 16


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


class Sky(NamedTuple):
    """Where pixels are: l = (nx // 2 - x) cell_l + l0, m = (y - ny // 2) cell_m + m0."""

    cell_l: float
    cell_m: float
    l0: float
    m0: float
    shift_n: float  # added to n - 1 to halve its range
    t_scale: float  # |(n - 1 + shift) t_scale| <= 1
    dw: float  # wavelengths between planes


# --- explicit vectors ----------------------------------------------------------------------------------------------


@register_jitable
def padded(support):
    """Taps in a vector: one whole register is faster than a register and a half."""
    return 8 if support == 6 else support


@register_jitable
def row_stride(support):
    """Scalars from one row of a tile's buffer to the next; the tail absorbs the padding of the vectors."""
    return 2 * (TILE + padded(support))


def _vector(builder, pointer, kind, align):
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=align)


def _splat(builder, scalar, width):
    one = builder.insert_element(ir.Constant(ir.VectorType(scalar.type, 1), ir.Undefined), scalar, _i32(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    return builder.shuffle_vector(one, one, mask)


def _i32(value):
    return ir.Constant(ir.IntType(32), value)


def _shuffle(builder, vector, lanes):
    return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _multiply_add(builder, a, b, c):
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


class _Arrays:
    """Pointers into the array arguments of an intrinsic, and the widths its support asks for."""

    def __init__(self, context, builder, signature, args, real):
        self.context, self.builder, self.signature, self.args = context, builder, signature, args
        self.support = len(signature.args[0])
        self.padded = padded(self.support)
        self.real = context.get_data_type(real)
        self.align = 4 if real is types.float32 else 8
        self.taps_type = ir.VectorType(self.real, self.padded)
        self.pair_type = ir.VectorType(self.real, 2 * self.padded)

    def pointer(self, i):
        return self.context.make_array(self.signature.args[i])(self.context, self.builder, self.args[i]).data

    def offset(self, pointer, index):
        index = index if isinstance(index, ir.Value) else ir.Constant(ir.IntType(64), index)
        return self.builder.gep(pointer, [index])

    def paired_taps(self, i):
        """Taps k0 k0 k1 k1 ...: one factor for the real and one for the imaginary part of each cell."""
        taps = _vector(self.builder, self.pointer(i), self.taps_type, self.align)
        return _shuffle(self.builder, taps, [j // 2 for j in range(2 * self.padded)])

    def rows(self, pointer):
        for j in range(self.support):
            yield j, self.offset(pointer, j * row_stride(self.support))


@intrinsic
def taps(typingctx, support, coefficients, z, out):
    """out[:] = the kernel's taps at z in [-1, 1]; coefficients (degree + 1, padded support), highest degree first."""

    def codegen(context, builder, signature, args):
        a = _Arrays(context, builder, signature, args, signature.args[1].dtype)
        pointer, value = a.pointer(1), _splat(builder, args[2], a.padded)
        total = _vector(builder, pointer, a.taps_type, a.align)
        for i in range(1, degree(a.support) + 1):
            row = _vector(builder, a.offset(pointer, i * a.padded), a.taps_type, a.align)
            total = _multiply_add(builder, total, value, row)
        builder.store(total, builder.bitcast(a.pointer(3), a.taps_type.as_pointer()), align=a.align)
        return context.get_dummy_value()

    return types.void(support, coefficients, coefficients.dtype, out), codegen


@intrinsic
def spread(typingctx, support, buffer, start, plane_at, first, last, ku, kv, kw, re, im):
    """buffer[plane_at[p] + start + rows] += kw[p] kv[row] ku[:] (re + i im) for the planes first <= p < last."""

    def codegen(context, builder, signature, args):
        a = _Arrays(context, builder, signature, args, signature.args[1].dtype)
        two = ir.Constant(ir.VectorType(a.real, 2), ir.Undefined)
        two = builder.insert_element(builder.insert_element(two, args[9], _i32(0)), args[10], _i32(1))
        value = builder.fmul(a.paired_taps(6), _shuffle(builder, two, [0, 1] * a.padded))
        base, kv_at, kw_at = a.pointer(1), a.pointer(7), a.pointer(8)
        rows = []
        for j in range(a.support):
            tap = builder.load(a.offset(kv_at, j))
            rows.append(builder.fmul(value, _splat(builder, tap, 2 * a.padded)))
        with cgutils.for_range(builder, args[5], start=args[4]) as loop:
            weight = _splat(builder, builder.load(a.offset(kw_at, loop.index)), 2 * a.padded)
            at = builder.add(builder.load(a.offset(a.pointer(3), loop.index)), args[2])
            for j, cell in a.rows(a.offset(base, at)):
                total = _multiply_add(builder, rows[j], weight, _vector(builder, cell, a.pair_type, a.align))
                builder.store(total, builder.bitcast(cell, a.pair_type.as_pointer()), align=a.align)
        return context.get_dummy_value()

    real = buffer.dtype
    return types.void(support, buffer, types.intp, plane_at, types.intp, types.intp, ku, kv, kw, real, real), codegen


@intrinsic
def gather(typingctx, support, buffer, start, plane_at, first, last, ku, kv, kw):
    """(re, im) of the sum over planes, rows and columns of kw kv ku buffer: the transpose of `spread`."""

    def codegen(context, builder, signature, args):
        a = _Arrays(context, builder, signature, args, signature.args[1].dtype)
        zero = ir.Constant(a.pair_type, None)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(min(4, a.support))]
        for total in sums:
            builder.store(zero, total)
        base, kv_at, kw_at = a.pointer(1), a.pointer(7), a.pointer(8)
        with cgutils.for_range(builder, args[5], start=args[4]) as loop:
            weight = builder.load(a.offset(kw_at, loop.index))
            at = builder.add(builder.load(a.offset(a.pointer(3), loop.index)), args[2])
            for j, cell in a.rows(a.offset(base, at)):
                factor = _splat(builder, builder.fmul(weight, builder.load(a.offset(kv_at, j))), 2 * a.padded)
                total = sums[j % len(sums)]
                part = _multiply_add(builder, factor, _vector(builder, cell, a.pair_type, a.align), builder.load(total))
                builder.store(part, total)
        total = builder.load(sums[0])
        for other in sums[1:]:
            total = builder.fadd(total, builder.load(other))
        total = builder.fmul(total, a.paired_taps(6))
        parts = []
        for first_lane in (0, 1):
            lanes = [builder.extract_element(total, _i32(first_lane + 2 * i)) for i in range(a.support)]
            while len(lanes) > 1:
                odd = [lanes[-1]] if len(lanes) % 2 else []
                lanes = [builder.fadd(x, y) for x, y in zip(lanes[0:-1:2], lanes[1::2], strict=True)] + odd
            parts.append(lanes[0])
        return context.make_tuple(builder, signature.return_type, parts)

    both = types.UniTuple(buffer.dtype, 2)
    return both(support, buffer, types.intp, plane_at, types.intp, types.intp, ku, kv, kw), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Ask for the cache line of a contiguous array's element of that flat index; a hint, any index will do."""

    def codegen(context, builder, signature, args):
        pointer = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(pointer, [args[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, ir.IntType(32), ir.IntType(32), ir.IntType(32)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [place, _i32(0), _i32(3), _i32(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


def degree(support: int) -> int:
    """Of the polynomials that stand for the taps; their error is then below the kernel's own."""
    return support + 1


if config.DISABLE_JIT:

    def taps(support, coefficients, z, out):
        out[: coefficients.shape[1]] = [np.polyval(column, z) for column in coefficients.T]

    def _block(support, start, ku, kv):
        cells = start + np.arange(len(support))[:, None] * row_stride(len(support)) + 2 * np.arange(len(support))
        return cells, kv[: len(support), None] * ku[: len(support)]

    def spread(support, buffer, start, plane_at, first, last, ku, kv, kw, re, im):
        cells, weight = _block(support, start, ku, kv)
        for p in range(first, last):
            buffer[plane_at[p] + cells] += kw[p] * weight * re
            buffer[plane_at[p] + cells + 1] += kw[p] * weight * im

    def prefetch(array, index):
        pass

    def gather(support, buffer, start, plane_at, first, last, ku, kv, kw):
        cells, weight = _block(support, start, ku, kv)
        re = sum(kw[p] * (weight * buffer[plane_at[p] + cells]).sum() for p in range(first, last))
        im = sum(kw[p] * (weight * buffer[plane_at[p] + cells + 1]).sum() for p in range(first, last))
        return re, im


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


# --- between planes and image ----------------------------------------------------------------------------------------


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
