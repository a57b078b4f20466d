"""States survive the way to disk and back, whatever the numbers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.state import CleanState, MinorResult, PlaneResult, PlaneStatistics, PlaneStop, StopCode

numbers = st.floats(allow_nan=False, allow_infinity=False)
maybe = st.none() | numbers
counts = st.integers(0, 2**60)
statistics = st.builds(PlaneStatistics, maybe, maybe, counts, maybe, maybe, maybe)
planes = st.lists(st.lists(statistics, max_size=2).map(tuple), max_size=4).map(tuple)
results = st.builds(PlaneResult, counts, counts, counts, maybe, maybe, numbers, st.sampled_from(PlaneStop))
states = st.builds(
    CleanState,
    cycle=counts, iterdone=counts, stop=st.sampled_from(StopCode),
    peak=maybe, peak_nomask=maybe, prev_peak=maybe, prev_peak_nomask=maybe, min_peak=maybe, min_peak_nomask=maybe,
    min_cycle=counts, best_cycle=counts, mask_pixels=counts, sidelobe=numbers, psf_fraction=numbers,
    threshold=numbers, cycle_threshold=numbers, cycle_niter=counts, threshold_reached=st.booleans(),
    model_flux=numbers, planes=planes,
)  # fmt: skip


@given(states)
def test_clean_state_round_trip(state):
    text = state.to_json()
    back = CleanState.from_json(text)
    assert back == state
    assert back.to_json() == text
    assert isinstance(back.stop, StopCode)
    assert list(json.loads(text)) == sorted(json.loads(text))


@given(st.builds(MinorResult, counts, st.lists(results, max_size=4).map(tuple)))
def test_minor_result_round_trip(result):
    assert MinorResult.from_json(result.to_json()) == result


def test_a_number_that_is_not_one_is_refused():
    result = MinorResult(1, (PlaneResult(0, 0, 1, float("nan"), None, 0.0, PlaneStop.EARLY),))
    with pytest.raises(ValueError, match="not JSON compliant"):
        result.to_json()


def test_codes_are_numbers_with_a_sentence():
    assert [int(c) for c in StopCode] == list(range(11))
    assert StopCode(8).sentence == "peak residual is below the n-sigma threshold"
    assert all(c.sentence for c in (*StopCode, *PlaneStop))


def test_model_flux_is_the_sum_over_planes():
    plane = PlaneResult(0, 0, 1, 1.0, 0.5, 0.1, PlaneStop.CYCLENITER)
    assert MinorResult(3, (plane,) * 3).model_flux == pytest.approx(0.3)
    assert MinorResult(0).model_flux == 0
