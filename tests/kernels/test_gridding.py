"""The gridding kernels' parts: geometry, sines, tap blocks, sorting. Accuracy as a whole is in tests/algorithms."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.algorithms.gridding_kernel import Kernel, best_kernel, tap_polynomials, transform, transform_polynomial
from imaging.kernels import gridding, gridding_reference, gridding_taps
from imaging.kernels import gridding_sort as sorting


@settings(deadline=None)
@given(st.floats(-0.5, 0.5))
def test_cis(turns):
    c, s = gridding.cis(turns, np.float64)
    assert c == pytest.approx(np.cos(2 * np.pi * turns), abs=1e-14)
    assert s == pytest.approx(np.sin(2 * np.pi * turns), abs=1e-14)
    c, s = gridding.cis(turns, np.float32)
    assert abs(c - np.cos(2 * np.pi * turns)) < 5e-7
    assert abs(s - np.sin(2 * np.pi * turns)) < 5e-7


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-0.01, 0.01), st.integers(1, 64).map(lambda n: 32 * n))
def test_cell_is_the_next_one_above(wavelengths, scale, n):
    cell, distance = sorting.cell_of(wavelengths, scale, n)
    assert 0 <= cell < n
    assert 0 <= distance <= 1
    off = (cell - distance - wavelengths * scale * n) / n
    assert off == pytest.approx(round(off), abs=1e-9)


@pytest.mark.parametrize("support", [4, 6, 8, 12, 16])
def test_tap_block(support):
    """Spread, gather and taps against the plain sums they stand for; cells around the block keep their garbage."""
    rng = np.random.default_rng(support)
    stride = gridding.row_stride(support)
    size = (gridding.TILE + support) * stride
    length = (0.0,) * support
    ku, kv, kw = np.zeros((3, gridding_taps.padded(support)))
    coefficients = tap_polynomials(Kernel(support, 2.0, 2.0, 0), np.float64)
    for k, z in ((ku, 0.3), (kv, -1.0), (kw, 0.99)):
        gridding_call("taps", length, coefficients, z, k)
        np.testing.assert_allclose(k, [np.polyval(column, z) for column in coefficients.T], rtol=1e-12, atol=1e-15)
    plane_at = np.roll(np.arange(support), 2) * size
    start, first, last = 5 * stride + 2 * 15, 1, support - 1
    before = rng.normal(size=support * size + stride)
    cube = before[: support * size].reshape(support, -1, stride)[:, 5 : 5 + support, 30 : 30 + 2 * support]
    weight = np.zeros((support, support, support))
    weight[plane_at[first:last] // size] = np.einsum("p,j,i->pji", kw[first:last], kv[:support], ku[:support])
    expected = (weight * (cube[..., 0::2] + 1j * cube[..., 1::2])).sum()
    re, im = gridding_call("gather", length, before, start, plane_at, first, last, ku, kv, kw)
    assert complex(re, im) == pytest.approx(expected, rel=1e-12)
    after = before.copy()
    gridding_call("spread", length, after, start, plane_at, first, last, ku, kv, kw, 2.0, -3.0)
    change = np.zeros_like(before)
    cube = change[: support * size].reshape(support, -1, stride)[:, 5 : 5 + support, 30 : 30 + 2 * support]
    cube[..., 0::2], cube[..., 1::2] = 2 * weight, -3 * weight
    np.testing.assert_allclose(after, before + change, rtol=1e-12, atol=1e-14)


def test_polynomial_transform():
    kernel = best_kernel(8, 1.5)
    coefficients = tap_polynomials(kernel, np.float64)
    f_max = 0.5 / 1.5
    f = np.linspace(0, f_max, 50)
    series = np.polyval(transform_polynomial(coefficients, 8, f_max), 2 * (f / f_max) ** 2 - 1)
    np.testing.assert_allclose(series, transform(coefficients, 8, f), rtol=1e-12)


def test_runs_are_sorted_and_complete():
    """Every sample in use is in exactly one run, of its own tile; runs of a tile ascend in plane."""
    rng = np.random.default_rng(3)
    g = sorting.Geometry(-1e-3, 1e-3, 64, 96, True, 0.0, 0.02, 0.0, 0.0, 0.0)
    uvw, freq_c = rng.uniform(-300, 300, (70, 3)), np.linspace(1, 1.3, 9)
    mask = rng.random((70, 9)) > 0.3
    tiles_u, tiles = 4, 24
    count = np.zeros(tiles, np.int64)
    found = sorting.list_runs(uvw, freq_c, mask, g, 0, 70, count)
    starts = np.concatenate([[0], np.cumsum(count)])
    runs = np.empty((starts[-1], 4), np.int32)
    sorting.runs_by_tile(found, starts[:-1].copy(), runs)
    load, used = np.zeros(tiles, np.int64), np.zeros((16, tiles_u), bool)
    sorting.sort_tiles(runs, starts, 0, tiles, load, used, tiles_u, 6)
    seen = np.zeros_like(mask, int)
    for tile in range(tiles):
        part = runs[starts[tile] : starts[tile + 1]]
        assert (np.diff(part[:, 3]) >= 0).all()
        assert load[tile] == (part[:, 2] - part[:, 1]).sum()
        for row, begin, end, plane in part:
            seen[row, begin:end] += 1
            for chan in range(begin, end):
                u, v, w = uvw[row] * freq_c[chan] * (-1 if uvw[row, 2] < 0 else 1)
                cell_u, _ = sorting.cell_of(u, g.scale_u, g.nu)
                cell_v, _ = sorting.cell_of(v, g.scale_v, g.nv)
                assert tile == cell_v // 16 * tiles_u + cell_u // 16
                assert plane == np.ceil(w * 0.02)
    np.testing.assert_array_equal(seen, mask)


def test_reference_at_one_sample():
    """The reference against numbers worked out by hand: one pixel, one sample."""
    uvw, freq = np.array([[30.0, -20.0, 50.0]]), np.array([gridding_reference.C])
    image = np.zeros((1, 4, 6))
    image[0, 3, 1] = 2.0  # l = +2 cells, m = +1 cell
    vis = gridding_reference.dirty2vis(uvw, freq, image, (0.1, 0.2))
    n1 = np.sqrt(1 - 0.2**2 - 0.2**2) - 1
    assert vis[0, 0, 0] == pytest.approx(2 * np.exp(2j * np.pi * (30 * 0.2 - 20 * 0.2 + 50 * n1)), rel=1e-12)


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="is that switch's test")
@pytest.mark.parametrize("wterm", [True, False])
def test_plain_loops_give_the_same(wterm):
    """Without compilation the vector functions are plain loops: the same dirty image and visibilities."""
    program = (
        "import numpy as np; from imaging.algorithms.gridding import Gridder\n"
        "r = np.random.default_rng(1); uvw = r.uniform(-60, 60, (4, 3)); vis = r.normal(size=(1, 4, 2)) + 1j\n"
        f"g = Gridder(uvw, np.array([1e9, 1.1e9]), (8, 6), (0.01, 0.02), 1e-4, wterm={wterm}, precision='double')\n"
        "d = g.vis2dirty(vis); v = g.dirty2vis(d)\n"
        "print(repr([float(x) for x in (d.min(), d.max(), (d**2).sum(), abs(v).min(), (v.real**2).sum())]))"
    )
    answers = []
    for disable in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disable}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        answers.append([float(x) for x in done.stdout.strip()[1:-1].split(",")])
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-11)


def gridding_call(name, *args):
    """An intrinsic can be called from compiled code only."""
    if gridding_taps.config.DISABLE_JIT:
        return getattr(gridding_taps, name)(*args)
    return {"spread": _spread, "gather": _gather, "taps": _taps}[name](*args)


@gridding.njit()
def _spread(*args):
    gridding.spread(*args)


@gridding.njit()
def _gather(*args):
    return gridding.gather(*args)


@gridding.njit()
def _taps(*args):
    gridding.taps(*args)
