"""Scales of multi-scale clean: sizes, shapes, biases, convolutions; noise from place to place."""

import numpy as np
import pytest
from scipy.signal import convolve2d, fftconvolve

from imaging.algorithms import local_noise, scales

SHAPE = (40, 36)


def test_automatic_scales_double_from_four_beams():
    """WSClean 3.1 lists 0, 28, 56, 113, 225 for a beam of 7.03 pixels and an image of 512, with biases from 1.67."""
    found = scales.automatic_scales(7.03, (512, 512))
    np.testing.assert_allclose(found, [0, 28.1, 56.2, 112.5, 225], rtol=2e-3)
    np.testing.assert_allclose(scales.scale_biases(found, 7.03, 0.6), [1, 1.67, 2.78, 4.63, 7.72], rtol=3e-3)


@pytest.mark.parametrize("shape", ["tapered-quadratic", "gaussian"])
@pytest.mark.parametrize("scale", [0.0, 5.0, 28.0])
def test_kernels_have_unit_sum_and_are_symmetric(scale, shape):
    kernel = scales.scale_kernel(scale, shape)
    assert kernel.sum() == pytest.approx(1)
    assert len(kernel) == 2 * scales.scale_radius(scale, shape) + 1
    np.testing.assert_allclose(kernel, kernel[::-1])
    np.testing.assert_allclose(kernel, kernel.T)
    assert kernel.argmax() == kernel.size // 2
    assert (kernel >= 0).all()


def test_both_shapes_are_of_one_width():
    """Half the peak at 0.22 of the scale from the centre, about."""
    for shape, tolerance in (("gaussian", 0.03), ("tapered-quadratic", 0.12)):
        row = scales.scale_kernel(200.0, shape)
        row = row[len(row) // 2, len(row) // 2 :] / row.max()
        assert np.argmax(row < 0.5) == pytest.approx(0.2207 * 200, rel=tolerance)


def test_the_tapered_quadratic_function_at_a_few_pixels():
    kernel = scales.scale_kernel(8.0)
    r = np.arange(5)
    expected = (0.5 + 0.5 * np.cos(2 * np.pi * r / 10)) * (1 - (r / 8) ** 2)
    np.testing.assert_allclose(kernel[4, 4:] / kernel[4, 4], expected, rtol=1e-12)


@pytest.fixture(scope="module")
def convolver():
    rng = np.random.default_rng(1)
    return scales.ScaleConvolver(rng.normal(size=(2, *SHAPE)), [0.0, 6.0, 9.0])


def full(plane, kernel):
    """The part of the linear convolution over the plane; the kernel's centre is [n//2]."""
    whole = fftconvolve(plane, kernel)
    y, x = (n // 2 for n in kernel.shape)
    return whole[y : y + plane.shape[0], x : x + plane.shape[1]]


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_convolutions_do_not_wrap(convolver, scale):
    plane = np.random.default_rng(2).normal(size=SHAPE)
    kernel, psf = convolver.kernels[scale], convolver.psfs[1]
    np.testing.assert_allclose(convolver.convolve_scale(plane, scale), full(plane, kernel), atol=1e-12)
    both = convolve2d(np.pad(psf, 10), kernel, mode="same")
    np.testing.assert_allclose(convolver.convolve_psf(plane, 1, scale), full(plane, both), atol=1e-10)


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_scaled_psfs_reach_as_far_as_wanted(convolver, scale):
    kernel, psf = convolver.kernels[scale], convolver.psfs[0]
    twice = convolve2d(convolve2d(np.pad(psf, 20), kernel, mode="same"), kernel, mode="same")
    for reach in ((0, 0), (3, 5), (20, 18)):
        found = convolver.scaled_psf(0, scale, 2, reach)
        assert found.shape == (2 * reach[0] + 1, 2 * reach[1] + 1)
        y, x = 20 + SHAPE[0] // 2, 20 + SHAPE[1] // 2
        expected = twice[y - reach[0] : y + reach[0] + 1, x - reach[1] : x + reach[1] + 1]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    once = convolve2d(np.pad(psf, 20), kernel, mode="same")
    assert convolver.peak(psf, scale) == pytest.approx(once[20 + SHAPE[0] // 2, 20 + SHAPE[1] // 2])


def test_what_is_kept_changes_nothing():
    psfs, plane = np.random.default_rng(1).normal(size=(1, *SHAPE)), np.random.default_rng(2).normal(size=SHAPE)
    one, other = scales.ScaleConvolver(psfs, [0.0, 6.0]), scales.ScaleConvolver(psfs, [0.0, 6.0], memory=0)
    for _ in range(2):
        np.testing.assert_array_equal(one.convolve_psf(plane, 0, 1), other.convolve_psf(plane, 0, 1))
    assert one.kept
    assert not other.kept


def test_median_and_noise():
    image = np.random.default_rng(3).normal(2, 0.5, (200, 200))
    image[:20] = np.nan
    image[50:60, 50:60] = 100
    median, sigma = local_noise.median_and_sigma(image)
    assert median == pytest.approx(2, abs=0.02)
    assert sigma == pytest.approx(0.5, rel=0.02)
    assert local_noise.median_and_sigma(np.full((3, 3), np.nan)) == (0.0, 0.0)


def test_local_noise_follows_the_image():
    rng = np.random.default_rng(4)
    image = rng.normal(size=(240, 240))
    image[:, :120] *= 5
    rms = local_noise.local_rms(image, 25.0)
    assert np.median(rms[:, 60]) == pytest.approx(5, rel=0.1)
    assert np.median(rms[:, 180]) == pytest.approx(1, rel=0.1)
    assert rms[:, 239].mean() == pytest.approx(1, rel=0.1)  # there is nothing beyond the edge
    factor, lowest = local_noise.noise_factor(rms)
    assert factor.max() == 1
    assert np.median(factor[:, 60]) == pytest.approx(lowest / 5, rel=0.1)
    half, _ = local_noise.noise_factor(rms, 0.5)
    np.testing.assert_allclose(half, np.sqrt(factor))
    np.testing.assert_array_equal(local_noise.noise_factor(rms, 0.0)[0], 1.0)


def test_local_noise_is_at_least_a_share_of_the_deepest_negative():
    image = np.random.default_rng(5).normal(size=(80, 80))
    image[40, 40] = -50
    rms = local_noise.local_rms(image, 10.0, with_minimum=True)
    assert rms[44, 44] >= 15
    assert rms[10, 10] < 3
    image[5, 5] = np.nan
    assert np.isfinite(local_noise.local_rms(image, 10.0, with_minimum=True)).all()
