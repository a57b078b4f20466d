"""Algebra of arrays of Jones matrices: as numpy multiplies and inverts their full forms."""

import numpy as np
import pytest

from imaging.algorithms import jones

ENDS = {"scalar": (), "diagonal": (2,), "full": (2, 2)}


def some(rng, kind, axes):
    shape = (*axes, *ENDS[kind])
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


@pytest.mark.parametrize("left", jones.KINDS)
@pytest.mark.parametrize("right", jones.KINDS)
def test_products_have_the_smallest_kind_and_the_shortest_axes(left, right):
    rng = np.random.default_rng(1)
    a, b = some(rng, left, (3, 1, 4, 1)), some(rng, right, (1, 2, 4, 1))
    product = jones.multiply(a, b)
    assert product.shape[:4] == (3, 2, 4, 1)
    assert jones.kind_of(product) == max(left, right, key=jones.KINDS.index)
    expected = jones.as_kind(a, "full") @ jones.as_kind(b, "full")
    np.testing.assert_allclose(jones.as_kind(product, "full"), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("kind", jones.KINDS)
def test_inverses(kind):
    matrix = some(np.random.default_rng(2), kind, (3, 2, 1, 4))
    inverse, singular = jones.inverse(matrix)
    assert inverse.shape == matrix.shape
    assert not singular.any()
    identity = jones.as_kind(jones.multiply(inverse, matrix), "full")
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(2), identity.shape), atol=1e-13)


@pytest.mark.parametrize("kind", jones.KINDS)
def test_what_has_no_inverse_is_named_and_left_alone(kind):
    matrix = some(np.random.default_rng(3), kind, (2, 2, 1, 3))
    matrix[0, 1, 0, 2], matrix[1, 0, 0, 0] = 0, np.nan
    if kind == "full":
        matrix[1, 1, 0, 1] = [[1, 2], [2, 4]]
    inverse, singular = jones.inverse(matrix)
    expected = {(0, 1, 0, 2), (1, 0, 0, 0)} | ({(1, 1, 0, 1)} if kind == "full" else set())
    assert {tuple(map(int, where)) for where in np.argwhere(singular)} == expected
    np.testing.assert_array_equal(jones.as_kind(inverse, "full")[singular], np.eye(2)[None].repeat(len(expected), 0))
