"""Runs of samples as explicit vectors: their coordinates, weights and visibilities to and from a block.

Runs are short, often of a few samples: a vector of which a part is masked costs less than a loop. How and why:
gridding_taps.py. Numba renews its cache when the file of a *calling* function changes: touch gridding.py and
gridding_flat.py after a change here.
"""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from imaging.kernels.gridding_taps import _i32, _shuffle, _splat, _vector


class Vectors:
    """Pointers and masked vectors of an intrinsic's array arguments."""

    def __init__(self, context, builder, signature, args, real):
        self.context, self.builder, self.signature, self.args = context, builder, signature, args
        self.real = context.get_data_type(real)
        self.bits = 32 if real is types.float32 else 64

    def kind(self, width):
        return ir.VectorType(self.real, width)

    def pointer(self, i, index=None, twice=False):
        """To the numbers of argument `i` from `index` on; `twice` where they are complex."""
        array = self.builder.bitcast(self.plain(i), self.real.as_pointer())
        if index is None:
            return array
        return self.offset(array, self.builder.mul(index, self.word(2)) if twice else index)

    def plain(self, i):
        """To the elements of argument `i`, of whatever type."""
        return self.context.make_array(self.signature.args[i])(self.context, self.builder, self.args[i]).data

    def word(self, number):
        return ir.Constant(ir.IntType(64), number)

    def offset(self, pointer, index):
        return self.builder.gep(pointer, [index if isinstance(index, ir.Value) else self.word(index)])

    def load(self, pointer, width):
        return _vector(self.builder, pointer, self.kind(width), self.bits // 8)

    def store(self, value, pointer):
        self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()), align=self.bits // 8)

    def below(self, count, width):
        """Mask of the lanes below a 64-bit count."""
        kind = ir.VectorType(ir.IntType(64), width)
        lanes = ir.Constant(kind, list(range(width)))
        return self.builder.icmp_unsigned("<", lanes, _splat(self.builder, count, width))

    def _masked(self, name, result, arguments):
        function = ir.FunctionType(result, [a.type for a in arguments])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function, name), arguments)

    def load_masked(self, pointer, mask):
        """Zero, and nothing read, where the mask is false."""
        kind = self.kind(mask.type.count)
        at = self.builder.bitcast(pointer, kind.as_pointer())
        name = f"llvm.masked.load.v{kind.count}f{self.bits}.p0v{kind.count}f{self.bits}"
        return self._masked(name, kind, [at, _i32(self.bits // 8), mask, ir.Constant(kind, None)])

    def store_masked(self, value, pointer, mask):
        kind = value.type
        at = self.builder.bitcast(pointer, kind.as_pointer())
        name = f"llvm.masked.store.v{kind.count}f{self.bits}.p0v{kind.count}f{self.bits}"
        self._masked(name, ir.VoidType(), [value, at, _i32(self.bits // 8), mask])

    def total(self, vector):
        """Sum of the lanes, by halves."""
        width = vector.type.count
        while width > 1:
            width //= 2
            low = _shuffle(self.builder, vector, list(range(width)))
            vector = self.builder.fadd(low, _shuffle(self.builder, vector, list(range(width, 2 * width))))
        return self.builder.extract_element(vector, _i32(0))


def _portions(vectors, count, width):
    """Loop over `count` lanes, `width` at a time; gives the first lane and how many are left."""
    builder = vectors.builder
    with cgutils.for_range_slice(builder, vectors.word(0), count, vectors.word(width)) as (first, _):
        yield first, builder.sub(count, first)


@intrinsic
def scale(typingctx, out, at, count, factor, source, first):
    """out[at : at + count] = factor * source[first : ...]; up to 7 more are written, and read."""

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[0].dtype)
        factor = _splat(builder, args[3], 8)
        for i, _ in _portions(a, args[2], 8):
            value = a.load(a.pointer(4, builder.add(args[5], i)), 8)
            a.store(builder.fmul(value, factor), a.pointer(0, builder.add(args[1], i)))
        return context.get_dummy_value()

    return types.void(out, types.intp, types.intp, out.dtype, source, types.intp), codegen


@intrinsic
def put(typingctx, out, at, count, source, first):
    """out[at : at + count] = source[first : ...], or 1 where `first` is negative; up to 15 more are written."""

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[0].dtype)
        given = builder.icmp_signed(">=", args[4], a.word(0))
        lanes = builder.select(given, args[2], a.word(0))
        one = _splat(builder, builder.select(given, ir.Constant(a.real, 0), ir.Constant(a.real, 1)), 16)
        for i, _ in _portions(a, args[2], 16):
            mask = a.below(builder.select(given, builder.sub(lanes, i), a.word(0)), 16)
            value = builder.fadd(a.load_masked(a.pointer(3, builder.add(args[4], i)), mask), one)
            a.store(value, a.pointer(0, builder.add(args[1], i)))
        return context.get_dummy_value()

    return types.void(out, types.intp, types.intp, source, types.intp), codegen


@intrinsic
def multiply(typingctx, re, im, at, count, vis, first, sign):
    """re, im [at : at + count] = re * vis[first : ...], conjugate where `sign` is -1; 0 where re is 0, whatever vis.

    Up to 15 more of re and im are written.
    """

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[0].dtype)
        sign, zero = _splat(builder, args[6], 16), ir.Constant(a.kind(16), None)
        for i, left in _portions(a, args[3], 16):
            both = a.load_masked(a.pointer(4, builder.add(args[5], i), True), a.below(builder.shl(left, a.word(1)), 32))
            at_re, at_im = (a.pointer(j, builder.add(args[2], i)) for j in (0, 1))
            weight = a.load(at_re, 16)
            used = builder.fcmp_unordered("!=", weight, zero)
            x = builder.fmul(weight, _shuffle(builder, both, list(range(0, 32, 2))))
            y = builder.fmul(builder.fmul(weight, sign), _shuffle(builder, both, list(range(1, 32, 2))))
            a.store(builder.select(used, x, zero), at_re)
            a.store(builder.select(used, y, zero), at_im)
        return context.get_dummy_value()

    return types.void(re, im, types.intp, types.intp, vis, types.intp, re.dtype), codegen


@intrinsic
def add(typingctx, vis, first, count, re, im, at, sign):
    """vis[first : first + count] += re + i sign im, of [at : ...]."""

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[3].dtype)
        sign = _splat(builder, args[6], 16)
        for i, left in _portions(a, args[2], 16):
            x, y = (a.load(a.pointer(j, builder.add(args[5], i)), 16) for j in (3, 4))
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), 32), [i // 2 + 16 * (i % 2) for i in range(32)])
            both = builder.shuffle_vector(x, builder.fmul(y, sign), lanes)
            mask, there = a.below(builder.shl(left, a.word(1)), 32), a.pointer(0, builder.add(args[1], i), True)
            a.store_masked(builder.fadd(a.load_masked(there, mask), both), there, mask)
        return context.get_dummy_value()

    return types.void(vis, types.intp, types.intp, re, im, types.intp, re.dtype), codegen


if config.DISABLE_JIT:

    def scale(out, at, count, factor, source, first):
        out[at : at + count] = factor * source[first : first + count]

    def put(out, at, count, source, first):
        out[at : at + count] = source[first : first + count] if first >= 0 else 1

    def multiply(re, im, at, count, vis, first, sign):
        weight = re[at : at + count].copy()
        value = np.where(weight != 0, vis[first : first + count], 0)
        re[at : at + count], im[at : at + count] = weight * value.real, weight * sign * value.imag

    def add(vis, first, count, re, im, at, sign):
        vis[first : first + count] += re[at : at + count] + 1j * sign * im[at : at + count]
