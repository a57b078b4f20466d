"""Connected regions: both implementations, then one against the other."""

import numpy as np
import pytest

from imaging.kernels import labelling, labelling_reference


@pytest.fixture(params=[labelling, labelling_reference], ids=["fast", "reference"])
def kernel(request):
    return request.param


def test_small_regions_go_and_diagonals_do_not_connect(kernel):
    mask = np.zeros((8, 9), bool)
    mask[0, 0:3] = True  # three pixels at the edge
    mask[3:5, 3:5] = True  # four
    mask[5, 5] = True  # touches the four only at a corner
    kernel.prune(mask, 3.5)
    expected = np.zeros_like(mask)
    expected[3:5, 3:5] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_region_of_exactly_the_minimum_stays(kernel):
    mask = np.zeros((4, 4), bool)
    mask[1, :3] = True
    kernel.prune(mask, 3)
    assert mask.sum() == 3


def test_growth_stays_inside_the_constraint_and_counts_its_steps(kernel):
    constraint = np.zeros((5, 12), bool)
    constraint[2, 1:11] = True
    seed = np.zeros_like(constraint)
    seed[2, 1] = seed[0, 0] = True  # the second is outside the constraint
    for steps in (0, 1, 4, 50):
        grown = kernel.grow(seed, constraint, steps)
        expected = np.zeros_like(seed)
        expected[2, 1 : min(2 + steps, 11)] = True
        np.testing.assert_array_equal(grown, expected)


def test_growth_goes_around_corners(kernel):
    constraint = np.ones((6, 6), bool)
    constraint[1:5, 2] = False
    seed = np.zeros_like(constraint)
    seed[2, 1] = True
    assert not kernel.grow(seed, constraint, 5)[2, 3]
    assert kernel.grow(seed, constraint, 6)[2, 3]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.62])
def test_fast_equals_reference(share):
    rng = np.random.default_rng(int(share * 100))
    mask, constraint = rng.random((2, 41, 53)) < share
    ours, reference = mask.copy(), mask.copy()
    labelling.prune(ours, 4.3)
    labelling_reference.prune(reference, 4.3)
    np.testing.assert_array_equal(ours, reference)
    assert 0 < ours.sum() < mask.sum()
    for steps in (1, 7, 1000):
        np.testing.assert_array_equal(
            labelling.grow(mask, constraint, steps), labelling_reference.grow(mask, constraint, steps)
        )
