"""Processors of visibilities: errors of interferometers, noise of unlike stations, flags, smearing."""

import numpy as np
import pytest

from imaging.errors import ImagingError
from imaging.measurement import horizon
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.visibilities.errors import IfrBiases, IfrGains, ThermalNoise
from imaging.measurement.visibilities.flagger import Flagger
from imaging.measurement.visibilities.smearing import Smearing


def evaluate(observation, module, sky=None, times=0):
    maker = MeqMaker(context=observation)
    if sky:
        maker.add_sky_models(sky)
    if module:
        maker.add_vis_proc_module("P", modules=module)
    tree = maker.make_predict_tree()
    vis = np.zeros((len(observation.time), len(observation.freq), 2, 2), complex)
    flag = np.zeros(vis.shape[:2], bool)
    for rows, tile in observation.tiles(times):
        vis[rows], flag[rows] = tree.evaluate(tile)
    return vis, flag, maker, tree


def test_biases_are_added_and_taken_back(observe, sky):
    observation = observe(stations=20)
    clean = evaluate(observation, None, sky)[0]
    vis, _, maker, tree = evaluate(observation, IfrBiases(0.1), sky)
    added = vis - clean
    assert added.real.std() == pytest.approx(0.1, rel=0.1)
    np.testing.assert_allclose(added, added[:, :1] + 0 * added, atol=1e-13)
    tile = next(observation.tiles())[1]
    np.testing.assert_allclose(maker.correct_uv_data(None, tree).evaluate(tile)[0], clean, atol=1e-14)
    only = evaluate(observation, IfrBiases(0.1, parallel_only=True), sky)[0] - clean
    assert not only[..., 0, 1].any()
    assert np.abs(only[..., 1, 1]).min() > 1e-4
    parallel = evaluate(observation, IfrGains(0.1, parallel_only=True), sky)[0]
    np.testing.assert_allclose(parallel[..., 0, 1], clean[..., 0, 1], rtol=1e-14)


def test_stations_with_themselves_stay_hermitian(observe, sky):
    observation = observe(antenna1=np.zeros(30, int), antenna2=np.zeros(30, int), uvw=np.zeros((30, 3)))
    vis = evaluate(observation, IfrBiases(0.1), sky)[0]
    np.testing.assert_allclose(vis, vis.conj().swapaxes(2, 3), atol=1e-14)
    assert np.abs(vis - evaluate(observation, None, sky)[0]).max() > 0.01


def test_noise_of_stations_that_differ(observe):
    sefds = (100.0, 400.0, 400.0, 1600.0, 400.0)
    observation = observe(times=300, width=1e6, interval=10.0)
    vis = evaluate(observation, ThermalNoise(sefds=sefds))[0]
    for p, q in ((0, 1), (1, 2), (1, 3)):
        rows = (observation.antenna1 == p) & (observation.antenna2 == q)
        expected = np.sqrt(sefds[p] * sefds[q]) / np.sqrt(2 * 1e6 * 10)
        assert vis[rows].real.std() == pytest.approx(expected, rel=0.05)
    same = evaluate(observation, ThermalNoise(sefds=(400.0,) * 5))[0]
    np.testing.assert_allclose(same, evaluate(observation, ThermalNoise(sefd=400.0))[0], rtol=1e-14)


def test_flags_of_ranges_and_baselines(observe, sky):
    observation = observe()
    clean = evaluate(observation, None, sky)[0]
    since = observation.time - observation.time.min()
    vis, flag, maker, tree = evaluate(observation, Flagger(times=((3000, 4000),)), sky, times=1)
    np.testing.assert_array_equal(vis, clean)
    np.testing.assert_array_equal(flag, ((since > 3000) & (since < 4000))[:, None] + np.zeros(6, bool))
    assert 0 < flag.sum() < flag.size
    flag = evaluate(observation, Flagger(channels=((0, 1), (5, 9)), frequencies=((1.41e9, 1.43e9),)))[1]
    np.testing.assert_array_equal(flag[0], [True, True, False, True, False, True])
    flag = evaluate(observation, Flagger(baselines=("E01&N01", "W01")))[1][:, 0]
    names = np.array(observation.stations)
    pairs = [{a, b} for a, b in zip(names[observation.antenna1], names[observation.antenna2], strict=True)]
    assert flag.tolist() == [pair == {"N01", "E01"} or "W01" in pair for pair in pairs]
    assert not maker.correct_uv_data(None, tree).evaluate(next(observation.tiles())[1])[1].all()
    with pytest.raises(ImagingError, match="no baseline N01&X"):
        evaluate(observation, Flagger(baselines=("N01&X",)))


def test_flags_of_amplitudes_and_by_chance(observe, sky):
    observation = observe(stations=20)
    clean = evaluate(observation, None, sky)[0]
    size = np.abs(clean)
    flag = evaluate(observation, Flagger(above=1.5), sky)[1]
    np.testing.assert_array_equal(flag, (size > 1.5).any((2, 3)))
    assert 0 < flag.sum() < flag.size
    flag = evaluate(observation, Flagger(below=1e-3), sky)[1]
    np.testing.assert_array_equal(flag, (size < 1e-3).any((2, 3)))
    chance = evaluate(observation, Flagger(fraction=0.3), sky)[1]
    assert chance.mean() == pytest.approx(0.3, rel=0.1)
    np.testing.assert_array_equal(evaluate(observation, Flagger(fraction=0.3), sky, times=1)[1], chance)


def test_flags_of_low_and_shadowed_stations(observe):
    observation = observe(times=9)
    times = np.unique(observation.time)
    seen = horizon.azimuth_elevation(times, observation.positions, [1.2], [0.6])[1][0]
    limit = float(np.median(seen))
    low = seen < limit
    t = np.searchsorted(times, observation.time)
    expected = low[observation.antenna1, t] | low[observation.antenna2, t]
    flag = evaluate(observation, Flagger(elevation=limit), times=2)[1][:, 0]
    np.testing.assert_array_equal(flag, expected)
    assert 0 < flag.sum() < flag.size
    # one dish 30 m behind another along the line of sight
    uvw = np.tile([[500.0, 400.0, 100.0], [5.0, 3.0, 30.0], [495.0, 397.0, -70.0]], (2, 1))
    three = observe(antenna1=np.tile([0, 1, 0], 2), antenna2=np.tile([1, 2, 2], 2), uvw=uvw,
                    time=np.repeat(times[:2], 3))  # fmt: skip
    flag = evaluate(three, Flagger(shadow=25.0))[1][:, 0]
    np.testing.assert_array_equal(flag, [False, True, True] * 2)
    assert not evaluate(three, Flagger(shadow=5.0))[1].any()


def test_smearing_is_that_of_the_meqmaker_and_can_be_undone(observe, sky):
    observation = observe(width=20e6, interval=300.0)
    tile = next(observation.tiles())[1]

    def maker(module=None, smearing=False):
        one = MeqMaker(context=observation, smearing=smearing)
        one.add_sky_models(sky)
        if module:
            one.add_sky_vis_proc_module("S", modules=module)
        return one

    mine = maker(Smearing()).make_predict_tree().evaluate(tile)[0]
    np.testing.assert_allclose(mine, maker(smearing=True).make_predict_tree().evaluate(tile)[0], atol=1e-12)
    assert np.abs(mine - maker().make_predict_tree().evaluate(tile)[0]).max() > 1e-3
    alone = maker(Smearing())
    tree = alone.make_predict_tree(sources=["polarised"])
    vis, flag = alone.correct_uv_data(None, tree, sky_correct="polarised").evaluate(tile)
    clean = maker().make_predict_tree(sources=["polarised"]).evaluate(tile)[0]
    np.testing.assert_allclose(vis[~flag], clean[~flag], atol=1e-12)
    assert flag.mean() < 0.01
    only = maker(Smearing(time=False)).make_predict_tree(sources=["odd"]).evaluate(tile)[0]
    l, m, n = tile.with_sources(sky.source_list()[2:]).lmn[0]
    path = tile.uvw @ [l, m, n - 1]
    raw = maker().make_predict_tree(sources=["odd"]).evaluate(tile)[0]
    np.testing.assert_allclose(only, raw * np.sinc(path * 20e6 / 299792458)[:, None, None, None], atol=1e-12)
    with pytest.raises(ImagingError, match="Smearing needs"):
        Smearing().process_visibilities(None, None, [], context=observe())
