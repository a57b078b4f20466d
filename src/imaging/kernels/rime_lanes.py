"""Sums over sources of products of Jones matrices, as explicit vectors: LANES samples of time and frequency at once.

Arrays are flat float64. A block of sources is stored source by source, entry by entry of the matrices, real and
imaginary apart: x[source stride + (2 entry + part) LANES + lane]. What is multiplied depends on the *type* of `kind`, a
tuple as long as there are complex products a source (PATTERNS): numba's cache works with types, not with closures.
Under NUMBA_DISABLE_JIT the functions are plain loops.
"""

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from imaging.kernels.gridding_taps import _multiply_add, _vector

LANES = 8 if binding.get_host_cpu_features().get("avx512f") else 4
# V_pq += x y^* with x = J_p K_p B and y = J_q K_q: (entry of x, entry of y, entry of V) of each product.
PATTERNS = {
    1: ((0, 0, 0),),  # scalars, unpolarised: V is v times the identity
    2: ((0, 0, 0), (1, 1, 1)),  # diagonals, unpolarised: V is diagonal
    4: tuple((2 * a + b, b, 2 * a + b) for b in range(2) for a in range(2)),  # diagonals: x is full
    8: tuple((2 * a + c, 2 * b + c, 2 * a + b) for c in range(2) for b in range(2) for a in range(2)),
}
# x = y B: the products (entry of y, entry of B) that are added for each entry of x.
LIGHT = {
    1: (((0, 0),),),
    2: (((0, 0),), ((1, 0),)),
    4: tuple(((a, 2 * a + b),) for a in range(2) for b in range(2)),
    8: tuple(((2 * a, b), (2 * a + 1, 2 + b)) for a in range(2) for b in range(2)),
}
# Which entry of a product is XX, XY, YX, YY of the visibilities.
CORRELATIONS = {1: (0, None, None, 0), 2: (0, None, None, 1), 4: (0, 1, 2, 3), 8: (0, 1, 2, 3)}


@register_jitable
def stride(kind):
    """From one source to the next."""
    return 2 * min(len(kind), 4) * LANES


@register_jitable
def sources_at_once(kind):
    """So many that a station's matrices take 8 KiB: x and two stations' y stay in the first cache."""
    return 64 // min(len(kind), 4)


@register_jitable
def entries(kind):
    """How many y has, and how many x and V have."""
    return (4 if len(kind) == 8 else 2 if len(kind) > 1 else 1), min(len(kind), 4)


def _pointer(context, builder, signature, args, i):
    return context.make_array(signature.args[i])(context, builder, args[i]).data


def _i64(value):
    return ir.Constant(ir.IntType(64), value)


VECTOR = ir.VectorType(ir.DoubleType(), LANES)


def _shuffle(builder, a, b, lanes):
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _transposed(builder, rows):
    """n vectors, in each of whose groups of n elements the matrix of n x n is transposed."""
    rows, width, step = list(rows), rows[0].type.count, 1
    while step < len(rows):
        for i in range(len(rows)):
            if not i & step:
                a, b = rows[i], rows[i | step]
                rows[i] = _shuffle(builder, a, b, [width + k - step if k & step else k for k in range(width)])
                rows[i | step] = _shuffle(builder, a, b, [width + k if k & step else k + step for k in range(width)])
        step *= 2
    return rows


def _joined(builder, parts):
    while len(parts) > 1:
        both = list(range(2 * parts[0].type.count))
        parts = [_shuffle(builder, a, b, both) for a, b in zip(parts[0::2], parts[1::2], strict=True)]
    return parts[0]


@intrinsic
def take(typingctx, size, source, first, lane_at, out, at):
    """out[at + k LANES + lane] = source[first + lane_at[lane] + k] for k < len(size): 2, 4 or 8."""
    count = len(size)

    def codegen(context, builder, signature, args):
        base = builder.gep(_pointer(context, builder, signature, args, 1), [args[2]])
        offsets = _pointer(context, builder, signature, args, 3)
        lanes = [builder.gep(base, [builder.load(builder.gep(offsets, [_i64(i)]))]) for i in range(LANES)]
        width = min(count, LANES)
        kind, found = ir.VectorType(ir.DoubleType(), width), []
        for half in range(count // width):
            parts = [_vector(builder, builder.gep(lane, [_i64(half * width)]), kind, 8) for lane in lanes]
            rows = [_joined(builder, parts[i::width]) for i in range(width)]
            found += _transposed(builder, rows)
        place = builder.gep(_pointer(context, builder, signature, args, 4), [args[5]])
        for vector in found:
            builder.store(vector, builder.bitcast(place, VECTOR.as_pointer()), align=8)
            place = builder.gep(place, [_i64(LANES)])
        return context.get_dummy_value()

    return types.void(size, source, types.intp, lane_at, out, types.intp), codegen


@intrinsic
def give(typingctx, kind, source, at, out, lane_at, lanes_at):
    """out[lane_at[lanes_at + lane]:] += XX, XY, YX, YY of the products source[at:], for places not negative."""
    count = len(kind)

    def codegen(context, builder, signature, args):
        base = builder.gep(_pointer(context, builder, signature, args, 1), [args[2]])
        out = _pointer(context, builder, signature, args, 3)
        offsets = builder.gep(_pointer(context, builder, signature, args, 4), [args[5]])
        rows = []
        for entry in CORRELATIONS[count]:
            for part in range(2):
                if entry is None:
                    rows.append(ir.Constant(VECTOR, None))
                else:
                    rows.append(_vector(builder, builder.gep(base, [_i64((2 * entry + part) * LANES)]), VECTOR, 8))
        halves = [_transposed(builder, rows[i : i + LANES]) for i in range(0, 8, LANES)]
        for lane in range(LANES):
            offset = builder.load(builder.gep(offsets, [_i64(lane)]))
            with builder.if_then(builder.icmp_signed(">=", offset, _i64(0)), likely=True):
                for i, half in enumerate(halves):
                    place = builder.gep(out, [builder.add(offset, _i64(i * LANES))])
                    total = builder.fadd(_vector(builder, place, VECTOR, 8), half[lane])
                    builder.store(total, builder.bitcast(place, VECTOR.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(kind, source, types.intp, out, lane_at, types.intp), codegen


class _Block:
    """Entries of the matrices of a block's sources, in a loop over these."""

    def __init__(self, builder, kind, pointer):
        self.builder, self.stride, self.pointer = builder, stride(kind), pointer

    def at(self, source, entry, part):
        first = self.builder.mul(source, _i64(self.stride))
        return self.builder.gep(self.pointer, [self.builder.add(first, _i64((2 * entry + part) * LANES))])

    def load(self, entry, source):
        return [_vector(self.builder, self.at(source, entry, part), VECTOR, 8) for part in range(2)]

    def store(self, entry, source, value):
        for part in range(2):
            place = self.builder.bitcast(self.at(source, entry, part), VECTOR.as_pointer())
            self.builder.store(value[part], place, align=8)


def _product(builder, a, b, total=None):
    """a b, or a b + total, of pairs (real, imaginary)."""
    (ar, ai), (br, bi) = a, b
    if total is None:
        re, im = builder.fmul(ar, br), builder.fmul(ar, bi)
    else:
        re, im = _multiply_add(builder, ar, br, total[0]), _multiply_add(builder, ar, bi, total[1])
    return _multiply_subtract(builder, ai, bi, re), _multiply_add(builder, ai, br, im)


def _multiply_subtract(builder, a, b, c):
    return builder.fsub(c, builder.fmul(a, b, flags=("contract",)), flags=("contract",))


def _turn(number):
    @intrinsic
    def turned(typingctx, kind, x, x_at, c, s, count, out, out_at):
        """out[out_at:] = x[x_at:] (c + i s), `count` sources' matrices; c and s (source, lane)."""

        def codegen(context, builder, signature, args):
            kind = signature.args[0]
            x, c, s, out = (_pointer(context, builder, signature, args, i) for i in (1, 3, 4, 6))
            x, out = (
                _Block(builder, kind, builder.gep(x, [args[2]])),
                _Block(builder, kind, builder.gep(out, [args[7]])),
            )
            with cgutils.for_range(builder, args[5]) as loop:
                source, at = loop.index, builder.mul(loop.index, _i64(LANES))
                factor = [_vector(builder, builder.gep(part, [at]), VECTOR, 8) for part in (c, s)]
                for entry in range(entries(kind)[number]):
                    out.store(entry, source, _product(builder, x.load(entry, source), factor))
            return context.get_dummy_value()

        return types.void(kind, x, types.intp, c, s, types.intp, out, types.intp), codegen

    return turned


turn_y, turn_x = _turn(0), _turn(1)


@intrinsic
def with_light(typingctx, kind, y, y_at, light, count, x):
    """x = y[y_at:] B of `count` sources."""

    def codegen(context, builder, signature, args):
        kind = signature.args[0]
        y, light, x = (_pointer(context, builder, signature, args, i) for i in (1, 3, 5))
        y, light, x = (_Block(builder, kind, place) for place in (builder.gep(y, [args[2]]), light, x))
        with cgutils.for_range(builder, args[4]) as loop:
            source, known = loop.index, {}
            for entry, products in enumerate(LIGHT[len(kind)]):
                total = None
                for i, j in products:
                    for key, block in (((0, i), y), ((1, j), light)):
                        if key not in known:
                            known[key] = block.load(key[1], source)
                    total = _product(builder, known[0, i], known[1, j], total)
                x.store(entry, source, total)
        return context.get_dummy_value()

    return types.void(kind, y, types.intp, light, types.intp, x), codegen


@intrinsic
def add_products(typingctx, kind, x, y, y_at, count, out, out_at):
    """out[out_at[i] + (2 entry + part) LANES + lane] += sum over `count` sources of x y[y_at[i]:]^*, for each i."""

    def codegen(context, builder, signature, args):
        kind, number = signature.args[0], len(signature.args[3])
        x, y, out = (_pointer(context, builder, signature, args, i) for i in (1, 2, 5))
        x = _Block(builder, kind, x)
        y = [_Block(builder, kind, builder.gep(y, [builder.extract_value(args[3], i)])) for i in range(number)]
        out = [builder.gep(out, [builder.extract_value(args[6], i)]) for i in range(number)]
        sums = {}
        for i in range(number):
            for k in range(2 * entries(kind)[1]):
                place = builder.bitcast(builder.gep(out[i], [_i64(k * LANES)]), VECTOR.as_pointer())
                sums[i, k] = place, cgutils.alloca_once_value(builder, builder.load(place, align=8))

        def add(total, a, b, combine=_multiply_add):
            builder.store(combine(builder, a, b, builder.load(total)), total)

        with cgutils.for_range(builder, args[4]) as loop:
            source, known = loop.index, {}
            for products in _columns(PATTERNS[len(kind)]):
                for i in range(number):
                    for j, k, v in products:
                        if j not in known:
                            known[j] = x.load(j, source)
                        if (i, k) not in known:
                            known[i, k] = y[i].load(k, source)
                        (xr, xi), (yr, yi), re, im = known[j], known[i, k], sums[i, 2 * v][1], sums[i, 2 * v + 1][1]
                        add(re, xr, yr)
                        add(im, xi, yr)
                        add(re, xi, yi)
                        add(im, xr, yi, _multiply_subtract)
        for place, total in sums.values():
            builder.store(builder.load(total), place, align=8)
        return context.get_dummy_value()

    return types.void(kind, x, y, y_at, types.intp, out, out_at), codegen


def _columns(pattern):
    """The products with the first columns of full matrices, then those with the second: fewer entries live at once."""
    return (pattern[:4], pattern[4:]) if len(pattern) == 8 else (pattern,)


if config.DISABLE_JIT:

    def take(size, source, first, lane_at, out, at):
        for k in range(len(size)):
            out[at + k * LANES : at + (k + 1) * LANES] = source[first + lane_at + k]

    def give(kind, source, at, out, lane_at, lanes_at):
        parts = source[at : at + 2 * entries(kind)[1] * LANES].reshape(-1, 2, LANES)
        for lane, place in enumerate(lane_at[lanes_at : lanes_at + LANES]):
            for correlation, entry in enumerate(CORRELATIONS[len(kind)]):
                if place >= 0 and entry is not None:
                    out[place + 2 * correlation : place + 2 * correlation + 2] += parts[entry, :, lane]

    def _entry(kind, x, at, entry, count):
        block = x[at : at + count * stride(kind)].reshape(count, -1, 2, LANES)[:, entry]
        return (block[:, 0] + 1j * block[:, 1]).reshape(-1)

    def _put(kind, x, at, entry, count, value):
        block = x[at : at + count * stride(kind)].reshape(count, -1, 2, LANES)[:, entry]
        block[:, 0], block[:, 1] = value.real.reshape(count, LANES), value.imag.reshape(count, LANES)

    def _turn(number):
        def turned(kind, x, x_at, c, s, count, out, out_at):
            factor = c[: count * LANES] + 1j * s[: count * LANES]
            for entry in range(entries(kind)[number]):
                _put(kind, out, out_at, entry, count, _entry(kind, x, x_at, entry, count) * factor)

        return turned

    turn_y, turn_x = _turn(0), _turn(1)

    def with_light(kind, y, y_at, light, count, x):
        for entry, products in enumerate(LIGHT[len(kind)]):
            total = sum(_entry(kind, y, y_at, i, count) * _entry(kind, light, 0, j, count) for i, j in products)
            _put(kind, x, 0, entry, count, total)

    def add_products(kind, x, y, y_at, count, out, out_at):
        for place, to in zip(y_at, out_at, strict=True):
            for j, k, v in PATTERNS[len(kind)]:
                product = _entry(kind, x, 0, j, count) * _entry(kind, y, place, k, count).conj()
                total = product.reshape(count, LANES).sum(0)
                out[to + 2 * v * LANES : to + (2 * v + 1) * LANES] += total.real
                out[to + (2 * v + 1) * LANES : to + (2 * v + 2) * LANES] += total.imag
