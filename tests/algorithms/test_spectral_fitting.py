"""Spectra through the values of a component: against numpy and scipy, and the contract's errors."""

import numpy as np
import pytest

from imaging.algorithms.spectral_fitting import SpectralFitter

FREQ = np.linspace(1e9, 2e9, 8)
WEIGHT = np.array([1.0, 2, 3, 0, 2, 4, 1, 0.5])


def test_a_polynomial_is_a_weighted_least_squares_fit():
    values = np.random.default_rng(1).normal(size=8)
    fitter = SpectralFitter("polynomial", 3, FREQ, WEIGHT)
    used = WEIGHT > 0
    nu0 = np.average(FREQ, weights=WEIGHT)
    expected = np.polyfit(FREQ[used] / nu0 - 1, values[used], 2, w=np.sqrt(WEIGHT[used]))[::-1]
    assert fitter.reference_frequency == pytest.approx(nu0)
    np.testing.assert_allclose(fitter.fit(values), expected, rtol=1e-10)
    np.testing.assert_allclose(fitter.fit_and_evaluate(values), np.polyval(expected[::-1], FREQ / nu0 - 1), rtol=1e-10)


@pytest.mark.parametrize("mode", ["polynomial", "logpolynomial"])
def test_what_a_channel_without_weight_holds_does_not_matter(mode):
    fitter = SpectralFitter(mode, 3, FREQ, WEIGHT)
    values = 3 * (FREQ / 1.5e9) ** -0.7
    expected = fitter.fit_and_evaluate(values)
    values[3] = np.nan
    np.testing.assert_array_equal(fitter.fit_and_evaluate(values), expected)
    assert abs(expected[3] / (3 * (FREQ[3] / 1.5e9) ** -0.7) - 1) < 0.02


def test_terms_beyond_the_number_of_channels_are_zero():
    weight = np.array([1.0, 0, 0, 0, 0, 0, 0, 1])
    fitter = SpectralFitter("polynomial", 4, FREQ, weight)
    found = fitter.fit(np.arange(8.0))
    assert found[2:].tolist() == [0, 0]
    np.testing.assert_allclose(fitter.evaluate(found, FREQ[[0, 7]]), [0, 7], atol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("terms", [[2.0], [2.0, -0.7], [0.3, 1.5, -2.0], [5, -2.0, 1.0, 3.0]])
def test_a_logarithmic_polynomial_is_found_again(terms, sign):
    fitter = SpectralFitter("logpolynomial", len(terms), FREQ, WEIGHT)
    terms = np.array([sign * terms[0], *terms[1:]])
    values = fitter.evaluate(terms, FREQ)
    np.testing.assert_allclose(fitter.fit(values), terms, rtol=1e-6)
    np.testing.assert_allclose(fitter.fit_and_evaluate(values), values, rtol=1e-9)


def test_a_noisy_logarithmic_polynomial_is_the_least_squares_solution():
    from scipy.optimize import least_squares

    random = np.random.default_rng(3)
    for terms in (1, 2, 3):
        fitter = SpectralFitter("logpolynomial", terms, FREQ, np.ones(8))
        for noise in (0.01, 0.2):
            values = (FREQ / 1.5e9) ** -1.2 + noise * random.normal(size=8)

            def error(c, values=values, fitter=fitter):
                return fitter.evaluate(c, FREQ) - values

            best = least_squares(error, [values.mean(), *[0] * (terms - 1)], method="lm", xtol=1e-14, ftol=1e-14)
            found = fitter.fit(values)
            assert (error(found) ** 2).sum() <= 2 * best.cost * (1 + 1e-9)
            np.testing.assert_allclose(found, best.x, rtol=1e-4, atol=1e-4)


def test_any_spectrum_has_a_finite_fit():
    random = np.random.default_rng(5)
    fitter = SpectralFitter("logpolynomial", 3, FREQ, WEIGHT)
    for values in [np.zeros(8), np.eye(8)[0], -np.eye(8)[7], *random.normal(size=(50, 8))]:
        assert np.isfinite(fitter.fit_and_evaluate(values)).all()


def test_a_forced_spectrum_only_scales():
    terms = np.zeros((2, 5, 6))
    terms[:, 4, 3] = -0.7, 0.2
    fitter = SpectralFitter("forced", 1, FREQ, WEIGHT, terms)
    assert fitter.nterms == 3
    values = np.random.default_rng(1).uniform(1, 2, 8)
    log = np.log10(FREQ / fitter.reference_frequency)
    shape = 10 ** (-0.7 * log + 0.2 * log**2)
    amplitude = (WEIGHT @ values) / (WEIGHT @ shape)
    np.testing.assert_allclose(fitter.fit(values, 3, 4), [amplitude, -0.7, 0.2])
    np.testing.assert_allclose(fitter.fit_and_evaluate(values, x=3, y=4), amplitude * shape)
    np.testing.assert_allclose(fitter.fit_and_evaluate(values, 0, 0), (WEIGHT @ values) / WEIGHT.sum())


@pytest.mark.parametrize("mode", ["polynomial", "logpolynomial"])
def test_spectra_of_many_pixels_are_evaluated_at_once(mode):
    fitter = SpectralFitter(mode, 3, FREQ, WEIGHT)
    coefficients = np.random.default_rng(2).normal(size=(3, 4, 5))
    every = fitter.evaluate(coefficients, FREQ)
    assert every.shape == (8, 4, 5)
    np.testing.assert_allclose(every[:, 2, 3], fitter.evaluate(coefficients[:, 2, 3], FREQ))
    assert fitter.evaluate(coefficients, 1.2e9).shape == (4, 5)


def test_without_fitting_values_are_returned_and_there_is_no_fit():
    fitter = SpectralFitter("none", 2, FREQ, WEIGHT)
    assert fitter.nterms == 0
    assert fitter.fit_and_evaluate(range(8)).tolist() == list(range(8))
    with pytest.raises(RuntimeError, match="no fitting mode selected"):
        fitter.fit(np.ones(8))


def test_values_of_another_size_are_refused():
    fitter = SpectralFitter("polynomial", 2, FREQ, WEIGHT)
    with pytest.raises(RuntimeError, match="Incorrect size of values array"):
        fitter.fit(np.ones(7))
    with pytest.raises(RuntimeError, match="Invalid dimensions"):
        fitter.fit_and_evaluate(np.ones((1, 8)))
    with pytest.raises(TypeError):
        fitter.fit(np.ones(8), 1.5, 0)
    assert fitter.fit([1] * 8, np.int32(2), 0)[0] == pytest.approx(1)
    with pytest.raises(ValueError, match="map"):
        SpectralFitter("forced", 2, FREQ, WEIGHT)
    with pytest.raises(ValueError, match="unknown"):
        SpectralFitter("spline", 2, FREQ, WEIGHT)
