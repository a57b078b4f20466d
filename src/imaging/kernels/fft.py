"""One-dimensional transforms of many columns or rows of a complex grid at once, only where there is something.

Stockham's self-sorting algorithm (Van Loan 1992, Computational Frameworks for the FFT, 1.7) with radices 4, 5, 3 and 2,
on LANES transforms side by side: all arithmetic is on whole vectors, and a column's neighbours share its cache lines.
The scratch array holds LANES real parts, then LANES imaginary parts, per element. A transform with the other sign is
this one with real and imaginary parts exchanged.
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from imaging.kernels._jit import njit
from imaging.kernels.gridding_taps import prefetch

LANES = 8
WIDE = 4  # blocks of LANES columns read together, from one stretch of memory; divides the blocks of a grid
AHEAD = 12  # rows between asking for memory and using it


def _pointer(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def _dft(b, x):
    """Forward transform of 2 to 5 (re, im) pairs, as instructions."""

    def number(value):
        vector = x[0][0].type
        return ir.Constant(vector, [float(np.float32(value) if str(vector.element) == "float" else value)] * LANES)

    def add(p, q):
        return b.fadd(p[0], q[0]), b.fadd(p[1], q[1])

    def subtract(p, q):
        return b.fsub(p[0], q[0]), b.fsub(p[1], q[1])

    def scale(p, factor):
        return b.fmul(p[0], number(factor)), b.fmul(p[1], number(factor))

    def fused(p, factor, q):
        flags = ("contract",)
        return tuple(b.fadd(b.fmul(i, number(factor), flags=flags), j, flags=flags) for i, j in zip(p, q, strict=True))

    def pair(even, odd):
        """even - i odd, even + i odd"""
        return (b.fadd(even[0], odd[1]), b.fsub(even[1], odd[0])), (b.fsub(even[0], odd[1]), b.fadd(even[1], odd[0]))

    if len(x) == 2:
        return [add(x[0], x[1]), subtract(x[0], x[1])]
    if len(x) == 4:
        s, d, t, e = add(x[0], x[2]), subtract(x[0], x[2]), add(x[1], x[3]), subtract(x[1], x[3])
        low, high = pair(d, e)
        return [add(s, t), low, subtract(s, t), high]
    half = len(x) // 2
    sums = [add(x[j], x[-j]) for j in range(1, half + 1)]
    differences = [subtract(x[j], x[-j]) for j in range(1, half + 1)]
    total = x[0]
    for s in sums:
        total = add(total, s)
    out = [total] + [None] * (len(x) - 1)
    for k in range(1, half + 1):
        angles = [2 * np.pi * j * k / len(x) for j in range(1, half + 1)]
        even, odd = x[0], scale(differences[0], np.sin(angles[0]))
        for j in range(half):
            even = fused(sums[j], np.cos(angles[j]), even)
            if j:
                odd = fused(differences[j], np.sin(angles[j]), odd)
        out[k], out[-k] = pair(even, odd)
    return out


@intrinsic
def butterfly(typingctx, radix, x, at, step, y, to, jump, twiddles, first):
    """y[to + k jump] = w_k sum_j x[at + j step] exp(-2 pi i j k / radix), w_0 = 1; `radix` is a tuple as long."""

    def codegen(context, builder, signature, args):
        real = context.get_data_type(signature.args[1].dtype)
        vector, size, align = ir.VectorType(real, LANES), len(signature.args[0]), 4
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        zero = ir.Constant(ir.IntType(32), 0)

        def lanes(array, index, part):
            index = builder.add(index, ir.Constant(ir.IntType(64), part * LANES))
            return builder.bitcast(_pointer(context, builder, signature.args[array], args[array], index),
                                   vector.as_pointer())  # fmt: skip

        def factor(i):
            index = builder.add(args[8], ir.Constant(ir.IntType(64), i))
            scalar = builder.load(_pointer(context, builder, signature.args[7], args[7], index))
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, zero)
            return builder.shuffle_vector(one, one, mask)

        inputs, index = [], args[2]
        for _ in range(size):
            inputs.append(tuple(builder.load(lanes(1, index, part), align=align) for part in (0, 1)))
            index = builder.add(index, args[3])
        index = args[5]
        for k, (re, im) in enumerate(_dft(builder, inputs)):
            if k:
                c, s = factor(2 * k - 2), factor(2 * k - 1)
                fuse = {"flags": ("contract",)}
                re, im = (builder.fsub(builder.fmul(re, c, **fuse), builder.fmul(im, s, **fuse), **fuse),
                          builder.fadd(builder.fmul(re, s, **fuse), builder.fmul(im, c, **fuse), **fuse))  # fmt: skip
            builder.store(re, lanes(4, index, 0), align=align)
            builder.store(im, lanes(4, index, 1), align=align)
            index = builder.add(index, args[6])
        return context.get_dummy_value()

    i = types.intp
    return types.void(radix, x, i, i, y, i, i, twiddles, i), codegen


def _move(typingctx, grid, index, x, at, forward, onto_grid):
    def codegen(context, builder, signature, args):
        real = context.get_data_type(signature.args[0].dtype)
        vector, both = ir.VectorType(real, LANES), ir.VectorType(real, 2 * LANES)

        def place(array, index, kind):
            return builder.bitcast(_pointer(context, builder, signature.args[array], args[array], index),
                                   kind.as_pointer())  # fmt: skip

        def lanes(order):
            return ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)

        other = ir.Constant(ir.IntType(64), LANES)
        half = builder.select(args[4], ir.Constant(ir.IntType(64), 0), other)
        re = place(2, builder.add(args[3], half), vector)
        im = place(2, builder.add(args[3], builder.sub(other, half)), vector)
        cells = place(0, args[1], both)
        if onto_grid:
            re, im = builder.load(re, align=4), builder.load(im, align=4)
            order = [i // 2 + LANES * (i % 2) for i in range(2 * LANES)]
            builder.store(builder.shuffle_vector(re, im, lanes(order)), cells, align=4)
        else:
            value = builder.load(cells, align=4)
            for part, pointer in enumerate((re, im)):
                order = lanes([2 * i + part for i in range(LANES)])
                builder.store(builder.shuffle_vector(value, value, order), pointer, align=4)
        return context.get_dummy_value()

    return types.void(grid, types.intp, x, types.intp, types.boolean), codegen


@intrinsic
def take(typingctx, grid, index, x, at, forward):
    """LANES complex numbers of a flat grid from `index` on to x[at...]; re and im exchanged unless `forward`."""
    return _move(typingctx, grid, index, x, at, forward, False)


@intrinsic
def put(typingctx, grid, index, x, at, forward):
    """The other way."""
    return _move(typingctx, grid, index, x, at, forward, True)


if config.DISABLE_JIT:

    def butterfly(radix, x, at, step, y, to, jump, twiddles, first):
        size, lane = len(radix), np.arange(LANES)
        a = [x[at + j * step + lane] + 1j * x[at + j * step + LANES + lane] for j in range(size)]
        for k in range(size):
            w = twiddles[first + 2 * k - 2] + 1j * twiddles[first + 2 * k - 1] if k else 1
            out = w * sum(a[j] * np.exp(-2j * np.pi * j * k / size) for j in range(size))
            y[to + k * jump + lane], y[to + k * jump + LANES + lane] = out.real, out.imag

    def _columns(at, forward):
        lane = np.arange(LANES)
        return (at + lane, at + LANES + lane) if forward else (at + LANES + lane, at + lane)

    def take(grid, index, x, at, forward):
        re, im = _columns(at, forward)
        x[re], x[im] = grid[index : index + 2 * LANES : 2], grid[index + 1 : index + 2 * LANES : 2]

    def put(grid, index, x, at, forward):
        re, im = _columns(at, forward)
        grid[index : index + 2 * LANES : 2], grid[index + 1 : index + 2 * LANES : 2] = x[re], x[im]


def radices(n: int) -> list[int] | None:
    """Factors of n that have a butterfly, None where it has others."""
    factors = []
    for radix in (4, 5, 3, 2):
        while n % radix == 0:
            factors.append(radix)
            n //= radix
    return factors if n == 1 else None


def twiddle_factors(n: int, factors: list[int], real) -> np.ndarray:
    """What `butterfly` multiplies by, flat: stage, p, k = 1 ... radix - 1, (re, im)."""
    parts = [np.empty(0)]
    for radix in factors:
        turns = np.outer(np.arange(n // radix), np.arange(1, radix)) / n
        parts.append(np.stack([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)], axis=-1).ravel())
        n //= radix
    return np.concatenate(parts).astype(real)


@njit(cache=True, error_model="numpy")
def stage(radix, x, y, n, s, twiddles, first):
    """One pass of length n and stride s from x to y."""
    size, unit = len(radix), 2 * LANES
    m = n // size
    for p in range(m):
        at, to, w = s * p * unit, s * size * p * unit, first + 2 * (size - 1) * p
        for q in range(s):
            butterfly(radix, x, at + q * unit, s * m * unit, y, to + q * unit, s * unit, twiddles, w)


@njit(cache=True, error_model="numpy")
def transform_lanes(x, y, n, factors, twiddles):
    """Transform x in place; y is scratch."""
    s, first, length = 1, 0, n
    for i in range(factors.size):
        radix = factors[i]
        a, b = (x, y) if i % 2 == 0 else (y, x)
        if radix == 4:
            stage((0, 0, 0, 0), a, b, length, s, twiddles, first)
        elif radix == 5:
            stage((0, 0, 0, 0, 0), a, b, length, s, twiddles, first)
        elif radix == 3:
            stage((0, 0, 0), a, b, length, s, twiddles, first)
        else:
            stage((0, 0), a, b, length, s, twiddles, first)
        first += 2 * (radix - 1) * (length // radix)
        length //= radix
        s *= radix
    if factors.size % 2:
        for i in range(2 * LANES * n):
            x[i] = y[i]


@njit(cache=True, error_model="numpy")
def read_columns(grid, pitch, row0, row1, block, used, forward, x):
    """WIDE blocks of some rows of the flat grid into the scratch array, one after the other."""
    for row in range(row0, row1):
        for i in range(WIDE):
            if used[block + i]:
                cell = row * pitch + 2 * LANES * (block + i)
                prefetch(grid, min(cell + AHEAD * pitch, grid.size - 1))
                take(grid, cell, x, 2 * LANES * (i * (grid.size // pitch) + row), forward)


@njit(cache=True, error_model="numpy")
def write_columns(grid, pitch, row0, row1, block, used, forward, x):
    """The other way."""
    for row in range(row0, row1):
        for i in range(WIDE):
            if used[block + i]:
                cell = row * pitch + 2 * LANES * (block + i)
                prefetch(grid, min(cell + AHEAD * pitch, grid.size - 1))
                put(grid, cell, x, 2 * LANES * (i * (grid.size // pitch) + row), forward)


@njit(cache=True, nogil=True, error_model="numpy")
def along_v(grid, used, block0, block1, ny, forward, factors, twiddles):
    """Transform columns of grid (v, 2 u) in place, LANES at a time, where `used` (block,).

    Forward, only the ny rows around zero frequency are written; backward, only those are read, the others being zero.
    """
    n, pitch = grid.shape[0], grid.shape[1]
    cells = grid.reshape(-1)
    x, y = np.empty(WIDE * 2 * LANES * n, grid.dtype), np.empty(2 * LANES * n, grid.dtype)
    low, high = ny - ny // 2, n - ny // 2
    wide = 2 * LANES * n
    for block in range(block0, block1, WIDE):
        if forward:
            read_columns(cells, pitch, 0, n, block, used, forward, x)
        else:
            read_columns(cells, pitch, 0, low, block, used, forward, x)
            read_columns(cells, pitch, high, n, block, used, forward, x)
        for i in range(WIDE):
            if used[block + i]:
                part = x[i * wide : (i + 1) * wide]
                if not forward:
                    part[2 * LANES * low : 2 * LANES * high] = 0
                transform_lanes(part, y, n, factors, twiddles)
        if forward:
            write_columns(cells, pitch, 0, low, block, used, forward, x)
            write_columns(cells, pitch, high, n, block, used, forward, x)
        else:
            write_columns(cells, pitch, 0, n, block, used, forward, x)


@njit(cache=True, nogil=True, error_model="numpy")
def clear(grid, used):
    """Zero the columns of grid (v, 2 u) that are `used`, LANES at a time."""
    for row in range(grid.shape[0]):
        for block in range(used.size):
            if used[block]:
                for k in range(2 * LANES * block, 2 * LANES * (block + 1)):
                    grid[row, k] = 0
