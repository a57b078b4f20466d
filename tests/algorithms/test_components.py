"""Components: spectra after their formulas, drawn with the right flux, place and shape, and found again in a model."""

import numpy as np
import pytest

from imaging.algorithms.components import Component, components_of_model, draw, pixels, scale_records, spectra
from imaging.algorithms.simulation import predict_components, predict_image
from imaging.algorithms.spectral_fitting import SpectralFitter
from imaging.image import Grid, lm_to_radec

ARCSEC = np.radians(1 / 3600)
CENTRE = (3.2, 0.6)
FREQ = (1.0e9, 1.4e9, 1.9e9)
GRID = Grid(CENTRE, (5 * ARCSEC, 4 * ARCSEC), (96, 128), FREQ, (1e8,) * 3)


def at(x, y, stokes=(2.0, 0, 0, 0), **more):
    """A component at fractional pixel (x, y) of GRID."""
    l, m = (GRID.shape[1] // 2 - x) * GRID.cell[0], (y - GRID.shape[0] // 2) * GRID.cell[1]
    ra, dec = lm_to_radec(l, m, CENTRE)
    return Component("a", float(ra), float(dec), stokes, **more)


def test_spectra():
    x = np.array(FREQ) / 1.2e9
    log = at(0, 0, (2, 0.5, 0, 0), spectral_index=(-0.7, 0.4), reffreq=1.2e9)
    np.testing.assert_allclose(log.flux(FREQ), 2 * x ** (-0.7 + 0.4 * np.log10(x)))
    plain = at(0, 0, (2, 0.5, 0, 0), spectral_index=(-0.7, 0.4), reffreq=1.2e9, logarithmic=False)
    np.testing.assert_allclose(plain.flux(FREQ), 2 - 0.7 * (x - 1) + 0.4 * (x - 1) ** 2)
    for source in (log, plain):  # Q follows I
        np.testing.assert_allclose(source.stokes_at(1.9e9), source.flux(1.9e9) * np.array([1, 0.25, 0, 0]))
    np.testing.assert_array_equal(at(0, 0).flux(FREQ), 2)
    assert at(0, 0, spectral_index=-0.7).spectral_index == (-0.7,)


def test_spectra_of_many_components():
    kinds = [{}, {"spectral_index": -0.7}, {"spectral_index": (0.3, -0.2, 0.1)}, {"logarithmic": False},
             {"spectral_index": (-0.7, 0.4), "logarithmic": False}]  # fmt: skip
    some = [at(0, 0, (2.0 + i, 0.5, 0.1 * i, 0), reffreq=1e9 + 1e8 * i, **kind) for i, kind in enumerate(kinds)]
    found = spectra(some, FREQ)
    assert found.shape == (5, len(FREQ), 4)
    for source, one in zip(some, found, strict=True):
        flux = source.flux(FREQ)
        np.testing.assert_allclose(one, flux[:, None] * np.array(source.stokes) / source.stokes[0], rtol=1e-13)
    assert spectra([], FREQ).shape == (0, len(FREQ), 4)


@pytest.mark.parametrize("logarithmic", [True, False])
def test_a_polarised_source_without_total_intensity(logarithmic):
    source = at(0, 0, (0, 1, 0, 0), spectral_index=-1.0, reffreq=1e9, logarithmic=logarithmic)
    expected = [0, 0.5, 0, 0] if logarithmic else [-1.0, 1, 0, 0]
    np.testing.assert_allclose(source.stokes_at(2e9), expected)


def test_a_point_in_a_pixel_is_that_pixel_and_between_pixels_keeps_its_place():
    model, outside = draw([at(30, 40, spectral_index=-1.0, reffreq=1e9)], GRID)
    assert outside == 0
    assert model.shape == (3, 1, 96, 128)
    np.testing.assert_allclose(model[:, 0, 40, 30], [2, 2 / 1.4, 2 / 1.9], rtol=1e-6)
    assert np.count_nonzero(model) == 3
    model = draw([at(30.25, 40.6)], GRID)[0][0, 0]
    y, x = np.nonzero(model)
    assert (x.min(), x.max(), y.min(), y.max()) == (30, 31, 40, 41)
    np.testing.assert_allclose([model.sum(), model[y, x] @ x / 2, model[y, x] @ y / 2], [2, 30.25, 40.6], rtol=1e-6)


@pytest.mark.parametrize(("major", "minor"), [(60, 30), (25, 6), (40, 0)])
def test_a_gaussian_has_its_flux_place_and_moments(major, minor):
    source = at(60.3, 50.8, major=major * ARCSEC, minor=minor * ARCSEC, pa=0.5)
    model = draw([source], GRID)[0][0, 0].astype(float)
    l, m = (axis / ARCSEC for axis in GRID.lm())
    middle = np.array([model.sum(0) @ l, model.sum(1) @ m]) / 2
    l0, m0 = (64 - 60.3) * 5, (50.8 - 48) * 4
    assert model.sum() == pytest.approx(2, rel=1e-6)
    np.testing.assert_allclose(middle, [l0, m0], atol=0.01)
    dl, dm = l - l0, m - m0
    cross = dm @ model @ dl / 2
    moments = np.array([[model.sum(0) @ dl**2, 2 * cross], [2 * cross, model.sum(1) @ dm**2]]) / 2
    tolerance = 0.02 if minor else 5.0  # arcsec^2: pixels are wider than a line
    np.testing.assert_allclose(moments, source.covariance() / ARCSEC**2, atol=tolerance)


def test_what_is_beyond_the_edge_is_counted_and_what_reaches_in_is_drawn():
    behind = Component("b", CENTRE[0] + np.pi, -CENTRE[1], (1, 0, 0, 0))
    model, outside = draw([at(-5, 10), at(-5, 60, major=100 * ARCSEC, minor=100 * ARCSEC), behind], GRID)
    assert outside == 2
    assert 0.1 < model[0].sum() < 0.9
    assert draw([at(127.5, 10)], GRID)[0][0].sum() == pytest.approx(1)  # half of it


def test_polarised_planes():
    grid = Grid(CENTRE, GRID.cell, GRID.shape, FREQ, (1e8,) * 3, ("Q", "V"))
    model, _ = draw([at(30, 40, (1, 0.2, 0.3, -0.1))], grid)
    np.testing.assert_allclose(model[0, :, 40, 30], [0.2, -0.1], rtol=1e-6)


@pytest.mark.parametrize(("mode", "logarithmic"), [("polynomial", False), ("logpolynomial", True)])
def test_components_of_a_model_draw_that_model(mode, logarithmic):
    wanted = [at(30, 40, (3, 0, 0, 0), spectral_index=-0.5, reffreq=1.3e9, logarithmic=logarithmic),
              at(90, 20, (-1, 0, 0, 0), spectral_index=0.4, reffreq=1.3e9, logarithmic=logarithmic)]  # fmt: skip
    model, _ = draw(wanted, GRID)
    fitter = SpectralFitter(mode, 2, FREQ, [1, 2, 1])
    found = components_of_model([*pixels(model[:, 0]), (12.0, 60, 70, np.full(3, 5.0))], GRID, fitter)
    assert [c.name for c in found] == ["g0", "p1", "p2"]
    assert (found[0].major, found[0].logarithmic) == (pytest.approx(12 * 5 * ARCSEC), logarithmic)
    np.testing.assert_allclose(draw(found[1:], GRID)[0], model, atol=1e-5)
    np.testing.assert_allclose(found[0].flux(FREQ), 5, rtol=1e-5)


def test_components_of_planes_that_are_coefficients():
    terms = np.zeros((2, 96, 128))
    terms[:, 10, 20] = [2.0, -1.0]
    (found,) = components_of_model(pixels(terms), GRID, reffreq=1.5e9)
    assert (found.stokes[0], found.spectral_index, found.reffreq, found.logarithmic) == (2, (-1,), 1.5e9, False)
    assert components_of_model(pixels(np.zeros((2, 96, 128))), GRID, reffreq=1.5e9) == []


def test_an_image_is_predicted_as_the_components_in_it():
    uvw = np.random.default_rng(1).uniform(-800, 800, (40, 3))
    grid = Grid(CENTRE, GRID.cell, GRID.shape, FREQ, (1e8,) * 3, ("I", "Q"))
    sky = [at(30, 40, (1, 0.2, 0, 0), spectral_index=-0.7), at(100, 80, (0.5, 0, 0, 0))]
    image = predict_image(uvw, FREQ, draw(sky, grid)[0], grid, ("RR", "RL"))
    np.testing.assert_allclose(image, predict_components(uvw, FREQ, sky, CENTRE, ("RR", "RL")), atol=1e-6)
    half = lambda radius, freq: np.full_like(np.asarray(radius, float), 0.5)  # noqa: E731
    np.testing.assert_allclose(
        predict_image(uvw, FREQ, draw(sky, grid)[0], grid, ("RR", "RL"), half), image / 2, atol=1e-6
    )


def test_scales_become_gaussians():
    kept = {"scales": [0.0, 16.0], "place": np.array([[0, 10, 20], [1, 30, 40]]), "fluxes": np.ones((2, 3, 2))}
    point, wide = scale_records(kept)
    assert (point[:3], wide[1:3]) == ((0.0, 10, 20), (30, 40))
    assert wide[0] == pytest.approx(3 * 2.354820045, rel=1e-9)  # sigma is 3 pixels
    np.testing.assert_array_equal(wide[3], [1, 1, 1])
