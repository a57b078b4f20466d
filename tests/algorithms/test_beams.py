"""Beams as matrices: geometry, convolution, and the beam common to several."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.algorithms.beams import (
    area,
    common_beam,
    convolve_beams,
    covariance,
    deconvolve_beam,
    from_covariance,
    gaussian,
    gaussian_patch,
)
from imaging.image import Beam

beams = st.builds(
    lambda major, ratio, pa: Beam(major, major * ratio, pa),
    st.floats(1.0, 10.0),
    st.floats(0.3, 0.99),
    st.floats(-1.5, 1.57),
)


@given(beams)
def test_matrix_and_back(beam):
    back = from_covariance(covariance(beam))
    assert back.major == pytest.approx(beam.major, rel=1e-12)
    assert back.minor == pytest.approx(beam.minor, rel=1e-12)
    assert math.remainder(back.pa - beam.pa, math.pi) == pytest.approx(0, abs=1e-10)


@given(beams, beams)
def test_deconvolution_undoes_convolution(first, second):
    found = deconvolve_beam(convolve_beams(first, second), second)
    np.testing.assert_allclose(covariance(found), covariance(first), atol=1e-9)


def test_round_beams_add_in_quadrature():
    assert convolve_beams(Beam(3, 3), Beam(4, 4)).major == pytest.approx(5)
    assert deconvolve_beam(Beam(4, 4), Beam(5, 3)) is None
    assert deconvolve_beam(Beam(5, 3, 0.4), Beam(5, 3, 0.4)).major == pytest.approx(0, abs=1e-7)


def test_the_major_axis_points_north_through_east():
    """East is towards smaller x: at PA 30 degrees x and y are anticorrelated."""
    pa = math.radians(30)
    plane = gaussian(Beam(20, 6, pa), (1.0, 1.0), (65, 65))
    y, x = np.mgrid[-32:33, -32:33]
    xx, xy, yy = ((plane * a).sum() / plane.sum() for a in (x * x, x * y, y * y))
    assert xy < 0
    assert 0.5 * math.atan2(-2 * xy, yy - xx) == pytest.approx(pa, abs=1e-4)
    assert plane[32, 32] == 1
    along = gaussian(Beam(20, 6, 0.0), (1.0, 1.0), (65, 65))
    assert along[42, 32] == pytest.approx(0.5)


def test_patch_holds_all_of_the_gaussian_with_unequal_cells():
    beam, cell = Beam(7, 5, 0.7), (1.0, 0.5)
    patch = gaussian_patch(beam, cell)
    assert patch.sum() * cell[0] * cell[1] == pytest.approx(area(beam), rel=1e-6)
    assert gaussian(beam, cell, (201, 201)).sum() == pytest.approx(patch.sum(), rel=1e-12)


@settings(deadline=None)
@given(st.lists(beams, min_size=1, max_size=6), st.sampled_from(["", "casa"]))
def test_common_beam_can_be_made_from_all(several, compat):
    common = common_beam(several, compat)
    for beam in several:
        assert deconvolve_beam(Beam(common.major * 1.0005, common.minor * 1.0005, common.pa), beam) is not None
    if compat == "":
        assert area(common) <= math.pi * max(b.major for b in several) ** 2 / (4 * math.log(2)) * 1.02


def test_the_largest_beam_is_taken_where_it_will_do():
    largest = Beam(6, 5, 0.3)
    assert common_beam([Beam(4, 3, 1.0), largest, Beam(5, 4, 0.2)]) == largest
    assert common_beam([largest, largest]) == largest
