import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.algorithms.beam_fitting import beam_at_peak, fit_beam, fit_beams
from imaging.algorithms.beams import gaussian
from imaging.image import Beam

CELL = (1e-5, 1e-5)


def in_pixels(major, minor, pa):
    return Beam(major * CELL[0], minor * CELL[0], pa)


@settings(max_examples=40, deadline=None)
@given(st.floats(3.0, 12.0), st.floats(0.4, 1.0), st.floats(-1.57, 1.57))
def test_a_gaussian_is_found_again(major, ratio, pa):
    """As well as cubic interpolation from samples every third of the width allows."""
    beam = in_pixels(major, max(major * ratio, 3.0), pa)
    fitted = fit_beam(gaussian(beam, CELL, (64, 64)), CELL)
    assert fitted.major == pytest.approx(beam.major, rel=1.5e-2)
    assert fitted.minor == pytest.approx(beam.minor, rel=1.5e-2)
    if beam.minor < 0.9 * beam.major:
        assert math.remainder(fitted.pa - pa, math.pi) == pytest.approx(0, abs=0.02)


def test_units_and_unequal_cells_and_rectangular_images():
    cell = (1e-5, 1.5e-5)
    beam = Beam(12e-5, 8e-5, 0.5)
    fitted = fit_beam(7.5 * gaussian(beam, cell, (70, 96)), cell)
    assert fitted.major == pytest.approx(beam.major, rel=3e-3)
    assert fitted.pa == pytest.approx(0.5, abs=0.01)


def test_sidelobes_beyond_a_gap_do_not_count():
    psf = gaussian(in_pixels(6, 4, 0.3), CELL, (64, 64))
    alone = fit_beam(psf, CELL)
    psf[32, 32 + 12 : 32 + 15] = 0.6  # in the peak's own row, after the lobe has ended
    assert fit_beam(psf, CELL) == alone


def test_a_sidelobe_beside_the_lobe_counts_for_casa_only():
    psf = gaussian(in_pixels(6, 4, 0.3), CELL, (64, 64))
    alone = fit_beam(psf, CELL)
    psf[32 - 14 : 32 - 10, 30:35] = psf[32 + 11 : 32 + 15, 30:35] = 0.6  # in rows that the lobe does not reach
    assert fit_beam(psf, CELL) == alone
    assert fit_beam(psf, CELL, compat="casa").major > 1.5 * alone.major


@pytest.mark.parametrize("cell", [(1e-5, 1e-5), (1e-5, 1.5e-5)])
def test_curvature_at_the_peak(cell):
    beam = Beam(12e-5, 8e-5, 0.5)
    found = beam_at_peak(gaussian(beam, cell, (64, 70)), cell)
    assert (found.major, found.minor, found.pa) == pytest.approx((beam.major, beam.minor, beam.pa), rel=1e-6)
    assert beam_at_peak(np.eye(9), cell) is None


def test_pa_is_in_its_interval():
    for degrees in (-89, -45, 0, 45, 89, 90):
        fitted = fit_beam(gaussian(in_pixels(8, 5, math.radians(degrees)), CELL, (64, 64)), CELL)
        assert -math.pi / 2 < fitted.pa <= math.pi / 2


def test_nothing_to_fit():
    blank = np.zeros((64, 64))
    assert fit_beam(blank, CELL) is None
    assert fit_beam(np.full((64, 64), np.nan), CELL) is None
    corner = blank.copy()
    corner[2, 2] = 1
    assert fit_beam(corner, CELL) is None


def test_blank_channels_get_the_largest_beam():
    sizes = [(6, 4), (8, 5), (5, 5)]
    psf = np.stack([gaussian(in_pixels(*s, 0.2), CELL, (64, 64)) for s in sizes] + [np.zeros((64, 64))])
    beams = fit_beams(psf, CELL)
    assert beams[3] == beams[1]
    assert beams[0] != beams[1]
    assert fit_beams(psf[:, None], CELL) == beams
    assert fit_beams(psf[3:], CELL) == []


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_noise_never_raises(seed):
    """Whatever the plane, there is a beam with sensible axes or none."""
    psf = np.random.default_rng(seed).normal(size=(48, 48))
    psf[24, 24] = 4.5
    fitted = fit_beam(psf, CELL)
    assert fitted is None or 0 < fitted.minor <= fitted.major < 1e3 * CELL[0]
