"""Transforms of columns and rows against numpy's, and that what need not be touched is not."""

import numpy as np
import pytest

from imaging.kernels import fft


def plan(n, real):
    factors = fft.radices(n)
    return np.array(factors), fft.twiddle_factors(n, factors, real)


@pytest.mark.parametrize("n", [32, 64, 96, 160, 480, 2560])
def test_factors_multiply_to_the_size(n):
    assert np.prod(fft.radices(n)) == n
    assert fft.radices(7 * n) is None


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("n", [32, 96, 160, 480])
@pytest.mark.parametrize("forward", [True, False])
def test_against_numpy(n, real, forward):
    """Along v, a part of the rows being wanted, in a grid with some more columns than used."""
    rng = np.random.default_rng(n)
    side, wanted = 32, 20
    epsilon = 20 * np.finfo(real).eps
    reference = np.fft.fft if forward else (lambda *args, **options: np.fft.ifft(*args, **options, norm="forward"))
    near, far = wanted - wanted // 2, wanted // 2

    grid = rng.normal(size=(n, 2 * side + 16)).astype(real)
    if not forward:
        grid[near : n - far] = 0
    used, before = np.array([True, False, True, True]), grid.copy()
    values = before.view(np.result_type(real, 1j))
    fft.along_v(grid, used, 0, 4, wanted, forward, *plan(n, real))
    found, expected = grid.view(values.dtype), reference(values, axis=0)
    rows = np.r_[0:near, n - far : n] if forward else np.arange(n)
    for block in range(4):
        columns = slice(8 * block, 8 * block + 8)
        target = (expected if used[block] else values)[rows, columns]
        assert np.linalg.norm(found[rows, columns] - target) < epsilon * np.linalg.norm(target)
    np.testing.assert_array_equal(grid[:, 2 * side :], before[:, 2 * side :])
