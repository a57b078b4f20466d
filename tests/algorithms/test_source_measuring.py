"""Measuring what was put in: exact on noiseless images, as uncertain as stated on noisy ones."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from imaging.algorithms.components import Component
from imaging.algorithms.source_measuring import measure_sources, robust_rms
from imaging.image import Beam, Grid, lm_to_radec

ARCSEC = np.radians(1 / 3600)
BEAM = Beam(14 * ARCSEC, 9 * ARCSEC, np.radians(35))
GRID = Grid((1.0, 0.5), (2 * ARCSEC, 2 * ARCSEC), (128, 150), (1.5e9,), (1e8,))
FLAT = np.ones(GRID.shape)


def gaussian(flux, l, m, major, minor, pa):
    """A Gaussian of integrated flux, as seen with BEAM when `major`, `minor`, `pa` are already convolved."""
    ls, ms = GRID.lm()
    dl, dm = ls[None, :] - l, ms[:, None] - m
    along, across = dl * np.sin(pa) + dm * np.cos(pa), dl * np.cos(pa) - dm * np.sin(pa)
    peak = flux * BEAM.major * BEAM.minor / (major * minor)
    return peak * np.exp(-4 * np.log(2) * ((along / major) ** 2 + (across / minor) ** 2))


def component(name, flux, l, m, **more):
    ra, dec = lm_to_radec(l, m, GRID.centre)
    return Component(name, ra, dec, (flux, 0, 0, 0), reffreq=1.5e9, **more)


@pytest.mark.parametrize(("dl", "dm"), [(0, 0), (0.7, 0.4), (-1.3, 2.1)])
def test_a_point_is_found_exactly(dl, dm):
    l, m = 40.6 * ARCSEC, -30.3 * ARCSEC
    image = gaussian(0.3, l + dl * ARCSEC, m + dm * ARCSEC, BEAM.major, BEAM.minor, BEAM.pa)
    (found,) = measure_sources([component("a", 0.25, l, m)], image, 0.01 * FLAT, GRID, BEAM)
    assert found.flux == pytest.approx(0.3, rel=1e-9)
    assert found.true_flux == 0.25
    np.testing.assert_allclose(found.offset, np.array([dl, dm]) * ARCSEC, atol=1e-9 * ARCSEC)
    np.testing.assert_allclose((found.l, found.m), (l, m), atol=1e-15)


def test_the_true_flux_is_the_one_at_the_images_frequency():
    source = Component("a", *GRID.centre, (1, 0, 0, 0), spectral_index=-1.0, reffreq=0.75e9)
    image = gaussian(0.5, 0, 0, BEAM.major, BEAM.minor, BEAM.pa)
    assert measure_sources([source], image, FLAT, GRID, BEAM)[0].true_flux == pytest.approx(0.5)


def test_a_group_is_summed():
    round_beam = Beam(10 * ARCSEC, 10 * ARCSEC)
    size = np.hypot(24, 10) * ARCSEC  # a 24" source as a 10" beam shows it
    scale = round_beam.major * round_beam.minor / (BEAM.major * BEAM.minor)
    l = np.array([-20, 25]) * ARCSEC
    image = scale * (gaussian(1.0, l[0], 0, size, size, 0) + gaussian(0.5, l[1], 0, size, size, 0))
    sources = [component(n, f, x, 0, major=24 * ARCSEC, minor=24 * ARCSEC, group="g")
               for n, f, x in (("a", 1.0, l[0]), ("b", 0.5, l[1]))]  # fmt: skip
    (found,) = measure_sources(sources, image, 0.001 * FLAT, GRID, round_beam)
    assert (found.name, found.true_flux) == ("g", 1.5)
    assert found.flux == pytest.approx(1.5, rel=2e-3)  # a thousandth of the peak is cut off
    np.testing.assert_allclose(found.offset, 0, atol=1e-4 * ARCSEC)


def test_errors_are_those_of_many_noisy_images():
    """The noise of a naturally weighted map: its autocorrelation is the beam."""
    beam = Beam(6 * 2 * ARCSEC, 6 * 2 * ARCSEC)
    rng = np.random.default_rng(7)
    flux, rms, shown = 1.0, 0.02, np.array([0.3, -0.4]) * ARCSEC
    scale = beam.major * beam.minor / (BEAM.major * BEAM.minor)
    truth = scale * gaussian(flux, *shown, beam.major, beam.minor, 0)
    extended = Component("e", *lm_to_radec(60 * ARCSEC, 0, GRID.centre), (2.0, 0, 0, 0), reffreq=1.5e9,
                         major=20 * ARCSEC, minor=20 * ARCSEC)  # fmt: skip
    wide = np.hypot(20, 12) * ARCSEC
    truth = truth + scale * gaussian(2.0, 60 * ARCSEC, 0, wide, wide, 0)
    found = []
    for _ in range(150):
        noise = gaussian_filter(rng.standard_normal(GRID.shape), 6 / np.sqrt(16 * np.log(2)), mode="wrap")
        image = truth + noise * rms / noise.std()
        found.append(measure_sources([component("p", flux, *shown), extended], image, rms * FLAT, GRID, beam))
    for i in range(2):
        fluxes = np.array([f[i].flux for f in found])
        assert fluxes.std() / found[0][i].flux_error == pytest.approx(1.0, abs=0.25)
        offsets = np.array([f[i].offset for f in found])
        assert offsets.std() / found[0][i].offset_error == pytest.approx(1.0, abs=0.25)


def test_sources_beyond_the_valid_pixels_are_left_out():
    sources = [component("off", 1, 200 * ARCSEC, 0), component("blank", 1, 50 * ARCSEC, 0),
               component("wide", 1, 130 * ARCSEC, 0, major=40 * ARCSEC, minor=40 * ARCSEC)]  # fmt: skip
    image = np.ones(GRID.shape)
    image[:, 40:60] = np.nan
    assert measure_sources(sources, image, FLAT, GRID, BEAM) == []


def test_robust_rms_ignores_sources_and_blanks():
    values = np.random.default_rng(1).normal(0, 0.5, 20000)
    values[:200], values[200:300] = 1e3, np.nan
    assert robust_rms(values) == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_a_point_that_is_not_there_stays_within_half_a_beam(seed):
    """On noise, and on the slope of something brighter beside it."""
    image = gaussian_filter(np.random.default_rng(seed).normal(size=GRID.shape), 2)
    slope = image + gaussian(3.0, 20 * ARCSEC, 5 * ARCSEC, 40 * ARCSEC, 30 * ARCSEC, 0.2)
    for plane in (image, slope, -slope):
        for l in (0.0, 40 * ARCSEC):
            (found,) = measure_sources([component("a", 0.25, l, 0.0)], plane, 0.1 * FLAT, GRID, BEAM)
            assert np.isfinite([found.flux, found.offset_error]).all()
            assert np.abs(found.offset).max() <= BEAM.major / 2 + 1e-15
