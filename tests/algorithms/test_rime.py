"""Sums over sources: both ways against the plain sum, and what the way does not change."""

import numpy as np
import pytest

from imaging.algorithms import rime
from imaging.algorithms.jones import as_kind
from imaging.kernels import rime_reference
from imaging.units import SPEED_OF_LIGHT

STATIONS, TIMES, CHANNELS = 5, 3, 21
P, Q = (np.tile(index, TIMES) for index in np.triu_indices(STATIONS, 1))
T = np.repeat(np.arange(TIMES), STATIONS * (STATIONS - 1) // 2)
FREQ = np.linspace(1.3e9, 1.5e9, CHANNELS)


def case(sources, axes=(1, 1, 1, 1), kind="full", seed=1):
    rng = np.random.default_rng(seed)
    place = rng.uniform(-400, 400, (TIMES, STATIONS, 3))
    place -= place.mean(1, keepdims=True)
    l, m = rng.uniform(-0.02, 0.02, (2, sources))
    ends = {"scalar": (), "diagonal": (2,), "full": (2, 2)}[kind]
    jones = rng.normal(size=(*axes, *ends)) + 1j * rng.normal(size=(*axes, *ends))
    stokes = rng.normal(size=(sources, axes[2], axes[3], 4))
    return {
        "lmn1": np.stack([l, m, np.sqrt(1 - l**2 - m**2) - 1], 1), "brightness": rime.brightness(stokes),
        "jones": jones, "antenna1": P, "antenna2": Q, "time": T, "uvw": place[T, P] - place[T, Q], "freq": FREQ,
        "stations_uvw": place,
    }  # fmt: skip


def predict(lmn1, brightness, jones, **more):
    vis = np.zeros((len(P), CHANNELS, 2, 2), complex)
    rime.add_sources(vis, lmn1, brightness, jones, **more)
    return vis


def plain(lmn1, brightness, jones, uvw, shape=None, motion=None, width=None, **_):
    vis, wavenumber = np.zeros((len(P), CHANNELS, 2, 2), complex), 2 * np.pi * FREQ / SPEED_OF_LIGHT
    shape = np.zeros((len(lmn1), 3)) if shape is None else shape
    motion = 0 * uvw if motion is None else motion
    width = np.zeros(CHANNELS) if width is None else 2 * np.pi * width / SPEED_OF_LIGHT
    rime_reference.add_rows(vis, as_kind(jones, "full"), brightness, lmn1, shape, uvw, motion, P, Q, T, wavenumber,
                            width, True)  # fmt: skip
    return vis


def agree(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("kind", ["scalar", "diagonal", "full"])
@pytest.mark.parametrize("way", ["stations", "rows"])
@pytest.mark.parametrize("axes", [(1, 1, 1, 1), (7, STATIONS, 1, CHANNELS), (7, STATIONS, TIMES, CHANNELS)])
def test_both_ways_are_the_plain_sum(kind, way, axes):
    arguments = case(7, axes, kind)
    if way == "rows":
        arguments["stations_uvw"] = None
    agree(predict(**arguments), plain(**arguments))


def test_many_sources_in_blocks():
    arguments = case(600, (600, STATIONS, 1, CHANNELS))
    agree(predict(**arguments), plain(**arguments))


def test_gaussians_and_smearing():
    rng, arguments = np.random.default_rng(5), case(4, (4, STATIONS, TIMES, 1))
    arguments |= {"shape": np.array([[0, 0, 0], [1e-7, 2e-8, 2e-7], [0, 0, 0], [3e-7, 0, 3e-7]])}
    agree(predict(**arguments), plain(**arguments))
    arguments |= {"motion": rng.normal(size=(len(P), 3)), "width": np.full(CHANNELS, 1e7)}
    agree(predict(**arguments), plain(**arguments))


def test_a_brightness_that_is_not_hermitian():
    arguments = case(4)
    arguments["brightness"][2, ..., 0, 1] *= 3
    agree(predict(**arguments), plain(**arguments))


def test_unevenly_spaced_channels():
    arguments = case(3)
    freq = FREQ + np.linspace(0, 1e3, CHANNELS) ** 2
    by_stations = predict(**arguments | {"freq": freq})
    one_by_one = np.concatenate([predict_one(arguments, f) for f in freq], axis=1)
    agree(by_stations, one_by_one)


def predict_one(arguments, freq):
    vis = np.zeros((len(P), 1, 2, 2), complex)
    rime.add_sources(vis, **arguments | {"freq": np.array([freq])})
    return vis


def test_unpolarised_sources_among_polarised_ones():
    arguments = case(9, (9, STATIONS, TIMES, CHANNELS), "diagonal")
    arguments["brightness"][::2] = arguments["brightness"][::2, ..., :1, :1] * np.eye(2)
    agree(predict(**arguments), plain(**arguments))


def test_pairs_of_stations():
    p, q, t = np.array([2, 0, 1, 0, 0]), np.array([0, 1, 1, 1, 1]), np.array([1, 0, 1, 1, 1])
    pairs = rime.find_pairs(p, q, t, 3, 2)
    found = {(first, int(pairs.stations[i]), *map(int, pairs.rows[i])) for first in range(3)
             for i in range(pairs.starts[first], pairs.starts[first + 1])}  # fmt: skip
    assert found == {(0, 1, 1, 3), (0, 1, -1, 4), (1, 1, -1, 2), (2, 0, -1, 0)}


def test_rows_that_are_there_twice_or_not_at_all():
    arguments = case(3, (3, STATIONS, TIMES, CHANNELS))
    rows = np.append(np.flatnonzero(T != 1)[::2], [0, 0, 4])
    moved = {name: arguments[name][rows] for name in ("antenna1", "antenna2", "time", "uvw")}
    for way in (arguments["stations_uvw"], None):
        vis = np.zeros((len(rows), CHANNELS, 2, 2), complex)
        rime.add_sources(vis, **arguments | moved | {"stations_uvw": way})
        agree(vis, plain(**arguments)[rows])


def test_what_runs_at_once_does_not_matter():
    arguments, done = case(40, (40, STATIONS, TIMES, CHANNELS)), []

    def backwards(function, items):
        done.append(len(items))
        for item in items[::-1]:
            function(*item)

    np.testing.assert_array_equal(predict(**arguments, run=backwards), predict(**arguments))
    assert done[0] > 1


def test_brightness_of_linear_and_circular_feeds():
    np.testing.assert_array_equal(rime.brightness([1, 0.1, 0.2, 0.3]), [[1.1, 0.2 + 0.3j], [0.2 - 0.3j, 0.9]])
    circular = rime.brightness([1, 0.1, 0.2, 0.3], "circular")
    np.testing.assert_array_equal(circular, [[1.3, 0.1 + 0.2j], [0.1 - 0.2j, 0.7]])
    h = np.array([[1, 1j], [1, -1j]]) / np.sqrt(2)
    np.testing.assert_allclose(h @ rime.brightness([1, 0.1, 0.2, 0.3]) @ h.conj().T, circular, atol=1e-15)


def test_station_coordinates_from_baselines():
    arguments = case(1)
    some = np.random.default_rng(2).random(len(P)) < 0.8
    found, misfit = rime.station_uvw(arguments["uvw"][some], P[some], Q[some], T[some], STATIONS)
    agree(found[T, P] - found[T, Q], arguments["uvw"], 1e-13)
    assert misfit < 1e-10
    bent = arguments["uvw"] + np.where(np.arange(len(P))[:, None] == 4, 1.0, 0.0)
    assert rime.station_uvw(bent, P, Q, T, STATIONS)[1] > 0.1


def test_the_order_of_rows_and_sources_and_the_direction_of_baselines():
    arguments, rng = case(6, (6, STATIONS, TIMES, CHANNELS)), np.random.default_rng(3)
    vis = predict(**arguments)
    order, sources = rng.permutation(len(P)), rng.permutation(6)
    moved = arguments | {name: arguments[name][order] for name in ("antenna1", "antenna2", "time", "uvw")}
    np.testing.assert_array_equal(predict(**moved), vis[order])
    agree(
        predict(**arguments | {name: arguments[name][sources] for name in ("lmn1", "brightness", "jones")}), vis, 1e-14
    )
    turned = arguments | {"antenna1": Q, "antenna2": P, "uvw": -arguments["uvw"]}
    agree(predict(**turned), vis.conj().swapaxes(2, 3), 1e-14)
