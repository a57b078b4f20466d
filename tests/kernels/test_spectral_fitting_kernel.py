"""Spectra of components: both implementations, then one against the other."""

import numpy as np
import pytest

from imaging.kernels import spectral_fitting, spectral_fitting_reference

LOGS = np.log10(np.linspace(1, 2, 7) / 1.5)


@pytest.mark.parametrize("kernel", [spectral_fitting, spectral_fitting_reference], ids=["fast", "reference"])
def test_a_spectrum_is_found_again(kernel):
    values, found = np.empty(7), np.empty(3)
    kernel.evaluate_log_polynomial(np.array([-2.0, -0.8, 0.5]), LOGS, values)
    np.testing.assert_allclose(values, -2 * 10 ** (-0.8 * LOGS + 0.5 * LOGS**2))
    assert kernel.fit_log_polynomial(values, LOGS, found)
    np.testing.assert_allclose(found, [-2, -0.8, 0.5], rtol=1e-6)


def test_fast_is_the_reference():
    random = np.random.default_rng(1)
    for terms in (1, 2, 3):
        values = 10 ** (-0.7 * LOGS) + 0.05 * random.normal(size=7)
        fast, slow = np.empty(terms), np.empty(terms)
        spectral_fitting.fit_log_polynomial(values, LOGS, fast)
        spectral_fitting_reference.fit_log_polynomial(values, LOGS, slow)
        np.testing.assert_allclose(fast, slow, rtol=1e-4, atol=1e-5)


def test_spectra_are_replaced_by_their_fits():
    random = np.random.default_rng(2)
    values, smoothing, work = random.normal(size=7) + 3, random.normal(size=(7, 7)), np.empty((2, 7))
    valid = np.array([0, 1, 2, 4, 6])
    for kind, expected in (
        (spectral_fitting.NONE, values),
        (spectral_fitting.LINEAR, smoothing[:, valid] @ values[valid]),
        (spectral_fitting.LOGARITHMIC, None),
    ):
        if expected is None:
            found, expected = np.empty(2), np.empty(7)
            spectral_fitting.fit_log_polynomial(values[valid], LOGS[valid], found)
            spectral_fitting.evaluate_log_polynomial(found, LOGS, expected)
        fitted = values.copy()
        spectral_fitting.fit_spectrum(kind, smoothing, LOGS, valid, 2, fitted, work)
        np.testing.assert_allclose(fitted, expected, rtol=1e-12)
