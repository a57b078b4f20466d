"""Decisions after a major cycle; tclean's own are in tests/oracles/test_casa_parity.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.algorithms.cycle_control import Limits, next_state, psf_fraction, residual_statistics
from imaging.algorithms.masking import Noise
from imaging.state import MinorResult, PlaneStatistics, StopCode

LIMITS = Limits(niter=1000, threshold=0.01)


def plane(peak, nomask=None, pixels=10, nsigma=None):
    return ((PlaneStatistics(peak, peak if nomask is None else nomask, pixels, 0.0, 0.1, nsigma),),)


def play(peaks, limits=LIMITS, minors=100, compat="", **kw):
    """States of a run with these peaks after each major cycle."""
    state, states = None, []
    for k, peak in enumerate(peaks):
        minor = None if k == 0 else MinorResult(minors)
        state = next_state(state, minor, plane(peak, **kw), limits, 0.1, compat)
        states.append(state)
    return states


def test_the_first_decision():
    (state,) = play([1.0])
    assert (state.cycle, state.iterdone, state.stop) == (0, 0, StopCode.GO_ON)
    assert state.cycle_threshold == pytest.approx(0.1)
    assert state.cycle_niter == 1000
    assert not state.threshold_reached
    assert state.prev_peak is None


@pytest.mark.parametrize(
    ("sidelobe", "factor", "expected"), [(0.1, 1, 0.1), (0.1, 3, 0.3), (0.01, 1, 0.05), (0.5, 4, 0.8)]
)
def test_psf_fraction_has_two_bounds(sidelobe, factor, expected):
    assert psf_fraction(sidelobe, Limits(niter=1, cyclefactor=factor)) == pytest.approx(expected)


def test_the_cycle_threshold_ends_at_the_user_s():
    state = play([1.0, 0.05])[-1]
    assert state.cycle_threshold == LIMITS.threshold
    assert state.threshold_reached


def test_iterations_are_shared_out():
    states = play([1.0, 0.5, 0.3, 0.2], Limits(niter=250, cycleniter=100))
    assert [s.cycle_niter for s in states] == [100, 100, 50, 0]
    assert [s.stop for s in states] == [0, 0, 0, StopCode.NITER]
    assert [s.iterdone for s in states] == [0, 100, 200, 300]


@pytest.mark.parametrize(
    ("peaks", "limits", "kw", "stop"),
    [
        ([0.009], LIMITS, {}, StopCode.THRESHOLD),
        ([1.0, 0.01009], LIMITS, {}, StopCode.THRESHOLD),  # within 1 %
        ([1.0, 0.0103], LIMITS, {}, StopCode.GO_ON),
        ([1.0], Limits(niter=0), {}, StopCode.NITER),
        ([0.009], Limits(niter=0, threshold=0.01), {}, StopCode.THRESHOLD),  # overrules NITER
        ([1.0, 1.0], LIMITS, {}, StopCode.NO_CHANGE),
        ([1.0, 4.1], LIMITS, {}, StopCode.DIVERGED_SLOWLY),  # both tests fire: the later one counts
        ([1.0, 0.2, 0.5, 0.81], LIMITS, {}, StopCode.DIVERGED_SLOWLY),
        ([1.0, 0.2, 0.5, 0.79], LIMITS, {}, StopCode.GO_ON),
        ([None], LIMITS, {"pixels": 0, "nomask": 1.0}, StopCode.EMPTY_MASK),
        ([1.0, 0.5, 0.4], Limits(niter=1000, nmajor=2), {}, StopCode.NMAJOR),
        ([1.0, 0.5], Limits(niter=1000, nmajor=2), {}, StopCode.GO_ON),
        ([1.0], Limits(niter=1000, nmajor=0), {}, StopCode.NMAJOR),
        ([1.0, 0.009], Limits(niter=1000, threshold=0.01, nmajor=1), {}, StopCode.THRESHOLD),
        ([0.4], Limits(niter=1000, nsigma=3), {"nsigma": 0.397}, StopCode.NSIGMA),
        ([0.4], Limits(niter=1000, nsigma=0), {"nsigma": 0.397}, StopCode.GO_ON),
        ([0.4], Limits(niter=1000, nsigma=3), {"nsigma": -0.5}, StopCode.GO_ON),
    ],
)
def test_stop_codes(peaks, limits, kw, stop):
    assert play(peaks, limits, **kw)[-1].stop == stop


def test_nsigma_waits_for_every_plane():
    limits = Limits(niter=100, nsigma=3)
    quiet, loud, unmasked = (
        PlaneStatistics(0.2, 0.2, 5, 0.0, 0.1, 0.3),
        PlaneStatistics(0.2, 0.2, 5, 0.0, 0.05, 0.15),
        PlaneStatistics(None, 9.0, 0, 0.0, 0.05, 0.15),
    )
    assert next_state(None, None, ((quiet,), (loud,)), limits, 0.1).stop == StopCode.GO_ON
    assert next_state(None, None, ((quiet,), (unmasked,)), limits, 0.1).stop == StopCode.NSIGMA
    without_data = PlaneStatistics(0.0, 0.0, 5, 0.0, 0.0, 0.0)
    assert next_state(None, None, ((quiet,), (without_data,)), limits, 0.1).stop == StopCode.NSIGMA


def test_a_plane_at_its_nsigma_does_not_hold_up_the_others():
    """A confused Stokes I of much noise beside a faint polarised source."""
    intensity, polarised = PlaneStatistics(5.0, 5.0, 9, 0.0, 2.0, 6.0), PlaneStatistics(0.3, 0.3, 9, 0.0, 0.01, 0.03)
    limits = Limits(niter=100, nsigma=3)
    ours = next_state(None, None, ((intensity, polarised),), limits, 0.1)
    assert (ours.stop, ours.peak) == (StopCode.GO_ON, 5.0)
    assert ours.cycle_threshold == pytest.approx(0.03)
    fainter = PlaneStatistics(0.1, 0.1, 9, 0.0, 0.01, 0.03)
    assert next_state(ours, MinorResult(5), ((intensity, fainter),), limits, 0.1).stop == StopCode.GO_ON
    assert next_state(ours, MinorResult(5), ((intensity, polarised),), limits, 0.1).stop == StopCode.NO_CHANGE
    casa = next_state(None, None, ((intensity, polarised),), limits, 0.1, "casa")
    assert casa.cycle_threshold == pytest.approx(0.5)
    assert next_state(casa, MinorResult(5), ((intensity, fainter),), limits, 0.1, "casa").stop == StopCode.NO_CHANGE


def test_a_diverged_clean_goes_back_to_its_best_cycle():
    peaks = [1.0, 0.2, 0.1, 0.5]
    ours = play(peaks)[-1]
    assert ours.stop == StopCode.DIVERGED_SLOWLY
    assert (ours.min_cycle, ours.best_cycle, ours.cycle) == (2, 2, 3)
    casa = play(peaks, compat="casa")[-1]
    assert (casa.min_cycle, casa.best_cycle) == (2, 3)
    assert play(peaks[:3])[-1].best_cycle == 2


def test_a_minor_cycle_that_did_nothing_ends_the_loop():
    assert play([1.0, 0.9999], minors=0)[-1].stop == StopCode.NO_CHANGE


def test_peak_without_a_mask_is_reported_where_the_mask_is_empty_later():
    state = play([1.0])[-1]
    after = next_state(state, MinorResult(5), plane(None, nomask=0.7, pixels=0), LIMITS, 0.1)
    assert after.stop == StopCode.EMPTY_MASK
    assert after.peak == 0.7


def test_nothing_but_blank_pixels_is_an_empty_mask():
    state = next_state(None, None, plane(None, pixels=0), LIMITS, 0.1)
    assert state.stop == StopCode.EMPTY_MASK
    assert state.cycle_threshold == LIMITS.threshold


@given(st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=12), st.sampled_from(["", "casa"]))
def test_whatever_the_peaks_the_records_hold(peaks, compat):
    for k, state in enumerate(play(peaks, compat=compat)):
        assert state.cycle == k
        assert state.min_peak_nomask == min(peaks[: k + 1])
        assert peaks[state.min_cycle] == state.min_peak_nomask
        assert state.cycle_threshold >= LIMITS.threshold
        assert 0 <= state.cycle_niter <= LIMITS.niter
        assert state.best_cycle in (k, state.min_cycle)


def test_statistics_of_planes():
    rng = np.random.default_rng(0)
    residual = rng.normal(size=(2, 1, 50, 60)).astype(np.float32)
    residual[0, 0, 3, 3], residual[0, 0, 40, 40], residual[1, 0, 0, 0] = -9, 20, np.nan
    mask, valid = np.zeros(residual.shape, bool), np.ones(residual.shape, bool)
    mask[0, 0, :10, :10] = True
    valid[0, 0, 40, 40] = False
    (first,), (second,) = residual_statistics(residual, mask, valid, nsigma=3)
    assert (first.peak, first.peak_nomask, first.mask_pixels) == (9.0, 9.0, 100)
    assert second.peak is None
    assert second.mask_pixels == 0
    assert first.nsigma_threshold == pytest.approx(3, rel=0.1)
    assert residual_statistics(residual, mask, valid)[0][0].nsigma_threshold is None
    given_noise = [[Noise(0.5, 2.0, 1.0)], [Noise(0.0, 1.0, 1.0)]]
    automasked = residual_statistics(residual, mask, valid, nsigma=3, noise=given_noise, automasking=True)
    assert automasked[0][0].nsigma_threshold == 6.5
