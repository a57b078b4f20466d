"""The modules that come with it, each against its closed form, and corruptions by all of them undone."""

import numpy as np
import pytest

from imaging.algorithms import simulation
from imaging.algorithms.components import Component
from imaging.algorithms.primary_beam import BeamModel, power
from imaging.errors import ImagingError
from imaging.io.component_list import save_components
from imaging.measurement import contracts
from imaging.measurement.horizon import parallactic_angle
from imaging.measurement.jones.beams import AnalyticBeam, PointingErrors, voltage
from imaging.measurement.jones.gains import ComplexGains
from imaging.measurement.jones.leakage import Leakage
from imaging.measurement.jones.rotation import Rotation
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.visibilities.errors import IfrGains, ThermalNoise


def uv_array(observation, module, seed=0):
    maker = MeqMaker(context=observation, seed=seed)
    maker.add_uv_jones("G", modules=module)
    tile = next(observation.tiles())[1]
    return contracts.station_array(maker.get_uvjones_nodes("G"), tile), tile


def test_gains_have_the_sizes_that_were_asked_for(observe):
    observation = observe(stations=200, times=2)
    gains, tile = uv_array(observation, ComplexGains(amplitude=0.0, phase=0.3))
    assert gains.shape[1:] == (200, 1, 6, 2)
    np.testing.assert_allclose(np.abs(gains), 1, rtol=1e-14)
    assert np.angle(gains[0, :, 0, 0]).std() == pytest.approx(0.3, rel=0.15)
    np.testing.assert_array_equal(uv_array(observation, ComplexGains(0.0, 0.3))[0], gains)
    assert np.abs(uv_array(observation, ComplexGains(0.0, 0.3), seed=1)[0] - gains).max() > 0.1
    delays = uv_array(observation, ComplexGains(amplitude=0, phase=0, delay=1e-9))[0]
    slope = np.diff(np.unwrap(np.angle(delays), axis=3), axis=3) / (2 * np.pi * np.diff(tile.nu)[:, None])
    np.testing.assert_allclose(slope, slope[:, :, :, :1].repeat(5, 3), atol=1e-20)
    assert slope[0, :, 0, 0].std() == pytest.approx(1e-9, rel=0.15)


def test_leakage(observe):
    matrices = uv_array(observe(), Leakage(0.04, 0.01))[0][0, :, 0, 0]
    np.testing.assert_array_equal(matrices[:, 0, 0], 1)
    np.testing.assert_array_equal(matrices[:, 1, 0], -matrices[:, 0, 1])
    assert 0 < np.abs(matrices[:, 0, 1] - 0.04).max() < 0.05
    maker = MeqMaker(context=observe())
    maker.add_uv_jones("D", modules=Leakage())
    assert maker.get_uvjones_nodes("D") is None


def test_rotation_of_linear_and_circular_feeds_is_the_same(observe):
    h = np.array([[1, 1j], [1, -1j]]) / np.sqrt(2)
    linear, tile = uv_array(observe(), Rotation(feed_angle=0.2))
    circular, _ = uv_array(observe("circular"), Rotation(feed_angle=0.2))
    turned = h @ linear @ h.conj().T
    np.testing.assert_allclose(turned[..., [0, 1], [0, 1]], circular, rtol=0, atol=1e-14)
    np.testing.assert_allclose(turned[..., [0, 1], [1, 0]], 0, atol=1e-14)
    q = parallactic_angle(tile.time, tile.positions, tile.phase_centre) + 0.2
    np.testing.assert_allclose(linear[0, ..., 0, 0, 1], np.sin(q), rtol=1e-14)
    with pytest.raises(ImagingError, match="positions"):
        uv_array(observe(positions=None), Rotation())
    fixed = uv_array(observe(positions=None), Rotation(parallactic=False, feed_angle=np.pi / 2))[0]
    np.testing.assert_allclose(fixed[0, 0, 0, 0], [[0, 1], [-1, 0]], atol=1e-15)


def test_rotations_the_other_way_by_station_and_as_a_term_of_the_sky(observe, sky):
    observation = observe()
    own = (0.1, 0.2, 0.3, 0.4, 0.5)
    there = uv_array(observation, Rotation(feed_angles=own))[0]
    back = uv_array(observation, Rotation(inverted=True, feed_angles=tuple(-x for x in own)))[0]
    np.testing.assert_allclose(there @ back, np.eye(2) + 0 * there, atol=1e-14)
    tile = next(observation.tiles())[1]
    q = parallactic_angle(tile.time, tile.positions, tile.phase_centre) + np.array(own)[:, None]
    np.testing.assert_allclose(there[0, :, :, 0, 0, 1], np.sin(q), rtol=1e-13)
    with pytest.raises(ImagingError, match="feed_angles has not one value a station"):
        uv_array(observation, Rotation(feed_angles=(0.1, 0.2)))
    maker = MeqMaker(context=observation)
    maker.add_sky_models(sky)
    maker.add_sky_jones("L", modules=Rotation(feed_angles=own))
    array, has = contracts.sky_array(maker.get_skyjones_nodes("L"), tile.with_sources(sky.source_list()))
    assert has.all()
    np.testing.assert_array_equal(array, there)


@pytest.mark.parametrize("kind", ["airy", "gaussian"])
def test_voltages_are_roots_of_the_image_plane_s_powers(kind):
    radius = np.linspace(0, 0.02, 50)
    np.testing.assert_allclose(voltage(kind, 25.0, radius, 1.4e9) ** 2, power(BeamModel(kind, 25.0), radius, 1.4e9),
                               rtol=2e-4, atol=1e-6)  # fmt: skip
    assert (voltage("airy", 25.0, radius, 1.4e9) < 0).any()
    assert voltage("cos3", 25.0, 0.5 * 1.0289939 * 299792458 / 1.4e9 / 25, 1.4e9) ** 2 == pytest.approx(0.5, rel=1e-6)


def test_pointing_errors_move_the_beam(observe, sky):
    observation = observe()

    def beam(pointing):
        maker = MeqMaker(context=observation)
        maker.add_sky_models(sky)
        maker.add_sky_jones("E", modules=AnalyticBeam(25.0, "cos3"), pointing=pointing)
        tile = next(observation.tiles())[1].with_sources(sky.source_list())
        return contracts.sky_array(maker.get_skyjones_nodes("E"), tile)[0], tile

    moved, tile = beam(PointingErrors(dl=1e-3, dm=-2e-3))
    radius = np.hypot(tile.l - 1e-3, tile.m + 2e-3)
    np.testing.assert_allclose(moved, voltage("cos3", 25.0, radius, tile.nu) + 0 * moved, rtol=1e-14)
    still = beam(PointingErrors())[0]
    np.testing.assert_array_equal(still, beam(None)[0])
    scattered = beam(PointingErrors(rms=1e-3))[0]
    assert scattered.shape == (3, 5, 1, 6)
    assert np.abs(np.diff(scattered, axis=1)).min() > 0
    with pytest.raises(ImagingError, match="no such beam"):
        AnalyticBeam(kind="square")


def test_a_list_of_components_from_a_file(observe, tmp_path):
    path = tmp_path / "list.txt"
    parts = [
        Component("a", 1.2, 0.6, (1.0, 0, 0, 0)),
        Component("b", 1.201, 0.601, (0.5, 0, 0, 0), major=1e-4, minor=5e-5),
    ]
    save_components(parts, path)
    maker = MeqMaker(context=observe())
    maker.add_sky_models(ComponentSky(str(path)))
    assert [x.name for x in maker.get_source_list()] == ["a", "b"]
    tile = next(maker.context.tiles())[1]
    vis = maker.make_predict_tree().evaluate(tile)[0]
    expected = simulation.predict_components(tile.uvw, tile.freq, [x.component for x in maker.get_source_list()],
                                             tile.phase_centre, ("XX", "XY", "YX", "YY"))  # fmt: skip
    np.testing.assert_allclose(vis.reshape(expected.shape), expected, rtol=0, atol=2e-12)


@pytest.mark.parametrize("feeds", ["linear", "circular"])
def test_everything_that_was_done_is_undone(observe, component, feeds):
    observation = observe(feeds)
    model = ComponentSky([component("s", 0.003, 0.002, (1.0, 0.2, 0.1, 0.05))])
    maker = MeqMaker(context=observation)
    maker.add_sky_models(model)
    maker.add_sky_jones("E", modules=AnalyticBeam(), pointing=PointingErrors(rms=2e-4))
    maker.add_uv_jones("P", modules=Rotation())
    maker.add_uv_jones("D", modules=Leakage(rms=0.05))
    maker.add_uv_jones("G", modules=ComplexGains(0.1, 0.5, 0.3, 1e-9))
    tile = next(observation.tiles())[1]
    tree = maker.make_predict_tree()
    vis, flag = maker.correct_uv_data(None, tree, sky_correct="s").evaluate(tile)
    plain = MeqMaker(context=observation)
    plain.add_sky_models(model)
    clean = plain.make_predict_tree().evaluate(tile)[0]
    assert not flag.any()
    assert np.abs(tree.evaluate(tile)[0] - clean).max() > 0.1
    np.testing.assert_allclose(vis, clean, rtol=0, atol=1e-10)


def test_gains_of_interferometers_are_undone_and_break_closure(observe, sky):
    observation = observe()
    tile = next(observation.tiles())[1]
    maker, plain = MeqMaker(context=observation), MeqMaker(context=observation)
    for one in (maker, plain):
        one.add_sky_models(sky)
    maker.add_vis_proc_module("I", modules=IfrGains(0.1))
    tree, clean = maker.make_predict_tree(), plain.make_predict_tree(sources=["centre"]).evaluate(tile)[0]
    corrected = maker.correct_uv_data(None, tree).evaluate(tile)[0]
    np.testing.assert_allclose(corrected, plain.make_predict_tree().evaluate(tile)[0], rtol=0, atol=1e-14)
    centre = maker.make_predict_tree(sources=["centre"]).evaluate(tile)[0]
    factors = (centre - clean)[..., 0, 0]
    assert np.abs(factors).std() == pytest.approx(0.1 * np.sqrt(2 - np.pi / 2), rel=0.5)
    pairs = list(zip(tile.antenna1.tolist(), tile.antenna2.tolist(), strict=True))
    triangle = [pairs.index(pair) for pair in ((0, 1), (1, 2), (0, 2))]
    phases = np.angle(centre[triangle, 0, 0, 0])
    assert abs(phases[0] + phases[1] - phases[2]) > 1e-3
    turned = observe(antenna1=observation.antenna2, antenna2=observation.antenna1, uvw=-observation.uvw)
    other = MeqMaker(context=turned)
    other.add_sky_models(sky)
    other.add_vis_proc_module("I", modules=IfrGains(0.1))
    swapped = other.make_predict_tree().evaluate(next(turned.tiles())[1])[0]
    np.testing.assert_allclose(swapped.conj().swapaxes(2, 3), tree.evaluate(tile)[0], rtol=0, atol=1e-13)


def test_noise_has_its_size_and_does_not_depend_on_tiles_or_rows(observe):
    observation = observe(stations=20, times=5, width=1e6, interval=10.0)

    def noise(context, times=0, seed=0, module=None):
        maker = MeqMaker(context=context, seed=seed)
        maker.add_vis_proc_module("N", modules=module or ThermalNoise(sefd=400.0))
        vis, tree = np.zeros((len(context.time), 6, 2, 2), complex), maker.make_predict_tree()
        for rows, tile in context.tiles(times):
            vis[rows] = tree.evaluate(tile)[0]
        return vis

    vis = noise(observation)
    expected = 400 / np.sqrt(2 * 1e6 * 10)
    assert [vis.real.std(), vis.imag.std()] == pytest.approx([expected] * 2, rel=0.03)
    np.testing.assert_array_equal(noise(observation, 2), vis)
    assert np.abs(np.corrcoef(vis[:190].ravel().real, vis[190:380].ravel().real)[0, 1]) < 0.1
    order = np.random.default_rng(1).permutation(len(vis))
    rows = {name: getattr(observation, name)[order] for name in ("antenna1", "antenna2", "time", "uvw")}
    shuffled = observe(stations=20, times=5, width=1e6, interval=10.0, **rows)
    np.testing.assert_array_equal(noise(shuffled), vis[order])
    assert np.abs(noise(observation, seed=1) - vis).max() > expected
    assert noise(observe(), module=ThermalNoise(rms=2.0)).real.std() == pytest.approx(2.0, rel=0.15)
    assert not noise(observe(), module=ThermalNoise()).any()
    with pytest.raises(ImagingError, match="SEFD needs"):
        noise(observe())
