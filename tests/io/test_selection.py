"""Selection strings, without any file: what each takes and how it fails."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.errors import ImagingError
from imaging.io import selection
from imaging.io.selection import parse_antenna, parse_intent, parse_selection, parse_spw, parse_timerange, parse_uvrange

FIELDS = ["3C286", "target_A", "target_B", "J1331+3030"]
NAMES = ["ea01", "ea02", "ea03", "ea05"]
STATIONS = ["W01", "W02", "N01", "N02"]
DAY = 58849 * 86400.0  # 2020/01/01
WINDOWS = [
    SimpleNamespace(name="EVLA_L#0", freq=1.2e9 + 1e6 * np.arange(64), width=np.full(64, 1e6)),
    SimpleNamespace(name="EVLA_L#1", freq=1.3e9 - 1e6 * np.arange(8), width=np.full(8, -1e6)),
    SimpleNamespace(name="WVR", freq=np.array([183e9]), width=np.array([1e9])),
]


def ids(text):
    return set(selection._ids("field", text, FIELDS))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", {0}),
        ("0~2", {0, 1, 2}),
        ("1,3", {1, 3}),
        (">1", {2, 3}),
        ("<1", {0}),
        ("3C286", {0}),
        ("target*", {1, 2}),
        ("'target_A'", {1}),
        ("{3C286,J*}", {0, 3}),
        ("/target_[AB]/", {1, 2}),
        ("J1331+3030", {3}),
        (" 3C286 , 2 ", {0, 2}),
        ("target_?,0", {0, 1, 2}),
    ],
)
def test_fields(text, expected):
    assert ids(text) == expected


@pytest.mark.parametrize("text", ["3C48", "7", "5~9", "x*", "target", "3c286"])
def test_unknown_field_lists_the_known_ones(text):
    with pytest.raises(ImagingError) as error:
        ids(text)
    assert "3C286" in error.value.expected
    assert text in error.value.what


def channels(text):
    return {i: np.flatnonzero(mask).tolist() for i, mask in parse_spw(text, WINDOWS).items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:3~5;7,1:2", {0: [3, 4, 5, 7], 1: [2]}),
        ("*:0~1", {0: [0, 1], 1: [0, 1], 2: [0]}),
        ("2", {2: [0]}),
        ("0:<2", {0: [0, 1]}),
        ("0:>61", {0: [62, 63]}),
        ("0:0~20^10", {0: [0, 10, 20]}),
        ("1:^4", {1: [0, 4]}),
        ("EVLA*:0", {0: [0], 1: [0]}),
        ("0:1.2~1.202GHz", {0: [0, 1, 2]}),
        ("0:1200MHz~1.201GHz", {0: [0, 1]}),
        ("1:1.298~1.3GHz", {1: [0, 1, 2]}),
        ("182~184GHz", {2: [0]}),
        ("0:1203.2MHz", {0: [3]}),
        ("0:1,0:3", {0: [1, 3]}),
        ("0~1:6~8", {0: [6, 7, 8], 1: [6, 7]}),
    ],
)
def test_windows_and_channels(text, expected):
    assert channels(text) == expected


@pytest.mark.parametrize("text", ["5", "0:70~80", "nowhere", "0:a~b", "0:1^0", "0:1~2furlong", "900~901GHz"])
def test_wrong_windows(text):
    with pytest.raises(ImagingError, match=r"data\.spw"):
        channels(text)


@pytest.mark.parametrize("text", ["5", "900~901GHz", "0:70~80"])
def test_what_windows_there_are_is_told(text):
    with pytest.raises(ImagingError) as error:
        channels(text)
    assert "1 (EVLA_L#1, 8 channels, 1293~1300MHz), 2 (WVR, 1 channel, 183000MHz)" in error.value.expected


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 63)), min_size=1, max_size=6))
def test_channel_ranges_are_unions(pairs):
    text = "0:" + ";".join(f"{min(p)}~{max(p)}" for p in pairs)
    expected = sorted({c for p in pairs for c in range(min(p), max(p) + 1)})
    assert channels(text) == {0: expected}


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2020/01/01/01:00:00~02:00:00", 3600, 7200),
        ("01:00:00~02:30", 3600, 9000),
        ("01:00:00+00:10:00", 3600, 4200),
        ("2020/01/01/23:00:00~2020/01/02/01:00:00.5", 82800, 90000.5),
        ("2020/01/02", 86400, 2 * 86400),
        ("00:00:10+5", 10, 15),
        ("01:00:00", 3600, 3600),
        ("25:00:00~26:00:00", 90000, 93600),
    ],
)
def test_timeranges(text, begin, end):
    # The first row is some hours into the day: only its date counts.
    np.testing.assert_allclose(parse_timerange(text, DAY + 40000.0), [(DAY + begin, DAY + end)], rtol=0, atol=1e-6)


def test_open_timeranges():
    assert parse_timerange(">01:00:00,<00:30:00", DAY) == ((DAY + 3600, np.inf), (-np.inf, DAY + 1800))


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2020/13/01/00:00:00",
        "12",
        "1:2:3:4",
        "*/12:00:00",
        "2020-01-01",
        "02:00:00~01:00:00",
        "01:00:00~x",
    ],
)
def test_wrong_timeranges(text):
    with pytest.raises(ImagingError, match=r"data\.timerange"):
        parse_timerange(text, DAY)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">100m", [100.1, 1e5], [100, 5]),
        ("<2km", [0, 1999], [2000, 3000]),
        ("100~200", [100, 150, 200], [99, 201]),
        ("0.1~2klambda", [100, 2000], [99, 2001]),
        ("100m~1km", [100, 1000], [99, 1001]),
        ("1000lambda:10%", [900, 1100], [899, 1101]),
        ("0~10,90~100", [5, 95], [50]),
    ],
)
def test_uvranges(text, inside, outside):
    chosen = selection.Selection(uvdistances=parse_uvrange(text))
    distance = np.array(inside + outside, float)
    columns = {"UVW": np.stack([distance * 0.6, distance * 0.8, distance * 9], axis=1)}
    # At a wavelength of 1 m metres and wavelengths are the same number.
    met = chosen.rows(columns, np.zeros(len(distance), int), np.full(len(distance), selection.SPEED_OF_LIGHT))
    assert met["uvrange"].tolist() == [True] * len(inside) + [False] * len(outside)


@pytest.mark.parametrize("text", ["far", "10~5", "5parsec", "1m~2klambda", ">1~2m", "-"])
def test_wrong_uvranges(text):
    with pytest.raises(ImagingError, match=r"data\.uvrange"):
        parse_uvrange(text)


def pairs(text, names=NAMES):
    taken = parse_antenna(text, names, STATIONS)
    np.testing.assert_array_equal(taken, taken.T)
    return {(i, j) for i, j in zip(*np.nonzero(taken), strict=True) if i <= j}


CROSS = {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
AUTO = {(i, i) for i in range(4)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ea01&ea02", {(0, 1)}),
        ("ea01", {(0, 1), (0, 2), (0, 3)}),
        ("ea01,ea02", CROSS - {(2, 3)}),
        ("ea01,ea02&ea05", {(0, 3), (1, 3)}),
        ("0~1&", {(0, 1)}),
        ("!ea05", (CROSS | AUTO) - {(0, 3), (1, 3), (2, 3)}),
        ("ea01&ea02;ea03&*", {(0, 1), (0, 2), (1, 2), (2, 3)}),
        ("*&*", CROSS),
        ("ea01&&ea02", {(0, 1)}),
        ("ea01,ea02&&", {(0, 0), (0, 1), (1, 1)}),
        ("*&&&", AUTO),
        ("ea0[12]&", {(0, 1)}),
        ("*;!ea05", CROSS - {(0, 3), (1, 3), (2, 3)}),
        ("3", {(0, 3), (1, 3), (2, 3)}),
        ("ea01@W01&ea02@W*", {(0, 1)}),
        ("@N*&", {(2, 3)}),
    ],
)
def test_baselines(text, expected):
    assert pairs(text) == expected


def test_a_number_is_a_name_where_an_antenna_is_called_so():
    assert pairs("1&2", ["1", "2", "3", "4"]) == {(0, 1)}
    assert pairs("1&2") == {(1, 2)}


@pytest.mark.parametrize("text", ["ea09", "ea01&ea77", "9", "zz*", "ea01@X9"])
def test_unknown_antennas(text):
    with pytest.raises(ImagingError) as error:
        pairs(text)
    assert "ea05" in error.value.expected


def test_intents():
    modes = ["CALIBRATE_PHASE#ON_SOURCE,CALIBRATE_WVR#ON_SOURCE", "OBSERVE_TARGET#ON_SOURCE", "TARGET"]
    assert parse_intent("*TARGET*", modes) == {1, 2}
    assert parse_intent("TARGET", modes) == {2}
    assert parse_intent("CALIBRATE_WVR#ON_SOURCE", modes) == {0}
    with pytest.raises(ImagingError, match=r"data\.intent"):
        parse_intent("*BANDPASS*", modes)
    with pytest.raises(ImagingError, match=r"data\.intent"):
        parse_intent("*", [])


def test_rows_meet_every_criterion_by_itself():
    data = SimpleNamespace(
        field="1", spw="0:3~4", timerange="", uvrange="", antenna="!ea05", scan="2~3,7", observation="0", intent="*T*"
    )
    meta = SimpleNamespace(
        path="x.ms",
        fields=FIELDS,
        windows=WINDOWS,
        antennas=NAMES,
        stations=STATIONS,
        intents=["A", "T"],
        first_time=DAY,
    )
    chosen = parse_selection(meta, data)
    columns = {
        "FIELD_ID": np.array([1, 1, 0]),
        "SCAN_NUMBER": np.array([2, 5, 7]),
        "OBSERVATION_ID": np.array([0, 1, 0]),
        "ANTENNA1": np.array([0, 0, 1]),
        "ANTENNA2": np.array([1, 3, 2]),
        "STATE_ID": np.array([1, 0, -1]),
    }
    met = {k: v.tolist() for k, v in chosen.rows(columns, np.array([0, 1, 0]), np.ones(3)).items()}
    assert met == {
        "field": [True, True, False],
        "spw": [True, False, True],
        "antenna": [True, False, True],
        "scan": [True, False, True],
        "observation": [True, False, True],
        "intent": [True, False, False],
    }


def test_an_exact_time_takes_the_integration_that_contains_it():
    chosen = selection.Selection(times=parse_timerange("00:00:12", DAY))
    columns = {"TIME": DAY + np.array([5.0, 15.0, 25.0]), "INTERVAL": np.full(3, 10.0)}
    assert chosen.rows(columns, np.zeros(3, int), np.ones(3))["timerange"].tolist() == [False, True, False]


def test_nothing_asked_for_takes_everything():
    data = SimpleNamespace(field="", spw=" ", timerange="", uvrange="", antenna="", scan="", observation="", intent="")
    assert parse_selection(SimpleNamespace(windows=WINDOWS), data) == selection.Selection()
