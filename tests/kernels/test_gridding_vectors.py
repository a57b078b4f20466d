"""The vector functions of flat gridding and of the planes' rows, against the plain sums they stand for."""

import numpy as np
import pytest

from imaging.algorithms.gridding_kernel import Kernel, tap_polynomials
from imaging.kernels import gridding_bins as bins
from imaging.kernels import gridding_rows, gridding_runs
from imaging.kernels._jit import njit

REAL = [np.float32, np.float64]


def call(function, *args):
    """An intrinsic can be called from compiled code only."""
    module = next(m for m in (bins, gridding_rows, gridding_runs) if hasattr(m, function))
    if module.config.DISABLE_JIT:
        return getattr(module, function)(*args)
    return COMPILED[function](*args)


@njit()
def _put(out, at, count, source, first):
    gridding_runs.put(out, at, count, source, first)


@njit()
def _scale(out, at, count, factor, source, first):
    gridding_runs.scale(out, at, count, factor, source, first)


@njit()
def _multiply(re, im, at, count, vis, first, sign):
    gridding_runs.multiply(re, im, at, count, vis, first, sign)


@njit()
def _add(vis, first, count, re, im, at, sign):
    gridding_runs.add(vis, first, count, re, im, at, sign)


@njit()
def _both_taps(support, coefficients, zu, zv, out, at):
    bins.both_taps(support, coefficients, zu, zv, out, at)


@njit()
def _spread_bin(support, buffer, start, order, shift, first, last, taps, re, im, offset):
    bins.spread_bin(support, buffer, start, order, shift, first, last, taps, re, im, offset)


@njit()
def _gather_bin(support, buffer, start, order, shift, first, last, taps, re, im, offset):
    bins.gather_bin(support, buffer, start, order, shift, first, last, taps, re, im, offset)


@njit()
def _take_rows(grid, rows, column, x, at):
    gridding_rows.take_rows(grid, rows, column, x, at)


@njit()
def _give_rows(grid, rows, column, x, at):
    gridding_rows.give_rows(grid, rows, column, x, at)


COMPILED = {"put": _put, "scale": _scale, "multiply": _multiply, "add": _add, "both_taps": _both_taps,
            "spread_bin": _spread_bin, "gather_bin": _gather_bin, "take_rows": _take_rows,
            "give_rows": _give_rows}  # fmt: skip


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("count", [1, 5, 16, 37])
def test_runs(real, count):
    """Weights and visibilities into a block and out of it, up to the last sample of the arrays and none beyond."""
    rng = np.random.default_rng(count)
    weight, vis = rng.random(50).astype(real), (rng.normal(size=50) + 1j * rng.normal(size=50))
    vis = vis.astype(np.result_type(real, 1j))
    first = 50 - count
    weight[first] = 0
    vis[first] = np.nan
    re, im = np.full(80, 7, real), np.full(80, 7, real)
    call("put", re, 4, count, weight, first)
    np.testing.assert_array_equal(re[4 : 4 + count], weight[first:])
    call("multiply", re, im, 4, count, vis, first, real(-1))
    expected = np.where(weight[first:] > 0, weight[first:] * np.conj(vis[first:]), 0)
    np.testing.assert_allclose((re + 1j * im)[4 : 4 + count], expected, rtol=1e-6)
    assert (re[:4] == 7).all()
    assert (re[4 + count + 16 :] == 7).all()
    target = np.ones(60, vis.dtype)
    call("add", target, 2, count, re, im, 4, real(-1))
    np.testing.assert_allclose(target[2 : 2 + count], 1 + np.conj(expected), rtol=1e-6)
    assert (target[2 + count :] == 1).all()
    call("put", re, 0, count, weight, -1)
    assert (re[:count] == 1).all()
    u, freq = np.zeros(60), np.arange(60.0)
    call("scale", u, 1, count, 2.5, freq, 3)
    np.testing.assert_array_equal(u[1 : 1 + count], 2.5 * freq[3 : 3 + count])


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("support", [4, 6, 8])
def test_bins(real, support):
    """Taps, spread and gather of a bin; cells that no sample reaches keep their garbage."""
    rng = np.random.default_rng(support)
    length, count = (0.0,) * support, 9
    taps = tap_polynomials(Kernel(support, 2.0, 2.0, 0), real)[:, :support]
    half = np.pad(taps, ((0, 0), (0, bins.GROUP - support)))
    coefficients, z = np.concatenate([half, half], axis=1), rng.uniform(-1, 1, (count, 2)).astype(real)
    values = np.zeros(count * bins.LANES, real)
    for k in range(count):
        call("both_taps", length, coefficients, *z[k], values, k * bins.LANES)
    expected = np.array([[np.polyval(column, x) for column in taps.T] for x in z.ravel()])
    k = values.reshape(2 * count, bins.GROUP)[:, :support]
    np.testing.assert_allclose(k, expected, rtol=1e-3 if real is np.float32 else 1e-11, atol=2e-6)
    shift, order = rng.integers(0, bins.GROUP, count, np.int32), rng.permutation(count).astype(np.int32)
    chosen, start = order[2:7], 2 * bins.ROW + bins.GROUP
    buffer = rng.normal(size=(bins.TILE + bins.GROUP) * bins.ROW).astype(real)
    before, re, im = buffer.copy(), rng.normal(size=count + 3).astype(real), np.ones(count + 3, real)
    after = before.astype(float).reshape(-1, 2, bins.TILE + bins.GROUP)
    block = {i: (slice(2, 2 + support), slice(bins.GROUP + shift[i], bins.GROUP + shift[i] + support)) for i in chosen}
    held = {i: np.einsum("jcx,j,x->c", after[block[i][0], :, block[i][1]], k[2 * i + 1], k[2 * i]) for i in chosen}
    got_re, got_im = np.full(count + 3, 9, real), np.full(count + 3, 9, real)
    call("gather_bin", length, buffer, start, order, shift, 2, 7, values, got_re, got_im, 3)
    for i in range(count):
        np.testing.assert_allclose([got_re[3 + i], got_im[3 + i]], held.get(i, [9, 9]), rtol=2e-4, atol=1e-5)
    for i in chosen:
        rows, columns = block[i]
        after[rows, 0, columns] += re[3 + i] * np.outer(k[2 * i + 1], k[2 * i])
        after[rows, 1, columns] += im[3 + i] * np.outer(k[2 * i + 1], k[2 * i])
    call("spread_bin", length, buffer, start, order, shift, 2, 7, values, re, im, 3)
    np.testing.assert_allclose(buffer.reshape(after.shape), after, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("real", REAL)
def test_rows_side_by_side(real):
    """Taken, rows lie side by side, real parts before imaginary ones; given back, the two are exchanged."""
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(20, 48)).astype(real)
    rows, x = np.array([3, 19, 0, 7, 8, 9, 1, 2]) * 48, np.zeros(300, real)
    call("take_rows", grid.reshape(-1), rows, 5, x, 20)
    cells = grid[rows // 48, 10:26].reshape(8, 8, 2)
    np.testing.assert_array_equal(x[20 : 20 + 128].reshape(8, 2, 8), cells.transpose(1, 2, 0))
    target = np.zeros_like(grid)
    call("give_rows", target.reshape(-1), rows, 5, x, 20)
    np.testing.assert_array_equal(target[rows // 48, 10:26].reshape(8, 8, 2), cells[..., ::-1])
    assert np.count_nonzero(target) == 128
