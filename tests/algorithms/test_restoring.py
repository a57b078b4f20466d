import numpy as np
import pytest

from imaging.algorithms.beams import area, area_pixels, convolve_beams, gaussian
from imaging.algorithms.restoring import pbcor, rescale_residual, restore
from imaging.image import Beam

CELL = (1.0, 1.0)
SHAPE = (80, 96)
BEAM = Beam(8, 5, 0.6)
TARGET = Beam(12, 10, -0.3)


def test_a_component_becomes_the_beam_with_its_flux_as_peak():
    model = np.zeros(SHAPE, np.float32)
    model[30, 50] = 2.5
    image = restore(model, np.zeros(SHAPE, np.float32), BEAM, CELL)
    expected = 2.5 * np.roll(gaussian(BEAM, CELL, SHAPE), (30 - 40, 50 - 48), (0, 1))
    np.testing.assert_allclose(image, expected, atol=1e-6)
    assert image.dtype == np.float32


def test_the_residual_is_added_as_it_is():
    residual = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    np.testing.assert_array_equal(restore(np.zeros(SHAPE), residual, BEAM, CELL), residual)


@pytest.mark.parametrize("compat", ["", "casa"])
def test_a_residual_source_gets_the_target_s_shape_and_keeps_its_flux(compat):
    """A source left in the residual ends up as if it had been restored, so cleaned and uncleaned flux agree."""
    residual = 1.7 * gaussian(BEAM, CELL, SHAPE)
    image = rescale_residual(residual, BEAM, TARGET, CELL, compat)
    np.testing.assert_allclose(image, 1.7 * gaussian(TARGET, CELL, SHAPE), atol=2e-6)
    flux = image.sum() / area_pixels(TARGET, CELL)
    assert flux == pytest.approx(1.7, rel=1e-5)


def test_casa_leaves_residuals_of_nearly_the_same_beam_alone():
    residual = gaussian(BEAM, CELL, SHAPE)
    target = convolve_beams(BEAM, Beam(3, 1.2, 0.2))
    assert rescale_residual(residual, BEAM, target, CELL, "casa") is residual
    ours = rescale_residual(residual, BEAM, target, CELL)
    np.testing.assert_allclose(ours, gaussian(target, CELL, SHAPE), atol=2e-3)
    assert rescale_residual(residual, BEAM, BEAM, CELL) is residual


def test_a_target_that_cannot_be_reached_only_changes_the_units():
    residual = np.random.default_rng(1).normal(size=SHAPE)
    smaller = Beam(6, 5, 0.6)
    np.testing.assert_allclose(
        rescale_residual(residual, BEAM, smaller, CELL), residual * area(smaller) / area(BEAM), rtol=1e-12
    )


def test_a_kernel_of_no_width_in_one_direction():
    """The target widens the beam along one axis only: nothing may be lost."""
    target = Beam(12, 5, 0.6)
    image = rescale_residual(gaussian(BEAM, CELL, SHAPE), BEAM, target, CELL)
    np.testing.assert_allclose(image.sum() / area_pixels(target, CELL), 1, rtol=1e-4)


def test_pixels_that_are_not_numbers_stay_where_they_are():
    residual = gaussian(BEAM, CELL, SHAPE)
    residual[10, 10] = np.nan
    image = rescale_residual(residual, BEAM, TARGET, CELL)
    assert np.isnan(image).sum() == 1
    assert np.isnan(image[10, 10])


def test_pbcor_divides_where_there_is_a_beam():
    image = np.array([[2.0, 3.0, 4.0]], np.float32)
    pb = np.array([[0.5, 0.0, -1.0]], np.float32)
    np.testing.assert_array_equal(pbcor(image, pb), [[4.0, 0.0, 0.0]])
