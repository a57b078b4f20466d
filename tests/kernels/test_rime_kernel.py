"""The measurement equation's loops: all implementations, then one against the other."""

import numpy as np
import pytest

from imaging.algorithms import jones as algebra
from imaging.algorithms import rime as sums
from imaging.kernels import rime, rime_lanes, rime_reference, rime_waves
from imaging.kernels._jit import njit
from imaging.units import SPEED_OF_LIGHT

STATIONS, TIMES, SOURCES = 4, 3, 3


def complexes(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


@pytest.fixture
def rows():
    p, q = np.triu_indices(STATIONS, 1)
    p, q = np.append(q[:1], p), np.append(p[:1], q)  # one baseline the other way round as well
    return np.tile(p, TIMES), np.tile(q, TIMES), np.repeat(np.arange(TIMES), len(p))


def by_reference(vis, lmn1, light, jones, antenna1, antenna2, time, uvw, freq, shape=None, motion=None, width=None,
                 stations_uvw=None):  # fmt: skip
    shape, motion = np.zeros((len(lmn1), 3)) if shape is None else shape, 0 * uvw if motion is None else motion
    width = 0 * freq if width is None else width
    scale = 2 * np.pi / SPEED_OF_LIGHT
    rime_reference.add_rows(vis, algebra.as_kind(jones, "full"), light, lmn1, shape, uvw, motion, antenna1, antenna2,
                            time, freq * scale, width * scale, True)  # fmt: skip


def by_rows(vis, *what, stations_uvw=None, **more):
    sums.add_sources(vis, *what, **more)


@pytest.fixture(params=[sums.add_sources, by_rows, by_reference], ids=["stations", "rows", "reference"])
def add(request):
    return request.param


def observation(rng, rows, nchan, sources=SOURCES):
    p, q, t = rows
    stations = rng.uniform(-300, 300, (TIMES, STATIONS, 3))
    lmn1 = rng.uniform(-0.01, 0.01, (sources, 3)) * [1, 1, 0.01]
    return lmn1, {"antenna1": p, "antenna2": q, "time": t, "uvw": stations[t, p] - stations[t, q],
                  "freq": np.linspace(1.4e9, 1.5e9, nchan), "stations_uvw": stations}  # fmt: skip


def test_a_source_at_the_phase_centre_is_its_brightness(add, rows):
    _, where = observation(np.random.default_rng(0), rows, 2)
    vis, b = np.zeros((len(rows[0]), 2, 2, 2), complex), np.array([[2, 1j], [-1j, 1]])
    add(vis, np.zeros((1, 3)), b[None, None, None], np.eye(2, dtype=complex)[None, None, None, None], **where)
    np.testing.assert_array_equal(vis, np.broadcast_to(b, vis.shape))


@pytest.mark.parametrize("add", [by_rows, by_reference], ids=["rows", "reference"])
def test_fringe_gaussian_and_smearing_of_one_baseline(add):
    uvw, motion, lmn1 = np.array([[100.0, -50.0, 20.0]]), np.array([[3.0, 1.0, -2.0]]), np.array([[1e-2, 2e-2, -3e-4]])
    vis, shape, freq, width = np.zeros((1, 1, 2, 2), complex), np.array([[1e-7, 2e-8, 3e-7]]), 1.43e9, 2e7
    where = {"antenna1": np.array([0]), "antenna2": np.array([1]), "time": np.array([0]), "uvw": uvw}
    add(vis, lmn1, np.eye(2)[None, None, None], np.ones((1, 1, 1, 1)), **where, freq=np.array([freq]), shape=shape,
        motion=motion, width=np.array([width]))  # fmt: skip
    k, change = 2 * np.pi * freq / SPEED_OF_LIGHT, 2 * np.pi * width / SPEED_OF_LIGHT
    path, drift = uvw[0] @ lmn1[0], motion[0] @ lmn1[0]
    quadratic = 1e-7 * 100**2 + 2 * 2e-8 * 100 * -50 + 3e-7 * 50**2
    expected = np.exp(1j * path * k) * np.exp(-quadratic * k**2 / 2)
    expected *= np.sin(path * change / 2) / (path * change / 2) * np.sin(drift * k / 2) / (drift * k / 2)
    np.testing.assert_allclose(vis[0, 0], expected * np.eye(2), rtol=1e-13, atol=1e-16)


KINDS = {"full": (2, 2), "diagonal": (2,), "scalar": ()}


@pytest.mark.parametrize("axes", [(1, 1, 1, 1), (SOURCES, STATIONS, 1, 1), (SOURCES, STATIONS, TIMES, 13)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("polarised", [True, False])
@pytest.mark.parametrize("fast", [sums.add_sources, by_rows], ids=["stations", "rows"])
def test_fast_equals_reference(rows, axes, kind, polarised, fast):
    rng = np.random.default_rng(1)
    lmn1, where = observation(rng, rows, 13)
    jones = complexes(rng, *axes, *KINDS[kind])
    light = complexes(rng, SOURCES, axes[2], axes[3], 2, 2)
    light = light if polarised else light[..., :1, :1] * np.eye(2)
    shape = None
    if fast is by_rows:
        shape = rng.uniform(0, 1e-8, (SOURCES, 3))
        shape[:, 1] *= 0.9 * np.sqrt(shape[:, 0] * shape[:, 2]) / 1e-8  # positive definite
        where |= {"motion": rng.normal(size=where["uvw"].shape), "width": np.full(13, 3e6)}
    made = []
    for function in (fast, by_reference):
        made.append(np.ones((len(rows[0]), 13, 2, 2), complex))
        function(made[-1], lmn1, light, jones, **where, shape=shape)
    np.testing.assert_allclose(made[0], made[1], rtol=0, atol=1e-12 * np.abs(made[1]).max())


@pytest.mark.parametrize("products", rime_lanes.PATTERNS)
def test_more_sources_than_go_at_once(rows, products):
    kind = (0.0,) * products
    rng, sources = np.random.default_rng(2), rime_lanes.sources_at_once(kind) + 1
    lmn1, where = observation(rng, rows, 3, sources)
    jones = complexes(rng, sources, STATIONS, 1, 1, *{8: (2, 2), 1: ()}.get(products, (2,)))
    light = complexes(rng, sources, 1, 1, 2, 2) if products > 2 else np.ones((sources, 1, 1, 1, 1)) * np.eye(2)
    made = []
    for function in (sums.add_sources, by_rows, by_reference):
        made.append(np.zeros((len(rows[0]), 3, 2, 2), complex))
        function(made[-1], lmn1, light, jones, **where)
    for one in made[:2]:
        np.testing.assert_allclose(one, made[2], rtol=0, atol=1e-12 * np.abs(made[2]).max())


@njit()
def _take(size, source, first, lane_at, out, at):
    rime_lanes.take(size, source, first, lane_at, out, at)


@pytest.mark.parametrize("size", [2, 4, 8])
def test_matrices_are_put_into_lanes(size):
    lanes = rime_lanes.LANES
    source, places = np.random.default_rng(3).normal(size=400), np.random.default_rng(4).integers(0, 300, lanes)
    out = np.zeros(size * lanes + 2)
    _take((0.0,) * size, source, 7, places, out, 1)
    np.testing.assert_array_equal(out[1:-1].reshape(size, lanes), source[7 + places + np.arange(size)[:, None]])
    assert not out[0]
    assert not out[-1]


def test_waves():
    turns = np.concatenate([np.linspace(-3, 3, 97), [1e6 + 0.125, -1e-12, 0.0]])
    c, s, factor = np.empty(100), np.empty(100), np.ones(100)
    rime_waves.cis(turns, c, s)
    np.testing.assert_allclose(c + 1j * s, np.exp(2j * np.pi * (turns - np.rint(turns))), rtol=0, atol=1e-15)
    rime_waves.average(turns, factor)
    np.testing.assert_allclose(factor, np.sinc(turns), rtol=0, atol=1e-15)


def test_gaussians_fall_to_nothing():
    waves, shape = np.array([np.geomspace(1e-9, 1e3, 8), np.zeros(8), np.zeros(8)]), np.array([[0.3, 0.0, 0.2]])
    factor, power, bits = np.ones(8), np.empty(8), np.empty(8, np.int64)
    rime_waves.gaussian(shape, 0, 1, waves, factor, power, bits, 8)
    np.testing.assert_allclose(factor, np.exp(-2 * np.pi**2 * 0.3 * waves[0] ** 2), rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("module", [rime, rime_reference], ids=["fast", "reference"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [(1, 1, 1), (STATIONS, TIMES, 1), (STATIONS, TIMES, 5)])
def test_applying_stations(module, rows, axes, kind):
    rng, (p, q, t) = np.random.default_rng(4), rows
    vis, jones = complexes(rng, len(p), 5, 2, 2), complexes(rng, *axes, *KINDS[kind])
    before, whole = vis.copy(), np.broadcast_to(algebra.as_kind(jones, "full", 3), (STATIONS, TIMES, 5, 2, 2))
    module.apply_stations(vis, jones, p, q, t)
    expected = [whole[p[i], t[i]] @ before[i] @ whole[q[i], t[i]].conj().swapaxes(1, 2) for i in range(len(p))]
    np.testing.assert_allclose(vis, expected, rtol=1e-12, atol=1e-13)
