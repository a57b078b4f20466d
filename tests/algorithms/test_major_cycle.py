"""Sums over parts, channels and batches of rows."""

import numpy as np
import pytest

from imaging.algorithms.major_cycle import Accuracy, Part, image_sums, measure_accuracy, normalise
from imaging.image import Grid
from imaging.kernels.gridding_reference import dirty2vis

CELL = 2e-5
FREQ = np.array([1.0e9, 1.1e9, 1.2e9])


@pytest.fixture
def grid():
    return Grid((1.0, 0.5), (CELL, CELL), (48, 64), (1.1e9,), (3e8,), ("I", "V"))


@pytest.fixture
def part():
    random = np.random.default_rng(3)
    uvw = random.normal(0, 1500, (400, 3))
    vis = random.normal(size=(2, 400, 3)) + 1j * random.normal(size=(2, 400, 3))
    weight = random.uniform(0, 1, (400, 3)).astype(np.float32)
    weight[::7] = 0
    vis[:, ::7] = np.nan  # what has no weight is not looked at
    return Part(uvw, FREQ, vis.astype(np.complex64), weight, np.zeros(3, int))


@pytest.mark.parametrize(
    ("epsilon", "precision"),
    [(1e-2, "auto"), (1e-3, "auto"), (1e-4, "auto"), (1e-5, "auto"), (1e-8, "auto"), (1e-11, "auto"), (2e-6, "single")],
)
def test_gridded_sums_are_direct_sums(part, grid, epsilon, precision):
    fast, sumwt = image_sums([part], grid, Accuracy(epsilon, precision=precision))
    direct, same = image_sums([part], grid, Accuracy(epsilon, backend="reference"))
    assert np.abs(fast - direct).max() < epsilon * np.abs(direct).max()
    assert sumwt == pytest.approx([part.weight.sum(dtype=float)], rel=1e-7)
    np.testing.assert_array_equal(sumwt, same)


def test_parts_and_batches_add_up(part, grid):
    whole, _ = image_sums([part], grid, Accuracy(1e-10))
    halves = [
        Part(part.uvw[s], part.freq, part.vis[:, s], part.weight[s], part.plane)
        for s in (slice(0, 150), slice(150, None))
    ]
    parted, _ = image_sums(halves, grid, Accuracy(1e-10))
    np.testing.assert_allclose(parted, whole, atol=1e-9 * np.abs(whole).max())


def test_the_residual_of_the_true_model_is_nothing(part, grid):
    model = np.zeros(grid.cube_shape)
    model[0, 0, 20, 30], model[0, 1, 30, 10] = 1.0, -0.3
    vis = dirty2vis(part.uvw, part.freq, model[0], grid.cell)
    exact = Part(part.uvw, part.freq, vis, part.weight, part.plane)
    dirty, _ = image_sums([exact], grid, Accuracy(1e-9))
    residual, _ = image_sums([exact], grid, Accuracy(1e-9), model=model)
    assert np.abs(residual).max() < 1e-8 * np.abs(dirty).max()


def test_the_psf_has_its_peak_in_the_centre(part, grid):
    sums, sumwt = image_sums([part], grid, Accuracy(1e-6), psf=True)
    psf = normalise(sums, sumwt)
    assert psf.shape == (1, 1, 48, 64)
    assert psf[0, 0, 24, 32] == pytest.approx(1, abs=1e-5)
    assert psf.max() == psf[0, 0, 24, 32]


def test_threads_do_not_change_a_bit(part, grid):
    one, _ = image_sums([part], grid, Accuracy(), threads=1)
    two, _ = image_sums([part], grid, Accuracy(), threads=2)
    np.testing.assert_array_equal(one, two)


def test_channels_go_to_their_planes(part, grid):
    cube = Grid(grid.centre, grid.cell, grid.shape, (1e9, 1.2e9), (1e8, 1e8), grid.stokes)
    scattered = Part(part.uvw, part.freq, part.vis, part.weight, np.array([1, -1, 0]))
    sums, sumwt = image_sums([scattered], cube, Accuracy(1e-8))
    for plane, channel in ((1, 0), (0, 2)):
        alone = Part(part.uvw, FREQ[[channel]], part.vis[..., [channel]], part.weight[:, [channel]], np.zeros(1, int))
        expected, weight = image_sums([alone], grid, Accuracy(1e-8))
        np.testing.assert_allclose(sums[plane], expected[0], atol=1e-7 * np.abs(expected).max())
        assert sumwt[plane] == weight[0]


def test_a_channel_without_weight_is_zero():
    np.testing.assert_array_equal(normalise(np.ones((2, 1, 2, 2)), np.array([0.0, 2.0]))[:, 0, 0, 0], [0, 0.5])


def test_measured_accuracy_follows_epsilon(part, grid):
    loose, tight = (measure_accuracy([part], grid, Accuracy(epsilon)) for epsilon in (1e-3, 1e-8))
    assert tight < 1e-8
    assert 1e-3 > loose > tight
