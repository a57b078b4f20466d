"""MeqMaker: against the plain sum, its order, its algebra, and corruptions undone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.algorithms import simulation
from imaging.algorithms.jones import as_kind
from imaging.algorithms.rime import brightness
from imaging.errors import ImagingError, LifecycleError
from imaging.kernels import rime_reference
from imaging.measurement import contracts
from imaging.measurement.contracts import ArrayJones, ArrayProcess, ContractError
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.tiles import Observation
from imaging.measurement.trees import Data
from imaging.units import SPEED_OF_LIGHT


def whole_tile(observation):
    return next(observation.tiles())[1]


def predicted(maker, **more):
    return maker.make_predict_tree(None, **more).evaluate(whole_tile(maker.context))[0]


def maker_of(observation, sky=None, sky_terms=(), uv_terms=(), **more):
    maker = MeqMaker(context=observation, **more)
    if sky is not None:
        maker.add_sky_models(sky)
    for number, module in enumerate(sky_terms):
        maker.add_sky_jones(f"E{number}", modules=module)
    for number, module in enumerate(uv_terms):
        maker.add_uv_jones(f"G{number}", modules=module)
    return maker


def plain(observation, sky, sky_arrays=(), uv_arrays=()):
    """The equation as it is written, matrix by matrix."""
    tile = whole_tile(observation).with_sources(sky.source_list())
    s, a, t, f = tile.shape
    product = np.broadcast_to(np.eye(2), (s, a, t, f, 2, 2))
    for array in (*sky_arrays, *uv_arrays):
        product = as_kind(array, "full") @ product
    light = np.stack([np.broadcast_to(x.brightness(tile), (1, f, 2, 2)) for x in tile.sources])
    vis, flat = np.zeros((len(tile.uvw), f, 2, 2), complex), np.zeros((s, 3))
    rime_reference.add_rows(vis, product, light, tile.lmn - [0, 0, 1], flat, tile.uvw, 0 * tile.uvw, tile.antenna1,
                            tile.antenna2, tile.time_index, 2 * np.pi * tile.freq / SPEED_OF_LIGHT, 0 * tile.freq,
                            True)  # fmt: skip
    return vis


def agree(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(), 1e-300))


@pytest.mark.parametrize("decomposition", [None, False])
@pytest.mark.parametrize("feeds", ["linear", "circular"])
def test_a_chain_is_the_plain_sum_in_the_right_order(observe, sky, fixed, decomposition, feeds):
    observation = observe(feeds)
    terms = (
        [fixed("full", 1, (3, 6)), fixed("scalar", 2, (1, 6))],
        [fixed("full", 3, (3, 1)), fixed("diagonal", 4, (1, 1))],
    )
    maker = maker_of(observation, sky, *terms, use_decomposition=decomposition)
    vis = predicted(maker)
    tile, arrays = whole_tile(observation).with_sources(sky.source_list()), []
    for label in ("E0", "E1"):
        arrays.append(contracts.sky_array(maker.get_skyjones_nodes(label), tile)[0])
    for label in ("G0", "G1"):
        arrays.append(contracts.station_array(maker.get_uvjones_nodes(label), tile))
    agree(vis, plain(observation, sky, arrays[:2], arrays[2:]))
    swapped = maker_of(observation, sky, terms[0], terms[1][::-1])
    assert np.abs(predicted(swapped) - vis).max() > 0.1


def test_no_terms_and_a_source_at_the_phase_centre(observe, component):
    sky = ComponentSky([component("one", 0, 0, (2.0, 0.5, 0.25, 0.125))])
    vis = predicted(maker_of(observe(), sky))
    agree(vis, np.broadcast_to(brightness([2.0, 0.5, 0.25, 0.125]), vis.shape), 1e-14)


def test_gaussians_among_points(observe, component):
    arcsec = np.pi / 648000
    extended = component("g", 1e-3, 2e-3, (2.0, 0, 0, 0), major=200 * arcsec, minor=100 * arcsec, pa=0.3)
    observation, point = observe(), component("p", -1e-3, 0.0)
    both = predicted(maker_of(observation, ComponentSky([extended, point])))
    expected = simulation.predict_components(observation.uvw, observation.freq, [extended, point],
                                             observation.phase_centre, ("XX", "XY", "YX", "YY"))  # fmt: skip
    expected = expected.reshape(both.shape)
    agree(both, expected)


def test_smearing_is_the_average_over_time_and_band(observe, component):
    sky = ComponentSky([component("far", 0.01, 0.008)])
    observation = observe(stations=4, width=2e7, interval=120.0, freq=np.array([1.4e9]))
    vis = predicted(maker_of(observation, sky, smearing=True))
    tile = whole_tile(observation)
    mean = np.zeros_like(vis)
    points, weights = np.polynomial.legendre.leggauss(7)
    motion = tile.motion()
    for x, a in zip(points / 2, weights / 2, strict=True):
        for y, b in zip(points / 2, weights / 2, strict=True):
            moved = observe(stations=4, freq=np.array([1.4e9 + 2e7 * y]), uvw=observation.uvw + x * motion)
            mean += a * b * predicted(maker_of(moved, sky))
    unsmeared = predicted(maker_of(observation, sky))
    assert np.abs(unsmeared - mean).max() > 2e-3
    agree(vis, mean, 2e-5)


def test_time_by_time_is_all_at_once(observe, sky, fixed):
    observation = observe()
    maker = maker_of(observation, sky, [fixed("full", 1)], [fixed("full", 2)])
    tree, whole = maker.make_predict_tree(), predicted(maker)
    pieces = [(rows, tree.evaluate(tile)[0]) for rows, tile in observation.tiles(1)]
    assert len(pieces) == 3
    for rows, vis in pieces:
        agree(vis, whole[rows], 1e-14)


def test_uvdata_goes_through_uv_terms_only(observe, sky, fixed):
    observation = observe()
    tile, rng = whole_tile(observation), np.random.default_rng(1)
    data = rng.normal(size=(len(tile.uvw), 6, 2, 2)) + 0j
    terms = [fixed("full", 1)], [fixed("full", 2)]
    both = predicted(maker_of(observation, sky, *terms), uvdata=Data(data))
    uv_only = maker_of(observation, None, (), terms[1]).corrupt_uv_data(None, Data(data)).evaluate(tile)[0]
    agree(both, predicted(maker_of(observation, sky, *terms)) + uv_only)
    maker = maker_of(observation, sky, *terms)
    agree(maker.corrupt_uv_data(None, Data(data)).evaluate(tile)[0], uv_only, 1e-14)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), kinds=st.tuples(*[st.sampled_from(["scalar", "diagonal", "full"])] * 2))
def test_corrupt_then_correct_gives_back_the_input(seed, kinds):
    observation, rng = make_observation(), np.random.default_rng(seed)
    tile, module = whole_tile(observation), make_fixed()
    data = rng.normal(size=(len(tile.uvw), 6, 2, 2)) + 1j * rng.normal(size=(len(tile.uvw), 6, 2, 2))
    maker = maker_of(observation, None, (), [module(kind, seed + i, (3, 6)) for i, kind in enumerate(kinds)])
    maker.add_vis_proc_module("I", modules=Gain())
    maker.add_vis_proc_module("J", modules=Bias())
    corrupted = maker.corrupt_uv_data(None, Data(data))
    tree = maker.correct_uv_data(None, corrupted)
    vis, flag = tree.evaluate(tile)
    assert not flag.any()
    assert tree.singular == 0
    agree(vis, data, 1e-10)


def make_observation():
    positions, names = simulation.vla_antennas("d", 4)
    time = simulation.time_of_hour_angle(np.array([-0.2, 0, 0.2]), 1.2, simulation.VLA_LONGITUDE, 59000.0)
    p, q, time, uvw = simulation.baseline_tracks(positions, time, (1.2, 0.6))
    return Observation(tuple(names), p, q, time, uvw, np.linspace(1.3e9, 1.5e9, 6), (1.2, 0.6))


class Gain:
    """A reversible processor: each baseline and correlation by its own factor."""

    def factor(self, tile):
        return (1.5 + np.cos(tile.antenna1 + 2 * tile.antenna2))[:, None, None, None] * np.array([[1, 2j], [0.5, 1]])

    def process_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
        return ArrayProcess(lambda vis, tile: vis * self.factor(tile))

    def correct_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
        return ArrayProcess(lambda vis, tile: vis / self.factor(tile))


class Bias:
    def process_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
        return ArrayProcess(lambda vis, tile: vis + 0.5j)

    def correct_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
        return ArrayProcess(lambda vis, tile: vis - 0.5j)


class Flagger:
    def process_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
        return ArrayProcess(lambda vis, tile: (vis, np.abs(vis[..., 0, 0]) > 0.9))


def make_fixed():
    class Near:
        """The identity and something of a norm below 0.6: invertible."""

        def __init__(self, kind, seed, shape):
            self.kind, self.seed, self.shape = kind, seed, shape

        def compute_jones(self, Jones, stations=None, **kw):
            ends = {"scalar": (), "diagonal": (2,), "full": (2, 2)}[self.kind]
            rng = np.random.default_rng(self.seed)
            numbers = 0.2 * rng.uniform(-1, 1, (2, len(stations), *self.shape, *ends))
            identity = np.eye(2) if self.kind == "full" else 1
            return ArrayJones(lambda tile: numbers[0] + 1j * numbers[1] + identity, self.kind)

    return Near


def test_correction_toward_a_source_leaves_its_fringe(observe, component, fixed):
    source = component("s", 0.004, 0.003, (1.0, 0.2, 0.1, 0.05))
    observation, sky = observe(), ComponentSky([source])
    maker = maker_of(observation, sky, [fixed("full", 1), fixed("scalar", 2)], [fixed("full", 3)])
    vis, flag = maker.correct_uv_data(None, maker.make_predict_tree(), sky_correct="s").evaluate(
        whole_tile(observation)
    )
    assert not flag.any()
    agree(vis, predicted(maker_of(observation, sky)), 1e-10)


def test_a_term_exempt_from_correction_stays(observe, sky, fixed):
    observation, module = observe(), fixed("full", 3)
    maker = maker_of(observation, sky, (), [module])
    maker.add_uv_jones("H", modules=fixed("full", 4), skip_correct=True)
    maker.term("G0").skip_correct, maker.term("H").skip_correct = True, False
    vis = maker.correct_uv_data(None, maker.make_predict_tree()).evaluate(whole_tile(observation))[0]
    # H is outermost: undone alone, G stays.
    agree(vis, predicted(maker_of(observation, sky, (), [module])), 1e-10)


def test_matrices_without_an_inverse_are_flagged_and_counted(observe):
    observation = observe()
    tile = whole_tile(observation)

    class Dead:
        def compute_jones(self, Jones, stations=None, **kw):
            gain = np.ones(len(stations))
            gain[2] = 0
            return ArrayJones(lambda tile: gain[:, None, None], "scalar")

    data = np.ones((len(tile.uvw), 6, 2, 2), complex)
    for flagging in (True, False):
        maker = maker_of(observation, None, (), [Dead()])
        tree = maker.correct_uv_data(None, Data(data), flag_jones=flagging)
        vis, flag = tree.evaluate(tile)
        dead = (tile.antenna1 == 2) | (tile.antenna2 == 2)
        np.testing.assert_array_equal(flag, (dead & flagging)[:, None].repeat(6, 1))
        assert tree.singular == dead.sum() * 6
        np.testing.assert_array_equal(vis, data)


def test_flaggers_flag_and_are_not_undone(observe, sky):
    observation = observe()
    maker = maker_of(observation, sky)
    maker.add_vis_proc_module("flagger", modules=Flagger())
    vis, flag = maker.make_predict_tree().evaluate(whole_tile(observation))
    np.testing.assert_array_equal(flag, np.abs(vis[..., 0, 0]) > 0.9)
    assert flag.any()
    assert not flag.all()
    corrected, after = maker.correct_uv_data(None, maker.make_predict_tree()).evaluate(whole_tile(observation))
    np.testing.assert_array_equal(after, flag)
    np.testing.assert_array_equal(corrected, vis)


def test_terms_for_some_sources_only(observe, sky, fixed):
    observation, module = observe(), fixed("full", 1)
    maker = MeqMaker(context=observation)
    maker.add_sky_models(sky)
    maker.add_sky_jones("E", modules=module, subset=lambda x: x.name != "centre")
    assert [x.name for x in module_sources(maker, module)] == ["polarised", "odd"]
    rest = [x for x in sky.source_list() if x.name != "centre"]
    without = predicted(maker_of(observation, sky), sources=["centre"])
    agree(predicted(maker), predicted(maker, sources=rest) + without)
    agree(predicted(maker, sources=["centre"]), without, 1e-14)


def module_sources(maker, module):
    maker.make_predict_tree()
    return module.calls[0]["sources"]


def test_a_source_without_the_term_in_a_plain_callable(observe, sky):
    class Some:
        def compute_jones(self, Jones, sources, stations=None, **kw):
            def jones(x, p=None):
                if p is None:
                    return lambda p: jones(x, p)
                return None if x.name == "centre" else 2.0

            return jones

    observation = observe()
    maker = maker_of(observation, sky, [Some()])
    plain_sky = maker_of(observation, sky)
    agree(predicted(maker, sources=["centre"]), predicted(plain_sky, sources=["centre"]), 1e-14)
    agree(predicted(maker, sources=["odd"]), 4 * predicted(plain_sky, sources=["odd"]), 1e-14)


def test_sums_subsets_and_ifrs(observe, sky, fixed):
    observation = observe()
    maker = maker_of(observation, sky, [fixed("full", 1)])
    agree(sum(predicted(maker, sources=[x]) for x in sky.source_list()), predicted(maker))
    pair = observation.ifrs()[3]
    vis, flag = maker.make_predict_tree(ifrs=[pair]).evaluate(whole_tile(observation))
    mine = (observation.antenna1 == 0) & (observation.antenna2 == 4)
    assert pair == (observation.stations[0], observation.stations[4])
    agree(vis[mine], predicted(maker)[mine], 1e-14)
    np.testing.assert_array_equal(flag, ~mine[:, None].repeat(6, 1))
    assert not vis[~mine].any()


def test_circular_feeds_are_linear_ones_turned(observe, sky):
    h = np.array([[1, 1j], [1, -1j]]) / np.sqrt(2)
    agree(predicted(maker_of(observe("circular"), sky)), h @ predicted(maker_of(observe(), sky)) @ h.conj().T)


def test_scalars_commute_and_matrices_do_not(observe, sky, fixed):
    observation = observe()
    scalar, diagonal, other, full = fixed("scalar", 1), fixed("diagonal", 2), fixed("diagonal", 3), fixed("full", 4)

    def through(*terms):
        return predicted(maker_of(observation, sky, (), terms))

    agree(through(scalar, full), through(full, scalar))
    agree(through(diagonal, other), through(other, diagonal))
    assert np.abs(through(diagonal, full) - through(full, diagonal)).max() > 0.1


def test_life_cycle(observe, sky, fixed):
    maker = maker_of(observe(), sky, (), [fixed()])
    with pytest.raises(RuntimeError, match="Sky models were added"):
        maker.add_sky_models(sky)
    with pytest.raises(RuntimeError, match="after a uv Jones"):
        maker.add_sky_jones("E", modules=fixed())
    with pytest.raises(ContractError, match="two terms G0"):
        maker.add_uv_jones("G0", modules=fixed())
    with pytest.raises(ImagingError, match="no source nobody"):
        maker.make_predict_tree(sources=["nobody"])
    tree = maker.make_predict_tree()
    before = tree.evaluate(whole_tile(maker.context))[0]
    maker.close()
    np.testing.assert_array_equal(tree.evaluate(whole_tile(maker.context))[0], before)
    with pytest.raises(LifecycleError, match="closed"):
        maker.make_predict_tree()
    with pytest.raises(LifecycleError, match="no observation"):
        maker_of(None, sky, (), [fixed()]).make_predict_tree()
