"""What CASA's simulator predicts (make_casa_simulator.py), in single precision, is what MeqMaker predicts."""

from pathlib import Path

import numpy as np
import pytest

from imaging.algorithms.components import Component
from imaging.image import lm_to_radec
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.tiles import Observation

ARCSEC = np.pi / 648000


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(__file__).with_name("casa_simulator.npz"))


def component(name, centre, reffreq, numbers):
    l, m, i, q, u, v, index, major, minor, pa = map(float, numbers)
    ra, dec = map(float, lm_to_radec(l, m, centre))
    return Component(name, ra, dec, (i, q, u, v), (index,), reffreq, major * ARCSEC, minor * ARCSEC, pa)


def maker_of(golden, feeds):
    centre, freq = tuple(golden["centre"]), golden["freq"]
    names = tuple(f"A{i}" for i in range(len(golden["positions"])))
    maker = MeqMaker(context=Observation(
        names, golden["antenna1"], golden["antenna2"], golden["time"], golden["uvw"], freq, centre, feeds=feeds,
    ))  # fmt: skip
    maker.add_sky_models(ComponentSky([component(str(s), centre, freq[0], x) for s, x in enumerate(golden["sources"])]))
    return maker, next(maker.context.tiles())[1]


@pytest.mark.parametrize("feeds", ["circular", "linear"])
def test_each_source_to_single_precision(golden, feeds):
    maker, tile = maker_of(golden, feeds)
    for s, recorded in enumerate(golden[feeds]):
        vis = maker.make_predict_tree(sources=[str(s)]).evaluate(tile)[0].reshape(recorded.shape)
        np.testing.assert_allclose(vis, recorded, rtol=0, atol=3e-7 * np.abs(recorded).max())


@pytest.mark.parametrize("feeds", ["circular", "linear"])
def test_their_sum(golden, feeds):
    maker, tile = maker_of(golden, feeds)
    vis, expected = maker.make_predict_tree().evaluate(tile)[0], golden[feeds].astype(complex).sum(0)
    np.testing.assert_allclose(vis.reshape(expected.shape), expected, rtol=0, atol=3e-7 * np.abs(expected).max())


def test_the_recorded_sources_turn_many_times_and_are_resolved(golden):
    """Otherwise the comparison would not see a wrong w(n - 1), or a wrong position angle."""
    l, m = golden["sources"][:, :2].T
    n1 = np.sqrt(1 - l**2 - m**2) - 1
    turns = np.abs(golden["uvw"][:, 2]).max() * np.abs(n1) * golden["freq"].max() / 299792458
    assert turns.max() > 40
    sizes = np.abs(golden["circular"][3:, :, :, 0])
    assert (sizes.min((1, 2)) < 0.3 * sizes.max((1, 2))).all()
