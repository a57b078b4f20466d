"""The measurement equation's loops: both implementations, then one against the other."""

import numpy as np
import pytest

from imaging.kernels import rime, rime_reference

STATIONS, TIMES, SOURCES = 4, 3, 3


def complexes(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


@pytest.fixture(params=[rime, rime_reference], ids=["fast", "reference"])
def kernel(request):
    return request.param


@pytest.fixture
def rows():
    p, q = np.triu_indices(STATIONS, 1)
    p, q = np.append(q[:1], p), np.append(p[:1], q)  # one baseline the other way round as well
    return np.tile(p, TIMES), np.tile(q, TIMES), np.repeat(np.arange(TIMES), len(p))


def observation(rng, rows, nchan):
    p, q, t = rows
    stations = rng.uniform(-300, 300, (TIMES, STATIONS, 3))
    lmn1 = rng.uniform(-0.01, 0.01, (SOURCES, 3)) * [1, 1, 0.01]
    return stations, stations[t, p] - stations[t, q], lmn1, np.linspace(29, 31, nchan)


def test_a_source_at_the_phase_centre_is_its_brightness(kernel, rows):
    p, q, t = rows
    vis, b = np.zeros((len(p), 2, 2, 2), complex), np.array([[2, 1j], [-1j, 1]])
    kernel.add_rows(vis, np.eye(2, dtype=complex)[None, None, None, None], b[None, None, None], np.zeros((1, 3)),
                    np.zeros((1, 3)), np.ones((len(p), 3)), np.ones((len(p), 3)), p, q, t, np.array([30.0, 31.0]),
                    np.ones(2), True)  # fmt: skip
    np.testing.assert_array_equal(vis, np.broadcast_to(b, vis.shape))


def test_fringe_gaussian_and_smearing_of_one_baseline(kernel):
    p, q, t = np.array([0]), np.array([1]), np.array([0])
    uvw, motion, lmn1 = np.array([[100.0, -50.0, 20.0]]), np.array([[3.0, 1.0, -2.0]]), np.array([[1e-2, 2e-2, -3e-4]])
    vis, shape, k, width = np.zeros((1, 1, 2, 2), complex), np.array([[1e-7, 2e-8, 3e-7]]), 30.0, 0.4
    one = np.ones((1, 1, 1, 1), complex)[..., None, None] * np.eye(2)
    kernel.add_rows(vis, one, one[0], lmn1, shape, uvw, motion, p, q, t, np.array([k]), np.array([width]), True)
    path, drift = uvw[0] @ lmn1[0], motion[0] @ lmn1[0]
    quadratic = 1e-7 * 100**2 + 2 * 2e-8 * 100 * -50 + 3e-7 * 50**2
    expected = np.exp(1j * path * k) * np.exp(-quadratic * k**2 / 2)
    expected *= np.sin(path * width / 2) / (path * width / 2) * np.sin(drift * k / 2) / (drift * k / 2)
    np.testing.assert_allclose(vis[0, 0], expected * np.eye(2), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("axes", [(1, 1, 1, 1), (SOURCES, STATIONS, 1, 1), (SOURCES, STATIONS, TIMES, 37)])
def test_rows_fast_equals_reference(rows, axes):
    rng = np.random.default_rng(1)
    _, uvw, lmn1, wavenumber = observation(rng, rows, 37)
    jones, b = complexes(rng, *axes, 2, 2), complexes(rng, SOURCES, axes[2], axes[3], 2, 2)
    shape, motion = rng.uniform(0, 1e-8, (SOURCES, 3)), rng.normal(size=uvw.shape)
    shape[:, 1] *= 0.9 * np.sqrt(shape[:, 0] * shape[:, 2]) / 1e-8  # positive definite
    made = []
    for module in (rime, rime_reference):
        vis = np.ones((len(uvw), 37, 2, 2), complex)
        module.add_rows(vis, jones, b, lmn1, shape, uvw, motion, *rows, wavenumber, 0.1 + 0 * wavenumber, True)
        made.append(vis)
    np.testing.assert_allclose(made[0], made[1], rtol=0, atol=1e-12 * np.abs(made[1]).max())


@pytest.mark.parametrize("axes", [(1, 1, 1, 1), (SOURCES, STATIONS, 1, 37), (SOURCES, STATIONS, TIMES, 37)])
@pytest.mark.parametrize("name", ["fill_stations", "fill_stations_scalar"])
def test_stations_fast_equals_reference(rows, axes, name):
    rng = np.random.default_rng(2)
    stations, _, lmn1, wavenumber = observation(rng, rows, 37)
    jones = complexes(rng, *axes, 2, 2) if name == "fill_stations" else complexes(rng, *axes)
    root, z = complexes(rng, SOURCES, axes[2], axes[3], 2, 2), np.zeros((2, 37, 2 * SOURCES, 2 * STATIONS), complex)
    for out, module in zip(z, (rime, rime_reference), strict=True):
        getattr(module, name)(out, jones, root, lmn1, stations, wavenumber, True, 1)
    np.testing.assert_allclose(z[0], z[1], rtol=0, atol=1e-12 * np.abs(z[1]).max())


def test_scatter_reads_one_triangle(kernel, rows):
    rng, (p, q, t) = np.random.default_rng(3), rows
    z = complexes(rng, 2, 2 * STATIONS, 5)
    whole = z @ z.conj().swapaxes(1, 2)
    stored = np.triu(whole).swapaxes(1, 2) + np.triu(np.full_like(whole, np.nan), 1)
    vis, mine = np.zeros((len(p), 3, 2, 2), complex), np.flatnonzero(t == 1)
    kernel.scatter(vis, stored, mine, p, q, 1)
    for i in range(len(p)):
        a, b = slice(2 * p[i], 2 * p[i] + 2), slice(2 * q[i], 2 * q[i] + 2)
        np.testing.assert_allclose(vis[i, 1:], whole[:, a, b] if t[i] == 1 else np.zeros((2, 2, 2)), rtol=1e-13)
    assert not vis[:, 0].any()


@pytest.mark.parametrize("axes", [(1, 1, 1), (STATIONS, TIMES, 1), (STATIONS, TIMES, 5)])
def test_applying_stations(kernel, rows, axes):
    rng, (p, q, t) = np.random.default_rng(4), rows
    vis, jones = complexes(rng, len(p), 5, 2, 2), complexes(rng, *axes, 2, 2)
    before, whole = vis.copy(), np.broadcast_to(jones, (STATIONS, TIMES, 5, 2, 2))
    kernel.apply_stations(vis, jones, p, q, t)
    expected = [whole[p[i], t[i]] @ before[i] @ whole[q[i], t[i]].conj().swapaxes(1, 2) for i in range(len(p))]
    np.testing.assert_allclose(vis, expected, rtol=1e-12, atol=1e-13)
