"""The block of kernel taps around a sample, as explicit vectors: evaluate the taps, spread a value, gather one.

Numba turns a generator of LLVM instructions (`intrinsic`) into a function. The vectors' width comes from the *type* of
`support`, a tuple as long as the kernel is wide: numba's cache on disk works with that, and would not with closures.
Under NUMBA_DISABLE_JIT the functions are plain loops. Numba renews its cache when the file of a *calling* function
changes: touch gridding.py after a change here.
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

TILE = 16  # cells; a power of two not below the widest kernel, so that only next neighbours overlap


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
