"""Bins of samples as explicit vectors: taps, spread, gather.

A bin is what starts in the same row and the same half row of a tile: the cells that its samples reach are kept in
registers, LANES of real and as many of imaginary parts for each of the kernel's rows. How and why: gridding_taps.py.
Numba renews its cache when the file of a *calling* function changes: touch gridding_flat.py after a change here.
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from imaging.kernels.gridding_runs import Vectors
from imaging.kernels.gridding_taps import TILE, _multiply_add, _splat, degree

GROUP = TILE // 2  # cells of a row that a bin may start at, and the widest kernel
LANES = 2 * GROUP  # cells that a bin reaches
ROW = 2 * (TILE + GROUP)  # numbers in a row of a tile's buffer: real parts, then imaginary ones


@intrinsic
def both_taps(typingctx, support, coefficients, zu, zv, out, at):
    """out[at : at + LANES] = the taps at zu, then those at zv, GROUP each.

    coefficients (degree + 1, LANES): those of the taps, highest degree first, filled up with zeros, twice.
    """

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[1].dtype)
        halves = [_splat(builder, args[i], GROUP) for i in (2, 3)]
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(LANES)))
        value = builder.shuffle_vector(*halves, lanes)
        pointer = a.pointer(1)
        total = a.load(pointer, LANES)
        for i in range(1, degree(len(signature.args[0])) + 1):
            total = _multiply_add(builder, total, value, a.load(a.offset(pointer, i * LANES), LANES))
        a.store(total, a.pointer(4, args[5]))
        return context.get_dummy_value()

    real = coefficients.dtype
    return types.void(support, coefficients, real, real, out, types.intp), codegen


def _samples_of_bin(a, first, last):
    """Loop over the samples of a bin; gives the index, the taps along u at their lanes, and where those along v are."""
    builder = a.builder
    with cgutils.for_range(builder, last, start=first) as loop:
        k = builder.sext(builder.load(a.offset(a.plain(3), loop.index)), ir.IntType(64))
        shift = builder.sext(builder.load(a.offset(a.plain(4), k)), ir.IntType(64))
        pointer = a.pointer(7, builder.mul(k, a.word(LANES)))
        lanes = ir.Constant(ir.VectorType(ir.IntType(64), LANES), list(range(LANES)))
        here = builder.sub(lanes, _splat(builder, shift, LANES))
        mask = builder.icmp_unsigned("<", here, ir.Constant(here.type, [GROUP] * LANES))
        yield k, a.load_masked(a.offset(pointer, builder.neg(shift)), mask), a.offset(pointer, GROUP)


@intrinsic
def spread_bin(typingctx, support, buffer, start, order, shift, first, last, taps, re, im, offset):
    """Add the samples order[first : last] to the rows of a tile's buffer from `start` on.

    shift[k] : cells from the bin's first one to the sample's; taps : of `both_taps`, LANES a sample; re, im
    [offset + k].
    """

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[1].dtype)
        rows, sums = range(len(signature.args[0])), []
        for j in rows:
            for part in (0, TILE + GROUP):
                at = a.pointer(1, builder.add(args[2], a.word(j * ROW + part)))
                sums.append((at, cgutils.alloca_once_value(builder, a.load(at, LANES))))
        for at, total in sums:
            builder.store(a.load(at, LANES), total)
        for k, ku, kv in _samples_of_bin(a, args[5], args[6]):
            place = builder.add(args[10], k)
            parts = [builder.fmul(ku, _splat(builder, builder.load(a.pointer(i, place)), LANES)) for i in (8, 9)]
            for j in rows:
                tap = _splat(builder, builder.load(a.offset(kv, j)), LANES)
                for part in (0, 1):
                    total = sums[2 * j + part][1]
                    builder.store(_multiply_add(builder, tap, parts[part], builder.load(total)), total)
        for at, total in sums:
            a.store(builder.load(total), at)
        return context.get_dummy_value()

    n = types.intp
    return types.void(support, buffer, n, order, shift, n, n, taps, re, im, n), codegen


@intrinsic
def gather_bin(typingctx, support, buffer, start, order, shift, first, last, taps, re, im, offset):
    """re, im [offset + k] = the sum of what the buffer holds for the samples order[first : last], see `spread_bin`."""

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[1].dtype)
        cells = [[a.load(a.pointer(1, builder.add(args[2], a.word(j * ROW + part))), LANES)
                  for j in range(len(signature.args[0]))] for part in (0, TILE + GROUP)]  # fmt: skip
        for k, ku, kv in _samples_of_bin(a, args[5], args[6]):
            place = builder.add(args[10], k)
            for i, rows in ((8, cells[0]), (9, cells[1])):
                total = ir.Constant(a.kind(LANES), None)
                for j, row in enumerate(rows):
                    total = _multiply_add(builder, _splat(builder, builder.load(a.offset(kv, j)), LANES), row, total)
                builder.store(a.total(builder.fmul(total, ku)), a.pointer(i, place))
        return context.get_dummy_value()

    n = types.intp
    return types.void(support, buffer, n, order, shift, n, n, taps, re, im, n), codegen


if config.DISABLE_JIT:

    def both_taps(support, coefficients, zu, zv, out, at):
        z = np.repeat([zu, zv], GROUP)
        out[at : at + LANES] = [np.polyval(column, x) for column, x in zip(coefficients.T, z, strict=True)]

    def _cells(support, start, k, shift, taps):
        ku, kv = taps[k * LANES : (k + 1) * LANES].reshape(2, GROUP)
        cells = start + np.arange(len(support))[:, None] * ROW + shift[k] + np.arange(len(support))
        return cells, kv[: len(support), None] * ku[: len(support)]

    def spread_bin(support, buffer, start, order, shift, first, last, taps, re, im, offset):
        for k in order[first:last]:
            cells, weight = _cells(support, start, k, shift, taps)
            buffer[cells] += weight * re[offset + k]
            buffer[cells + TILE + GROUP] += weight * im[offset + k]

    def gather_bin(support, buffer, start, order, shift, first, last, taps, re, im, offset):
        for k in order[first:last]:
            cells, weight = _cells(support, start, k, shift, taps)
            re[offset + k] = (weight * buffer[cells]).sum()
            im[offset + k] = (weight * buffer[cells + TILE + GROUP]).sum()
