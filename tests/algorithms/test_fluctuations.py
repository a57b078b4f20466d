"""Random functions against their covariances and spectra."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j0

from imaging.algorithms import fluctuations


def test_processes_have_their_covariance_and_no_memory_of_tiles():
    process = fluctuations.processes(np.random.default_rng(1), (4000, 1), 600.0)
    t = np.array([0.0, 300.0, 600.0, 2400.0])
    values = process(t)[..., 0]
    covariance = values.T @ values / 4000
    lag = t[:, None] - t
    np.testing.assert_allclose(covariance, np.exp(-(lag**2) / (2 * 600**2)), atol=0.06)
    np.testing.assert_array_equal(process(t[2:])[..., 0], values[:, 2:])
    kurtosis = (values**4).mean() / (values**2).mean() ** 2
    assert kurtosis == pytest.approx(3, abs=0.25)


def test_sines_have_periods_in_the_range():
    wave = fluctuations.sines(np.random.default_rng(1), (50, 1), (3600.0, 7200.0))
    t = np.arange(0, 400000.0, 60)
    power = np.abs(np.fft.rfft(wave(t)[..., 0], axis=1))
    periods = 1 / np.fft.rfftfreq(len(t), 60)[1:][power[:, 1:].argmax(1)]
    assert periods.min() > 3500
    assert periods.max() < 7400
    assert np.ptp(periods) > 2500


def test_polynomials_and_splines():
    x = np.linspace(-1, 1, 2001)
    values = fluctuations.polynomials(np.random.default_rng(1), (500, 2), 4)(x)
    assert np.sqrt((values**2).mean()) == pytest.approx(1, rel=0.03)
    np.testing.assert_allclose(np.diff(values, 5, axis=1), 0, atol=1e-11)
    assert np.abs(np.diff(values, 4, axis=1)).max() > 1e-12
    spline = fluctuations.splines(np.random.default_rng(1), (500, 1), 7)
    knots = spline(np.linspace(-1, 1, 7))
    np.testing.assert_allclose(knots[..., 0].T, np.random.default_rng(1).standard_normal((7, 500)), atol=1e-14)
    assert np.abs(np.diff(spline(x), 3, axis=1)).max() < 1e-6


def structure(screens, lags):
    return np.array([np.mean([(np.roll(s, lag, 1) - s) ** 2 for s in screens]) for lag in lags])


def test_turbulence_has_von_karman_s_structure_function():
    """Against the integral over its spectrum, 4 pi int k Phi(k) (1 - J0(k r)) dk."""
    pixel, size, outer, scale = 50.0, 512, 5000.0, 300.0
    factor = fluctuations.spectrum_of_scale(scale)
    screens = [fluctuations.turbulence(np.random.default_rng(i), factor, outer, pixel, size) for i in range(12)]
    lags = np.array([8, 16, 32, 64, 128])

    def exact(r):
        def part(k):
            return 4 * np.pi * factor * k * fluctuations.von_karman(k, outer) * (1 - j0(k * r))

        edges = np.geomspace(1e-6, np.pi / pixel * 20, 400)
        return sum(quad(part, a, b)[0] for a, b in zip(edges, edges[1:], strict=False))

    np.testing.assert_allclose(structure(screens, lags), [exact(lag * pixel) for lag in lags], rtol=0.08)
    rms = np.sqrt(np.mean(np.square(screens)))
    assert fluctuations.spectrum_of_rms(rms, outer) == pytest.approx(factor, rel=0.15)


def test_far_below_the_outer_scale_it_grows_as_r_to_the_five_thirds():
    """To the order of the outer scale: 1 - 1.485 (r/L)^(1/3) + 5.383 (r/L)^2 (Tokovinin 2002, PASP 114, 1156)."""
    pixel, size, scale, outer = 20.0, 1024, 100.0, 2e4
    factor = fluctuations.spectrum_of_scale(scale)
    screens = [fluctuations.turbulence(np.random.default_rng(i), factor, outer, pixel, size) for i in range(4)]
    lags = np.array([4, 8, 16])
    measured = structure(screens, lags)
    x = lags * pixel / outer
    expected = (lags * pixel / scale) ** (5 / 3) * (1 - 1.485 * x ** (1 / 3) + 5.383 * x**2)
    np.testing.assert_allclose(measured, expected, rtol=0.1)


def test_screens_repeat_and_are_bilinear():
    screen = fluctuations.turbulence(np.random.default_rng(1), 1.0, 100.0, 10.0, 16)
    assert fluctuations.at_places(screen, 30.0, 50.0, 10.0) == pytest.approx(screen[5, 3], rel=1e-12)
    assert fluctuations.at_places(screen, 30.0 + 160, 50.0 - 320, 10.0) == pytest.approx(screen[5, 3], rel=1e-12)
    between = fluctuations.at_places(screen, np.array([155.0]), np.array([42.0]), 10.0)[0]
    rows = [0.5 * screen[y, 15] + 0.5 * screen[y, 0] for y in (4, 5)]
    assert between == pytest.approx(0.8 * rows[0] + 0.2 * rows[1], rel=1e-12)
