"""What codex-africanus predicts (make_africanus_goldens.py) is what is predicted here."""

from pathlib import Path

import numpy as np
import pytest

from imaging.algorithms import rime
from imaging.algorithms.components import Component


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(__file__).with_name("africanus_chains.npz"))


def rows(golden):
    return {"antenna1": golden["p"], "antenna2": golden["q"], "time": golden["time"], "uvw": golden["uvw"],
            "freq": golden["freq"]}  # fmt: skip


def lmn1(golden):
    l, m = golden["lm"].T
    return np.stack([l, m, np.sqrt(1 - l**2 - m**2) - 1], 1)


@pytest.mark.parametrize("by_stations", [True, False])
def test_a_chain_of_direction_dependent_and_independent_terms(golden, by_stations):
    from imaging.kernels.rime import apply_stations

    vis = np.zeros(golden["chain"].shape, complex)
    sky = golden["sky"].swapaxes(1, 2)
    stations = golden["place"] if by_stations else None
    rime.add_sources(vis, lmn1(golden), golden["light"][:, None], sky, stations_uvw=stations, **rows(golden))
    uv = np.ascontiguousarray(golden["uv"].swapaxes(0, 1))
    apply_stations(vis, uv, golden["p"], golden["q"], golden["time"])
    np.testing.assert_allclose(vis, golden["chain"], rtol=0, atol=1e-12 * np.abs(golden["chain"]).max())


def test_gaussians(golden):
    sizes = [dict(zip(("major", "minor", "pa"), one, strict=True)) for one in golden["gaussians"]]
    shapes = [Component("", 0, 0, (1, 0, 0, 0), **size).covariance() for size in sizes]
    vis = np.zeros((*golden["extended"].shape, 2, 2), complex)
    light = golden["flux"][:, None, None, None, None] * np.eye(2)
    rime.add_sources(vis, lmn1(golden), light, np.ones((1, 1, 1, 1)), stations_uvw=golden["place"],
                     shape=np.array([[c[0, 0], c[0, 1], c[1, 1]] for c in shapes]), **rows(golden))  # fmt: skip
    expected = golden["extended"]
    np.testing.assert_allclose(vis[..., 0, 0], expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_rotations(golden):
    q = golden["angle"]
    np.testing.assert_allclose(golden["linear"], np.moveaxis([[np.cos(q), np.sin(q)], [-np.sin(q), np.cos(q)]], -1, 0))
    np.testing.assert_allclose(golden["circular"][:, [0, 1], [0, 1]], np.exp(1j * q[:, None] * [-1, 1]))
