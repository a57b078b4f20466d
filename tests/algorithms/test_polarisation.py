"""Stokes parameters from correlations, and which samples are good."""

import numpy as np
import pytest

from imaging.algorithms.polarisation import make_stokes, stokes_matrix
from imaging.errors import ImagingError

LINEAR, CIRCULAR = ("XX", "XY", "YX", "YY"), ("RR", "RL", "LR", "LL")
I, Q, U, V = 1.0, 0.3, -0.2, 0.1


def measured(names):
    """What feeds measure of a source of I, Q, U, V (Hamaker & Bregman 1996)."""
    known = {
        "XX": I + Q,
        "YY": I - Q,
        "XY": U + 1j * V,
        "YX": U - 1j * V,
        "RR": I + V,
        "LL": I - V,
        "RL": Q + 1j * U,
        "LR": Q - 1j * U,
    }
    return np.array([known[n] for n in names], np.complex64)


def convert(names, stokes, vis=None, flag=None, weight=None, uvw=None):
    matrix, used, weighing = stokes_matrix(names, tuple(stokes))
    vis = np.tile(measured(names), (2, 3, 1)) if vis is None else vis
    flag = np.zeros(vis.shape, bool) if flag is None else flag
    weight = np.ones(vis.shape, np.float32) if weight is None else weight
    uvw = np.zeros((len(vis), 3)) if uvw is None else uvw
    pick = np.asarray(used)
    return make_stokes(vis[..., pick], flag[..., pick], weight[..., pick], uvw, matrix, weighing)


@pytest.mark.parametrize("names", [LINEAR, CIRCULAR, LINEAR[::-1], ("LL", "RR", "LR", "RL")])
@pytest.mark.parametrize("stokes", ["I", "Q", "U", "V", "IQ", "IV", "QU", "IQUV"])
def test_a_source_comes_back(names, stokes):
    vis, weight, counts = convert(names, stokes)
    truth = np.array([{"I": I, "Q": Q, "U": U, "V": V}[s] for s in stokes])
    np.testing.assert_allclose(vis, np.broadcast_to(truth[:, None, None], vis.shape), atol=1e-6)
    assert (weight == 1).all()
    assert counts["good"] == counts["selected"] == 6


def test_correlations_as_they_are():
    vis, weight, _ = convert(LINEAR, ("XX", "YY"), weight=np.broadcast_to(np.array([1, 5, 6, 3], "f4"), (2, 3, 4)))
    np.testing.assert_allclose(vis[:, 0, 0], [I + Q, I - Q], rtol=1e-6)
    assert (weight == 2).all()
    vis, weight, _ = convert(LINEAR, ("XY",), weight=np.broadcast_to(np.array([1, 5, 6, 3], "f4"), (2, 3, 4)))
    np.testing.assert_allclose(vis[0, 0, 0], U + 1j * V, rtol=1e-6)
    assert (weight == 5).all()


def test_unequal_hands_are_averaged_and_cross_hands_do_not_weigh():
    weight = np.broadcast_to(np.array([0.5, 100, 100, 1.0], "f4"), (2, 1, 4))
    for stokes in ("I", "IQUV", "U"):
        assert (convert(LINEAR, stokes, weight=weight, vis=np.ones((2, 1, 4), "c8"))[1] == 0.75).all()


def test_a_sample_is_good_only_where_all_it_needs_is():
    vis = np.tile(measured(CIRCULAR), (7, 1, 1))
    flag, weight = np.zeros((7, 1, 4), bool), np.ones((7, 1, 4), np.float32)
    uvw = np.zeros((7, 3))
    flag[1, 0, 0] = True
    vis[2, 0, 3] = np.nan + 1j
    weight[3, 0, 3] = 0
    weight[4, 0, 0] = np.inf
    uvw[5, 2] = np.nan
    flag[6, 0, 1] = vis[6, 0, 2].real > 9  # an unused hand: nothing happens for Stokes I
    vis[6, 0, 1] = np.nan
    made, weights, counts = convert(CIRCULAR, "I", vis, flag, weight, uvw)
    assert (weights[:, 0] > 0).tolist() == [True, False, False, False, False, False, True]
    assert counts == {"selected": 7, "flagged": 1, "nonfinite": 3, "zero_weight": 1, "good": 2}
    assert np.isfinite(made).all()
    assert (made[0, weights == 0] == 0).all()
    _, weights, _ = convert(CIRCULAR, "Q", vis, flag, weight, uvw)
    assert weights[6, 0] == 0


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, -np.inf])
def test_bad_weights_never_count(bad):
    weight = np.full((2, 3, 4), bad, np.float32)
    made, weights, counts = convert(LINEAR, "I", weight=weight)
    assert not weights.any()
    assert not made.any()
    assert counts["good"] == 0


@pytest.mark.parametrize(
    ("names", "stokes", "next_step"),
    [
        (("XX",), "I", "XX"),
        (("RR", "LL"), "Q", "I"),
        (("XX", "YY"), "V", "I"),
        (LINEAR, ("RR",), "I"),
        (("YY",), ("XX",), "YY"),
    ],
)
def test_impossible_stokes_say_what_is_possible(names, stokes, next_step):
    with pytest.raises(ImagingError) as error:
        stokes_matrix(names, tuple(stokes))
    assert error.value.next_step == f"set image.stokes: {next_step}"


def test_two_hands_make_i_and_their_difference():
    assert convert(("RR", "LL"), "IV")[0][:, 0, 0].real.tolist() == pytest.approx([I, V], rel=1e-6)
    assert convert(("XX", "YY"), "IQ")[0][:, 0, 0].real.tolist() == pytest.approx([I, Q], rel=1e-6)


def test_sets_that_hold_stokes_parameters_already():
    names = ("I", "Q", "U", "V")
    vis = np.tile(np.array([I, Q, U, V], np.complex64), (2, 3, 1))
    assert convert(names, "IQ", vis)[0][:, 0, 0].real.tolist() == pytest.approx([I, Q])
