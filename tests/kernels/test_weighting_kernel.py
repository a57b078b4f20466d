"""The density of samples on the uv grid, fast and plain."""

import numpy as np
import pytest

from imaging.kernels import weighting, weighting_reference

SCALE_U, SCALE_V, SHAPE = 0.02, 0.03, (24, 16)


@pytest.fixture(params=[weighting, weighting_reference], ids=["fast", "reference"])
def kernel(request):
    return request.param


def density(kernel, uvw, weight, wavenumber, plane, box=0, shift=0.0, planes=1):
    grid, gridded = np.zeros((planes, *SHAPE)), np.zeros(planes)
    kernel.add_density(grid, gridded, uvw, weight, wavenumber, plane, SCALE_U, SCALE_V, shift, box)
    return grid, gridded


def test_a_sample_is_added_at_both_ends(kernel):
    uvw = np.array([[110.0, -170.0, 1e9]])
    grid, gridded = density(kernel, uvw, np.array([[3.0]], np.float32), np.ones(1), np.zeros(1, int))
    assert {(j, i): grid[0, j, i] for _, j, i in zip(*np.nonzero(grid), strict=True)} == {(6, 10): 3.0, (17, 5): 3.0}
    assert gridded == [6.0]


def test_boxes_are_cut_at_the_edge_and_samples_outside_left_out(kernel):
    uvw = np.array([[370.0, 0.0, 0], [1e4, 0, 0], [-1e9, 0, 0]])
    grid, gridded = density(kernel, uvw, np.ones((3, 1), np.float32), np.ones(1), np.zeros(1, int), box=2)
    assert gridded == [2.0]
    assert grid.sum() == 5 * 3 + 5 * 3
    out = np.empty((3, 1))
    kernel.density_at(out, grid, uvw, np.ones(1), np.zeros(1, int), SCALE_U, SCALE_V, 0.0)
    assert out[:, 0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("box", [0, 1, 3])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_fast_is_the_reference(box, shift):
    rng = np.random.default_rng(box)
    uvw, weight = rng.normal(size=(400, 3)) * 250, rng.random((400, 5)).astype(np.float32)
    weight[rng.random(weight.shape) < 0.2] = 0
    wavenumber, plane = np.linspace(0.8, 1.3, 5), np.array([0, 1, -1, 1, 2])
    made = [density(k, uvw, weight, wavenumber, plane, box, shift, 3) for k in (weighting, weighting_reference)]
    np.testing.assert_allclose(made[0][0], made[1][0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(made[0][1], made[1][1], rtol=1e-12)
    found = []
    for k in (weighting, weighting_reference):
        found.append(np.full(weight.shape, np.nan))
        k.density_at(found[-1], made[1][0], uvw, wavenumber, plane, SCALE_U, SCALE_V, shift)
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0][:, 2] == 0).all()
