"""Products of Jones matrices: both implementations, then one against the other."""

import itertools

import numpy as np
import pytest

from imaging.kernels import jones, jones_reference

ENDS = ((), (2,), (2, 2))


@pytest.fixture(params=[jones, jones_reference], ids=["fast", "reference"])
def kernel(request):
    return request.param


def complexes(rng, shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def test_leakage_after_gains(kernel):
    leakage = np.array([[1, 0.1j], [-0.1j, 1]])[None, None, None, None]
    gains, out = np.array([2.0, 3j])[None, None, None, None], np.empty((1, 1, 1, 1, 2, 2), complex)
    kernel.multiply(leakage, gains, out)
    np.testing.assert_allclose(out[0, 0, 0, 0], [[2, -0.3], [-0.2j, 3j]])


@pytest.mark.parametrize(("left", "right"), [pair for pair in itertools.product(ENDS, ENDS) if any(pair)])
def test_fast_equals_reference(left, right):
    rng = np.random.default_rng(1)
    a, b = complexes(rng, (3, 1, 2, 5, *left)), complexes(rng, (1, 2, 2, 1, *right))
    made = [np.full((3, 2, 2, 5, *max(left, right)), np.nan, complex) for _ in range(2)]
    jones.multiply(a, b, made[0])
    jones_reference.multiply(a, b, made[1])
    np.testing.assert_allclose(made[0], made[1], rtol=1e-14, atol=1e-14)
