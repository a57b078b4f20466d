"""Taylor terms: weights, fits, spectral indices, and polynomial division."""

import numpy as np
import pytest

from imaging.algorithms import taylor
from imaging.algorithms.major_cycle import Accuracy, Part, image_sums
from imaging.algorithms.taylor import Taylor
from imaging.errors import ImagingError
from imaging.image import Grid
from imaging.kernels import gridding_reference

FREQ = np.array([1.0e9, 1.3e9, 1.7e9, 1.9e9])
CELL = 2e-5


@pytest.fixture
def grid():
    return Grid((1.0, 0.5), (CELL, CELL), (32, 40), (1.45e9,), (1e9,), ("I", "Q"))


@pytest.fixture
def part():
    random = np.random.default_rng(3)
    uvw = random.normal(0, 1200, (300, 3))
    weight = random.uniform(0, 1, (300, 4)).astype(np.float32)
    weight[::7] = 0
    vis = random.normal(size=(2, 300, 4)) + 1j * random.normal(size=(2, 300, 4))
    vis[:, ::7] = np.nan  # what has no weight is not looked at
    return Part(uvw, FREQ, vis.astype(np.complex64), weight, np.zeros(4, int))


def test_powers():
    powers = Taylor(2, 1e9).powers([1e9, 1.5e9, 0.8e9], 3)
    np.testing.assert_allclose(powers, [[1, 1, 1], [0, 0.5, -0.2], [0, 0.25, 0.04]])
    assert [Taylor(n, 1e9).npsf for n in (1, 2, 3)] == [1, 3, 5]


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("psf", [False, True])
def test_sums_are_direct_sums_with_the_weights_of_each_term(part, grid, backend, psf):
    terms = Taylor(3, 1.4e9)
    sums, sumwt = image_sums([part], grid, Accuracy(1e-5, backend=backend), psf=psf, taylor=terms)
    assert sums.shape == ((5, 1, 32, 40) if psf else (3, 2, 32, 40))
    x = (FREQ - 1.4e9) / 1.4e9
    for t in range(len(sums)):
        weight = part.weight * x**t
        assert sumwt[t] == pytest.approx(weight.sum(), rel=1e-6)
        vis = np.ones((1, 300, 4)) if psf else part.vis
        weights = np.broadcast_to(weight, vis.shape)
        direct = gridding_reference.vis2dirty(part.uvw, FREQ, vis, weights, grid.shape, grid.cell)
        assert abs(sums[t] - direct).max() < 2e-5 * abs(sums[0]).max()


@pytest.mark.parametrize("memory", [2**31, 3e5])
def test_the_residual_of_the_true_spectrum_is_nothing(part, grid, memory):
    terms, model = Taylor(3, 1.4e9), np.zeros((3, 2, 32, 40))
    model[:, 0, 20, 30], model[:, 1, 12, 10] = (1.0, -0.7, 0.6), (-0.3, 0.1, 0.0)
    vis = np.zeros((2, 300, 4), complex)
    for t, plane in enumerate(model):
        seen = gridding_reference.dirty2vis(part.uvw, FREQ, plane, grid.cell)
        vis += seen * ((FREQ - 1.4e9) / 1.4e9) ** t
    exact = Part(part.uvw, FREQ, vis, part.weight, part.plane)
    accuracy = Accuracy(1e-9, memory=memory)
    dirty, _ = image_sums([exact], grid, accuracy, taylor=terms)
    residual, _ = image_sums([exact], grid, accuracy, model=model, taylor=terms)
    assert abs(residual).max() < 1e-8 * abs(dirty).max()


def test_dirty_images_are_psfs_convolved_with_the_terms(part, grid):
    """A single source in the middle: the dirty image of term s is the sum of psf s + t times its term t."""
    terms, spectrum = Taylor(2, 1.4e9), np.array([1.0, -0.7])
    flux = spectrum @ terms.powers(FREQ, 2)
    exact = Part(part.uvw, FREQ, np.broadcast_to(flux, (2, 300, 4)).astype(complex), part.weight, part.plane)
    dirty, _ = image_sums([exact], grid, Accuracy(1e-9), taylor=terms)
    psfs, _ = image_sums([exact], grid, Accuracy(1e-9), psf=True, taylor=terms)
    for s in range(2):
        expected = spectrum[0] * psfs[s, 0] + spectrum[1] * psfs[s + 1, 0]
        np.testing.assert_allclose(dirty[s, 0], expected, atol=1e-7 * abs(psfs).max())


def test_one_term_is_the_plain_sum(part, grid):
    plain, weight = image_sums([part], grid, Accuracy())
    one, same = image_sums([part], grid, Accuracy(), taylor=Taylor(1, 1e9))
    np.testing.assert_array_equal(plain, one)
    np.testing.assert_array_equal(weight, same)


@pytest.mark.parametrize(("alpha", "beta"), [(-0.7, 0.0), (1.2, -0.4), (0.0, 0.0)])
def test_index_and_curvature_of_a_power_law(alpha, beta):
    x = np.linspace(-0.02, 0.02, 9)  # a narrow band, in which the series ends
    values = 3 * (1 + x) ** (alpha + beta * np.log(1 + x))
    terms = Taylor(3, 1e9)
    image = taylor.fit_weights(1e9 * (1 + x), np.ones(9), terms) @ values
    image = np.broadcast_to(image[:, None, None], (3, 4, 5)).copy()
    image[:, 0] *= 0.01
    index, bright = taylor.spectral_index(image, 1.0)
    assert bright.sum() == 15
    np.testing.assert_allclose(index[1:], alpha, atol=2e-4)
    np.testing.assert_allclose(taylor.spectral_curvature(image, 1.0)[1:], beta, atol=5e-3)
    assert not index[0].any()


def test_error_of_the_index():
    image, residual = np.full((2, 3, 3), 2.0), np.full((2, 3, 3), 0.02)
    image[1] = -1.0
    image[1, 0, 0] = 0
    error = taylor.spectral_index_error(image, residual, 1.0)
    assert error[1, 1] == pytest.approx(0.5 * np.hypot(0.01, 0.02))
    assert error[0, 0] == 0
    assert not taylor.spectral_index_error(image, residual, 3.0).any()


def test_threshold_is_of_what_is_valid():
    residual = np.array([[1.0, 5.0], [np.nan, -9.0]])
    assert taylor.spectral_threshold(residual, np.array([[True, False], [True, True]])) == pytest.approx(0.1)
    assert taylor.spectral_threshold(residual, np.zeros((2, 2), bool)) == np.inf


def test_principal_solution_is_the_spectrum_of_what_is_at_a_pixel():
    x = np.array([-0.3, 0.1, 0.4])
    peaks = (x ** np.arange(5)[:, None]).mean(axis=1)
    psfs = np.zeros((5, 9, 9))
    psfs[:, 4, 4] = peaks
    spectrum = np.array([1.0, -0.5, 0.25])
    residual = np.zeros((3, 1, 9, 9))
    residual[:, 0, 2, 3] = [spectrum @ peaks[s : s + 3] for s in range(3)]
    found = taylor.principal_solution(residual, psfs)
    np.testing.assert_allclose(found[:, 0, 2, 3], spectrum, atol=1e-12)
    assert np.count_nonzero(found) == 3


def test_terms_that_cannot_be_told_apart_are_refused():
    one_channel = np.array([[1.0, 0.1], [0.1, 0.01]])
    for hessian in (one_channel, np.zeros((2, 2)), np.array([[1.0, 0], [0, -1]]), np.full((2, 2), np.nan)):
        with pytest.raises(ImagingError, match="so many Taylor terms"):
            taylor.invert_hessian(hessian)
    assert taylor.invert_hessian(np.array([[4.0]])) == pytest.approx(0.25)


def test_division_undoes_multiplication():
    rng = np.random.default_rng(2)
    sky, beam = rng.normal(size=(3, 1, 6, 7)), rng.normal(size=(3, 1, 6, 7))
    beam[0] = rng.uniform(0.2, 1, (1, 6, 7))
    product = np.stack([sum(sky[s] * beam[t - s] for s in range(t + 1)) for t in range(3)])
    valid = rng.random((1, 6, 7)) > 0.3
    quotient = taylor.divide_taylor(product, beam, valid)
    np.testing.assert_allclose(quotient[:, valid], sky[:, valid], atol=1e-12)
    assert not quotient[:, ~valid].any()


@pytest.mark.parametrize("channels", [3, 200])
def test_planes_fitted_in_groups_are_the_polynomial(channels):
    terms, truth = Taylor(3, 1.5e9), np.array([1.0, -1.5, 0.8])
    freq = np.random.default_rng(1).permutation(np.linspace(1e9, 2e9, channels))
    weight = np.linspace(0, 2, channels) + (channels == 3)
    calls = []

    def beam(samples):
        ((f, w),) = samples
        calls.append(len(f))
        middle = np.average(f, weights=w)
        return (truth @ terms.powers([middle], 3) * np.ones((1, 1, 2, 2))).astype(np.float32)

    planes = taylor.fit_planes(beam, freq, weight, terms)
    np.testing.assert_allclose(planes[:, 0, 0, 0], truth, atol=2e-5)
    assert sum(calls) == channels
    assert len(calls) == min(channels, 16)
