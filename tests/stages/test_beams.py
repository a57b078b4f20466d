"""How far a beam of the measurement equation has to reach."""

import math

import pytest

from imaging.image import Grid
from imaging.stages.beams import _reach


def test_a_beam_reaches_as_far_across_right_ascension_zero():
    sizes = [_reach(Grid((ra, 1.2), (1e-5, 1e-5), (100, 100), (1e9,), (1e6,)), (pointed, 1.2))
             for ra, pointed in ((1.001, 0.999), (0.001, 2 * math.pi - 0.001))]  # fmt: skip
    assert sizes[0] == pytest.approx(1.05e-3 + 2 * 0.002 * math.cos(1.2), rel=1e-5)
    assert sizes[1] == pytest.approx(sizes[0], rel=1e-9)
