"""Rows of the w-planes and rows of the image: the transforms along u, phases exp(-2 pi i w (n - 1)), corrections.

LANES rows are taken side by side, as the transform wants them, through all planes before the image is touched: a plane
is read once and never written back. The planes are equally spaced in w, so their phases are powers of one number:
Horner's rule instead of a sine each (the w-screens of Arras, Reinecke et al. 2021, A&A 646, A58).
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from imaging.kernels._jit import njit
from imaging.kernels.fft import LANES, transform_lanes
from imaging.kernels.gridding import cis
from imaging.kernels.gridding_runs import Vectors
from imaging.kernels.gridding_taps import _multiply_add, _shuffle, prefetch

HORNER = 16  # planes between fresh phases: the error of repeated products stays below single precision's
UNIT = 2 * LANES  # numbers of LANES complex ones: real parts, then imaginary ones


class Sky(NamedTuple):
    """Where pixels are: l = (nx // 2 - x) cell_l + l0, m = (y - ny // 2) cell_m + m0."""

    cell_l: float
    cell_m: float
    l0: float
    m0: float
    shift_n: float  # added to n - 1 to halve its range
    t_scale: float  # |(n - 1 + shift) t_scale| <= 1
    dw: float  # wavelengths between planes


# --- LANES rows side by side ------------------------------------------------------------------------------------------


def _pairs(lanes):
    """Lanes of pairs as lanes of numbers."""
    return [2 * lane + part for lane in lanes for part in (0, 1)]


def _transpose(builder, rows):
    """LANES vectors of as many pairs: pair k of row j becomes pair j of row k."""
    for width in (1, 2, 4):
        after = list(rows)
        for j in range(LANES):
            if not j & width:
                a, b = rows[j], rows[j | width]
                low = [lane if not lane & width else (lane ^ width) + LANES for lane in range(LANES)]
                high = [lane | width if not lane & width else lane + LANES for lane in range(LANES)]
                for place, lanes in ((j, low), (j | width, high)):
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), UNIT), _pairs(lanes))
                    after[place] = builder.shuffle_vector(a, b, mask)
        rows = after
    return rows


_APART = [2 * i for i in range(LANES)] + [2 * i + 1 for i in range(LANES)]
_TOGETHER = [i // 2 + LANES * (i % 2) for i in range(UNIT)]


@intrinsic
def take_rows(typingctx, grid, rows, column, x, at):
    """x[at...] = LANES columns from `column` on of the flat grid's LANES rows that begin at `rows`."""

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[0].dtype)
        shift = builder.shl(args[2], a.word(1))
        starts = [builder.load(a.offset(a.plain(1), lane)) for lane in range(LANES)]
        found = [a.load(a.pointer(0, builder.add(start, shift)), UNIT) for start in starts]
        for k, row in enumerate(_transpose(builder, found)):
            a.store(_shuffle(builder, row, _APART), a.pointer(3, builder.add(args[4], a.word(k * UNIT))))
        return context.get_dummy_value()

    return types.void(grid, rows, types.intp, x, types.intp), codegen


@intrinsic
def give_rows(typingctx, grid, rows, column, x, at):
    """The other way, with real and imaginary parts exchanged."""

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[0].dtype)
        shift = builder.shl(args[2], a.word(1))
        lanes = [(lane + LANES) % UNIT for lane in _TOGETHER]
        found = [a.load(a.pointer(3, builder.add(args[4], a.word(k * UNIT))), UNIT) for k in range(LANES)]
        found = _transpose(builder, [_shuffle(builder, row, lanes) for row in found])
        for lane, row in enumerate(found):
            start = builder.load(a.offset(a.plain(1), lane))
            a.store(row, a.pointer(0, builder.add(start, shift)))
        return context.get_dummy_value()

    return types.void(grid, rows, types.intp, x, types.intp), codegen


def _product(builder, a, z, conjugate):
    """(re, im) of a z, or of a conj(z)."""
    minus = builder.fneg(z[1])
    z_im, other = (minus, z[1]) if conjugate else (z[1], minus)
    re = _multiply_add(builder, a[0], z[0], builder.fmul(a[1], other))
    return re, _multiply_add(builder, a[1], z[0], builder.fmul(a[0], z_im))


def _parts(a, i, at):
    return tuple(a.load(a.pointer(i, a.builder.add(at, a.word(part * LANES))), LANES) for part in (0, 1))


def _store(a, i, at, parts):
    for part, value in enumerate(parts):
        a.store(value, a.pointer(i, a.builder.add(at, a.word(part * LANES))))


@intrinsic
def descend(typingctx, total, z, at, x, index):
    """total[at...] = total conj(z) + x[index...], LANES complex numbers: a step of Horner's rule."""

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[0].dtype)
        product = _product(builder, _parts(a, 0, args[2]), _parts(a, 1, args[2]), True)
        cells = _parts(a, 3, args[4])
        _store(a, 0, args[2], [builder.fadd(p, c) for p, c in zip(product, cells, strict=True)])
        return context.get_dummy_value()

    return types.void(total, z, types.intp, x, types.intp), codegen


@intrinsic
def ascend(typingctx, total, z, at, x, index):
    """x[index...] = total[at...], real and imaginary parts exchanged; then total *= z."""

    def codegen(context, builder, signature, args):
        a = Vectors(context, builder, signature, args, signature.args[0].dtype)
        value = _parts(a, 0, args[2])
        _store(a, 3, args[4], value[::-1])
        _store(a, 0, args[2], _product(builder, value, _parts(a, 1, args[2]), False))
        return context.get_dummy_value()

    return types.void(total, z, types.intp, x, types.intp), codegen


if config.DISABLE_JIT:

    def take_rows(grid, rows, column, x, at):
        cells = np.array([grid[row + 2 * column : row + 2 * column + UNIT] for row in rows])
        x[at : at + LANES * UNIT] = np.concatenate([cells[:, 0::2].T, cells[:, 1::2].T], axis=1).ravel()

    def give_rows(grid, rows, column, x, at):
        cells = x[at : at + LANES * UNIT].reshape(LANES, 2, LANES)
        for lane, row in enumerate(rows):
            grid[row + 2 * column : row + 2 * column + UNIT] = cells[:, ::-1, lane].ravel()

    def _complex(x, at):
        return x[at : at + LANES] + 1j * x[at + LANES : at + UNIT]

    def _put(x, at, re, im):
        x[at : at + LANES], x[at + LANES : at + UNIT] = re, im

    def descend(total, z, at, x, index):
        value = _complex(total, at) * _complex(z, at).conj() + _complex(x, index)
        _put(total, at, value.real, value.imag)

    def ascend(total, z, at, x, index):
        value = _complex(total, at)
        _put(x, index, value.imag, value.real)
        value = value * _complex(z, at)
        _put(total, at, value.real, value.imag)


# --- image and planes -------------------------------------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def pixel_row(y, g, sky, correct_u, correct_v, transform_w, t, factor):
    """t = n - 1 + shift, by which w is multiplied, and the kernel correction for a row; both 0 beyond the horizon."""
    ny, nx = correct_v.size, correct_u.size
    m = (y - ny // 2) * sky.cell_m + sky.m0
    for x in range(nx):
        l = (nx // 2 - x) * sky.cell_l + sky.l0
        r2 = l * l + m * m
        t[x] = sky.shift_n - r2 / (1 + np.sqrt(max(1 - r2, 0.0)))
        factor[x] = correct_u[x] * correct_v[y] if r2 < 1 else 0.0
    if g.use_w:
        total = np.full(nx, transform_w[0])
        for coefficient in transform_w[1:]:
            for x in range(nx):
                q = t[x] * sky.t_scale
                total[x] = total[x] * (q * q * 2 - 1) + coefficient
        for x in range(nx):
            factor[x] /= total[x]


@njit(cache=True, error_model="numpy")
def phasors(t, w, lane, out):
    """exp(2 pi i w t) of a row into its lane."""
    real = out.dtype.type
    for x in range(t.size):
        turns = w * t[x]
        c, s = cis(turns - np.rint(turns), real)
        out[x * UNIT + lane], out[x * UNIT + LANES + lane] = c, s


@njit(cache=True, error_model="numpy")
def place_rows(y0, y1, g, sky, correct_u, correct_v, transform_w, t, factor, z, rows, pitch):
    """What LANES rows of the image from y0 on need, the last one repeated from y1 on; where they begin in a plane."""
    ny = correct_v.size
    for lane in range(LANES):
        y = min(y0 + lane, y1 - 1)
        pixel_row(y, g, sky, correct_u, correct_v, transform_w, t[lane], factor[lane])
        if g.use_w:
            phasors(t[lane], sky.dw, lane, z)
        rows[lane] = ((y - ny // 2) % g.nv) * pitch


@njit(cache=True, error_model="numpy")
def read_rows(plane, rows, used, x):
    """LANES rows of a flat plane into the transform's array, zero where nothing is."""
    for block in range(used.size):
        if used[block]:
            for lane in range(LANES):
                prefetch(plane, min(rows[lane] + UNIT * (block + 4), plane.size - 1))
            take_rows(plane, rows, block * LANES, x, block * LANES * UNIT)
        else:
            x[block * LANES * UNIT : (block + 1) * LANES * UNIT] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def planes_to_image(grid, used, g, sky, correct_u, correct_v, transform_w, plane0_w, y0, y1, factors, twiddles, image):
    """image (rhs, y, x) += correction * Re sum_p F(grid_p) exp(-2 pi i w_p t), for the rows y0 ... y1.

    grid (rhs, plane, v, 2 u) has been transformed along v, zero frequency first; F is the transform along u. `used`
    (plane, block): which LANES columns have something.
    """
    nx, n, pitch = correct_u.size, LANES * used.shape[1], grid.shape[3]
    t, factor, rows = np.empty((LANES, nx)), np.empty((LANES, nx)), np.empty(LANES, np.intp)
    x, scratch = np.empty(UNIT * n, grid.dtype), np.empty(UNIT * n, grid.dtype)
    z, e, total = np.empty(UNIT * nx, grid.dtype), np.empty(UNIT * nx, grid.dtype), np.empty(UNIT * nx, grid.dtype)
    for y in range(y0, y1, LANES):
        place_rows(y, y1, g, sky, correct_u, correct_v, transform_w, t, factor, z, rows, pitch)
        for begin in range(0, grid.shape[1], HORNER):
            end = min(begin + HORNER, grid.shape[1])
            if g.use_w:
                for lane in range(LANES):
                    phasors(t[lane], plane0_w + begin * sky.dw, lane, e)
            for r in range(grid.shape[0]):
                total[:] = 0
                for p in range(end - 1, begin - 1, -1):
                    read_rows(grid[r, p].reshape(-1), rows, used[p], x)
                    transform_lanes(x, scratch, n, factors, twiddles)
                    if g.use_w:
                        for i in range(nx):
                            u = i - nx // 2 if i >= nx // 2 else n - nx // 2 + i
                            descend(total, z, i * UNIT, x, u * UNIT)
                for lane in range(min(LANES, y1 - y)):
                    for i in range(nx):
                        u, a = i - nx // 2 if i >= nx // 2 else n - nx // 2 + i, i * UNIT + lane
                        value = total[a] * e[a] + total[a + LANES] * e[a + LANES] if g.use_w else x[u * UNIT + lane]
                        image[r, y + lane, i] += factor[lane, i] * value


@njit(cache=True, nogil=True, error_model="numpy")
def image_to_planes(image, used, g, sky, correct_u, correct_v, transform_w, plane0_w, y0, y1, factors, twiddles, grid):
    """grid_p = F'(correction * image * exp(+2 pi i w_p t)), for the rows y0 ... y1: transpose of `planes_to_image`."""
    nx, n, pitch = correct_u.size, LANES * used.shape[1], grid.shape[3]
    t, factor, rows = np.empty((LANES, nx)), np.empty((LANES, nx)), np.empty(LANES, np.intp)
    x, scratch = np.empty(UNIT * n, grid.dtype), np.empty(UNIT * n, grid.dtype)
    z, e, total = np.empty(UNIT * nx, grid.dtype), np.empty(UNIT * nx, grid.dtype), np.empty(UNIT * nx, grid.dtype)
    for y in range(y0, y1, LANES):
        place_rows(y, y1, g, sky, correct_u, correct_v, transform_w, t, factor, z, rows, pitch)
        for begin in range(0, grid.shape[1], HORNER):
            end = min(begin + HORNER, grid.shape[1])
            if g.use_w:
                for lane in range(LANES):
                    phasors(t[lane], plane0_w + begin * sky.dw, lane, e)
            for r in range(grid.shape[0]):
                for lane in range(LANES):
                    row = min(y + lane, y1 - 1)
                    for i in range(nx):
                        u, a = i - nx // 2 if i >= nx // 2 else n - nx // 2 + i, i * UNIT + lane
                        value = factor[lane, i] * image[r, row, i]
                        if g.use_w:
                            total[a], total[a + LANES] = value * e[a], value * e[a + LANES]
                        else:
                            x[u * UNIT + lane], x[u * UNIT + LANES + lane] = 0, value
                for p in range(begin, end):
                    if g.use_w:
                        for i in range(nx):
                            u = i - nx // 2 if i >= nx // 2 else n - nx // 2 + i
                            ascend(total, z, i * UNIT, x, u * UNIT)
                    x[(nx - nx // 2) * UNIT : (n - nx // 2) * UNIT] = 0
                    transform_lanes(x, scratch, n, factors, twiddles)
                    plane = grid[r, p].reshape(-1)
                    for block in range(used.shape[1]):
                        if used[p, block]:
                            give_rows(plane, rows, block * LANES, x, block * LANES * UNIT)
