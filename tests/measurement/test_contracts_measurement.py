"""Every contract with a module that keeps it, and messages for those that do not."""

import random
import types

import numpy as np
import pytest

from imaging.measurement import contracts
from imaging.measurement.contracts import ArrayJones, ArrayPointings, ArrayProcess, ContractError, check_module
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.trees import Data


def tile_of(observation, sources=()):
    return next(observation.tiles())[1].with_sources(list(sources))


def built(observation, model, /, **roles):
    """A maker with the modules of `roles` (sky, uv, vis, skyvis), its predict tree made."""
    maker = MeqMaker(context=observation)
    maker.add_sky_models(model)
    adders = {"sky": maker.add_sky_jones, "uv": maker.add_uv_jones, "vis": maker.add_vis_proc_module,
              "skyvis": maker.add_sky_vis_proc_module}  # fmt: skip
    for role, module in roles.items():
        adders[role](role, modules=module)
    return maker, maker.make_predict_tree()


class Returns:
    """A Jones module that returns what it is given, and records what it was asked."""

    def __init__(self, jones):
        self.jones, self.calls = jones, []

    def compute_jones(self, Jones, **kw):
        self.calls.append({"Jones": Jones} | kw)
        return self.jones(kw) if isinstance(self.jones, types.FunctionType) else self.jones


class PlainStation:
    """A Station Jones that is neither a node nor an array: kinds mixed in one term."""

    def __init__(self, stations):
        self.stations = stations

    def __call__(self, p):
        index = self.stations.index(p)
        return [2.0, np.array([1.0, 3.0]), np.array([[1, 1j], [0, 2]]), None, Evaluated()][index % 5]


class Evaluated:
    def evaluate(self, tile):
        return np.exp(1j * tile.nu / 1e9)[None, :]


# Jones, Station Jones, Sky Jones, Station Pointings


@pytest.mark.parametrize("ends", [(), (2,), (2, 2)], ids=["scalar", "diagonal", "full"])
def test_a_jones_is_a_number_or_a_matrix(observe, ends):
    tile, matrix = tile_of(observe()), np.arange(1, 1 + 2 ** len(ends)).reshape(ends)
    assert contracts.value(matrix, tile).shape == (1, 1, *ends)
    with pytest.raises(ContractError, match="neither a number"):
        contracts.value("gain", tile, "G")


def test_plain_callables_are_station_jones_and_kinds_mix(observe, sky):
    observation = observe()
    tile, plain = tile_of(observation), PlainStation(observation.stations)
    array = contracts.station_array(plain, tile)
    assert array.shape == (1, 5, 1, 6, 2, 2)
    expected = [2 * np.eye(2), np.diag([1, 3]), [[1, 1j], [0, 2]], np.eye(2)]
    for p in range(4):
        np.testing.assert_array_equal(array[0, p, 0, 0], expected[p])
    np.testing.assert_array_equal(array[0, 4, 0, :, 0, 0], np.exp(1j * tile.nu / 1e9))
    maker, tree = built(observation, sky, uv=Returns(plain))
    same, _ = built(observation, sky, uv=Returns(ArrayJones(lambda tile: array[0], "full")))[1].evaluate(tile)
    np.testing.assert_allclose(tree.evaluate(tile)[0], same, rtol=1e-13)
    assert maker.get_uvjones_nodes("uv") is plain


def test_sky_jones_by_name_by_object_and_in_one_call(observe, sky):
    sources, tile = sky.source_list(), tile_of(observe(), sky.source_list())
    jones = ArrayJones(lambda tile: tile.l * np.arange(1, 6)[:, None, None] * tile.nu, "scalar", sources=sources)
    first, station = sources[1], tile.stations[3]
    assert jones(first) is jones(first.name)
    assert jones(first, station) is jones(first)(station)
    assert jones("nobody") is None
    assert jones("nobody", station) is None
    np.testing.assert_array_equal(jones(first, station).evaluate(tile), jones.array(tile)[1, 3])


def test_arrays_of_either_dialect_are_the_same(observe, sky):
    sources, tile = sky.source_list(), tile_of(observe(), sky.source_list())
    bulk = ArrayJones(
        lambda tile: np.exp(1j * (tile.m * tile.nu + tile.l * tile.t / 1e9)), "scalar", sources=sources[1:]
    )
    array, has = contracts.sky_array(bulk, tile)
    each, same = contracts.sky_array(lambda x, p=None: bulk(x, p), tile)
    np.testing.assert_array_equal(has, [False, True, True])
    np.testing.assert_array_equal(same, has)
    np.testing.assert_array_equal(np.broadcast_to(array, each.shape), each)


def test_station_pointings(observe):
    tile = tile_of(observe())
    array = ArrayPointings(lambda tile: np.arange(10.0).reshape(5, 1, 1, 2))
    np.testing.assert_array_equal(contracts.pointing_array(array, tile), np.arange(10.0).reshape(5, 1, 1, 2))
    by_station = contracts.pointing_array(lambda p: array(p), tile)
    np.testing.assert_array_equal(by_station, contracts.pointing_array(array, tile))
    np.testing.assert_array_equal(contracts.pointing_array(lambda p: (1e-3, 2e-3), tile)[4, 0, 0], [1e-3, 2e-3])
    assert not contracts.pointing_array(None, tile).any()


@pytest.mark.parametrize("wrong", [np.ones(3), np.ones((4, 1, 1)), np.ones((2, 2)), "no", np.ones((2, 5, 3, 6))])
def test_arrays_of_a_wrong_shape(observe, wrong):
    with pytest.raises(ContractError, match="wrong shape"):
        ArrayJones(lambda tile: wrong, "scalar").array(tile_of(observe()))


def test_a_division_by_zero_is_named(observe, sky):
    dead = ArrayJones(lambda tile: np.where(np.arange(5) == 2, np.inf, 1.0)[:, None, None], "scalar", name="G")
    with pytest.raises(ContractError, match="G is not finite"):
        built(observe(), sky, uv=Returns(dead))[1].evaluate(tile_of(observe()))


def test_unknown_kinds_and_jones_that_are_none(observe, sky):
    with pytest.raises(ContractError, match="Unknown kind"):
        ArrayJones(lambda tile: 1, "square")
    with pytest.raises(ContractError, match="no Jones term"):
        built(observe(), sky, uv=Returns(3.0))


# Modules


def test_real_modules_and_objects_in_one_maker(observe, sky):
    real = types.ModuleType("gains")
    exec("def compute_jones(Jones, **kw): return lambda p: 2.0", real.__dict__)
    observation = observe()
    maker, tree = built(observation, sky, sky=Returns(lambda kw: lambda x, p=None: 3.0), uv=real)
    alone = built(observation, sky)[1].evaluate(tile_of(observation))[0]
    np.testing.assert_allclose(tree.evaluate(tile_of(observation))[0], 36 * alone, rtol=1e-13)


def test_solvable_is_asked_after_computing_and_true_where_it_is_missing(observe, sky):
    class Late(Returns):
        asked = 0

        @property
        def solvable(self):
            self.asked += 1
            return not self.calls

    late = Late(None)
    maker = MeqMaker(context=observe())
    maker.add_uv_jones("G", modules=late)
    maker.add_uv_jones("H", modules=Returns(None))
    assert late.asked == 0
    assert maker.term("G").solvable is None
    maker.make_predict_tree()
    assert (maker.term("G").solvable, maker.term("H").solvable) == (False, True)


def test_solvable_pointings_and_processors_count(observe, sky):
    class Pointing:
        def compute_pointings(self, node, **kw):
            return None

    class Processor:
        solvable = True

        def process_visibilities(self, nodes, input_nodes, **kw):
            return None

    fixed = Returns(lambda kw: lambda x, p=None: 1.0)
    fixed.solvable = False
    maker = MeqMaker(context=observe())
    maker.add_sky_models(sky)
    maker.add_sky_jones("E", modules=fixed, pointing=Pointing())
    maker.add_vis_proc_module("I", modules=Processor())
    maker.make_predict_tree()
    assert maker.term("E").solvable
    assert maker.term("I").solvable


def test_a_subset_of_solvable_sources(observe, sky):
    class Subset:
        solvable = False

        def compute_jones(self, Jones, sources, solvable_sources=None, **kw):
            solvable_sources.add(sources[0].name)
            return lambda x, p=None: 1.0

    first, second = (built(observe(), sky, sky=Subset())[0] for _ in range(2))
    assert first.term("sky").solvable_sources == {"centre"} == second.term("sky").solvable_sources
    assert first.term("sky").solvable_sources is not second.term("sky").solvable_sources
    assert not first.term("sky").solvable


def test_runtime_options_may_come_up_while_computing(observe):
    class Late(Returns):
        def runtime_options(self):
            return [f"option {i}" for i in range(len(self.calls))]

    maker = MeqMaker(context=observe())
    maker.add_uv_jones("G", modules=Late(None))
    assert maker.runtime_options() == []
    maker.make_predict_tree()
    assert maker.runtime_options() == ["option 0"]


ROLES = [("pointing", "compute_pointings"), ("station jones", "compute_jones"), ("sky jones", "compute_jones"),
         ("sky model", "source_list"), ("visibilities", "process_visibilities"),
         ("visibilities", "correct_visibilities"),
         ("sky visibilities", "correct_visibilities_for_direction")]  # fmt: skip


@pytest.mark.parametrize(("role", "function"), ROLES)
def test_functions_without_further_keywords_are_refused_where_they_are_registered(role, function):
    def right(*a, **kw): ...

    def wrong(node, stations=None): ...

    module = types.SimpleNamespace(**dict.fromkeys(contracts.ROLES[role], right), __name__="mine")
    check_module(module, role)
    setattr(module, function, wrong)
    with pytest.raises(ContractError, match=f"{function} of mine does not take"):
        check_module(module, role)
    check_module(module, role, strict=False)


@pytest.mark.parametrize("role", contracts.ROLES)
def test_modules_without_the_function_of_their_role(role):
    with pytest.raises(ContractError, match="is no " + role):
        check_module(types.SimpleNamespace(__name__="mine"), role)


def test_leniently_a_function_gets_the_keywords_it_takes(observe):
    class Old:
        def compute_jones(self, Jones, stations=None):
            self.stations = stations
            return lambda p: 1.0

    old = Old()
    maker = MeqMaker(context=observe(), strict=False)
    maker.add_uv_jones("G", modules=old)
    maker.make_predict_tree()
    assert old.stations == list(maker.context.stations)


def test_what_a_module_is_asked(observe, sky):
    of_sky, of_uv = Returns(lambda kw: lambda x, p=None: 1.0), Returns(lambda kw: lambda p: 1.0)
    observation = observe()
    maker, _ = built(observation, sky, sky=of_sky, uv=of_uv)
    asked = of_sky.calls[0]
    assert asked["Jones"].name == "sky"
    assert asked["Jones"](sky.source_list()[0], 3).name == "sky:centre:3"
    assert asked["Jones"].Subscope().lm.name == "sky::lm"
    assert [x.name for x in asked["sources"]] == ["centre", "polarised", "odd"]
    assert asked["stations"] == list(observation.stations)
    assert (asked["tags"], asked["label"], asked["meqmaker"]) == ("sky", "sky", maker)
    assert asked["pointing_offsets"] is None
    assert asked["solvable_sources"] == set()
    assert of_uv.calls[0]["sources"] is None
    assert of_uv.calls[0]["inspectors"] is not asked["inspectors"]


@pytest.mark.parametrize("jones", [None, "identity"])
def test_none_is_no_term_and_is_asked_for_once(observe, sky, jones):
    observation = observe()
    expected = built(observation, sky)[1].evaluate(tile_of(observation))[0]
    of_sky = Returns(None if jones is None else lambda kw: lambda x, p=None: 1.0)
    of_uv = Returns(None if jones is None else lambda kw: lambda p: np.eye(2))
    maker, tree = built(observation, sky, sky=of_sky, uv=of_uv)
    for again in (tree, maker.make_predict_tree(), maker.make_predict_tree(sources=["odd", "centre", "polarised"])):
        np.testing.assert_allclose(again.evaluate(tile_of(observation))[0], expected, rtol=0, atol=1e-13)
    maker.correct_uv_data(None, tree, sky_correct="odd")
    assert len(of_sky.calls) == len(of_uv.calls) == 1


def test_inspectors_of_the_module_take_the_place_of_the_standard_one(observe, sky):
    class Own(Returns):
        def compute_jones(self, Jones, inspectors=None, **kw):
            inspectors.append("mine")
            return super().compute_jones(Jones, inspectors=inspectors, **kw)

    observation = observe()
    maker, _ = built(observation, sky, sky=Own(lambda kw: lambda x, p=None: 1.0), uv=Returns(lambda kw: lambda p: 2.0))
    mine, (name, mean) = maker.get_inspectors()
    assert (mine, name) == ("mine", "uv:inspector")
    np.testing.assert_array_equal(mean(tile_of(observation)), np.full((1, 1, 1), 2.0))  # once for all stations


def test_pointings_reach_the_beam_computed_once_and_none_is_none(observe, sky):
    class Pointing:
        calls = 0

        def __init__(self, offsets):
            self.offsets = offsets

        def compute_pointings(self, node, stations=None, label=None, **kw):
            self.calls += 1
            assert (node.name, label) == ("E:dlm", "Epe")
            return self.offsets

    for offsets in (None, lambda p: (1e-3, 0)):
        pointing, beam = Pointing(offsets), Returns(lambda kw: lambda x, p=None: 1.0)
        maker = MeqMaker(context=observe())
        maker.add_sky_models(sky)
        maker.add_sky_jones("E", modules=beam, pointing=pointing)
        maker.make_predict_tree()
        maker.make_predict_tree()
        assert beam.calls[0]["pointing_offsets"] is offsets
        assert pointing.calls == 1


def test_random_numbers_of_a_module_come_from_the_seed_and_its_label(observe, sky):
    class Dice:
        def compute_jones(self, Jones, **kw):
            self.drawn = random.random()

    drawn = []
    for seed in (1, 1, 2):
        maker = MeqMaker(context=observe(), seed=seed)
        dice = [Dice(), Dice()]
        for label, module in zip("GH", dice, strict=True):
            maker.add_uv_jones(label, modules=module)
        random.seed(5)
        maker.make_predict_tree()
        drawn.append([one.drawn for one in dice])
        assert random.random() == random.Random(5).random()
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][0] != drawn[0][1]


# Sky models


def test_sky_models_are_joined_numbered_and_may_want_a_scope(observe, sky, component):
    class Positional:
        def source_list(self, ns, **kw):
            self.ns = ns
            return ComponentSky([component("more", 0.001, 0)]).source_list()

        def estimate_image_size(self, **kw):
            return 7.5

    more = Positional()
    maker = MeqMaker(context=observe())
    maker.add_sky_models([sky, more])
    assert [(x.name, x.get_attr("#")) for x in maker.get_source_list("scope")] == [
        ("centre", 0), ("polarised", 1), ("odd", 2), ("more", 3)]  # fmt: skip
    assert more.ns == "scope"
    assert maker.estimate_image_size() == max(7.5, sky.estimate_image_size())
    assert MeqMaker().estimate_image_size() == 0


def test_the_size_of_the_image_holds_the_sources(sky, component):
    two = ComponentSky([component("a", 0.001, 0), component("b", -0.001, 0)])
    assert two.estimate_image_size() == pytest.approx(np.degrees(0.002) * 60, rel=1e-5)
    assert ComponentSky([]).estimate_image_size() == 0


def test_two_sources_of_one_name_are_refused(observe, sky, component):
    maker = MeqMaker(context=observe())
    maker.add_sky_models([sky, ComponentSky([component("odd", 0.001, 0)])])
    with pytest.raises(ContractError, match="same name"):
        maker.make_predict_tree()


def test_short_forms_and_choices(observe, sky):
    named, other = Returns(lambda kw: lambda p: 2.0), Returns(lambda kw: lambda p: 3.0)
    named.__default_label__, named.__default_name__ = "G", "gains"
    maker = MeqMaker(context=observe())
    assert maker.add_uv_jones(named).label == "G"
    with pytest.raises(ContractError, match="does not name itself"):
        maker.add_uv_jones(other)
    term = maker.add_uv_jones("B", "bandpass", [named, other])
    term.choice = 1
    assert maker.get_uvjones_nodes("B")("x") == 3.0
    maker.term("G").enabled = False
    maker.make_predict_tree()
    assert len(named.calls) == 0


# Visibility processing modules


class Times:
    """Reversible, and not commuting with Plus."""

    def process_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
        self.asked = {"nodes": nodes, "input_nodes": input_nodes, "ifrs": ifrs} | kw
        return ArrayProcess(lambda vis, tile: vis * 2)

    def correct_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
        return ArrayProcess(lambda vis, tile: vis / 2)


class Plus:
    def process_visibilities(self, nodes, input_nodes, **kw):
        return ArrayProcess(lambda vis, tile: vis + 1)

    def correct_visibilities(self, nodes, input_nodes, **kw):
        return ArrayProcess(lambda vis, tile: vis - 1)


def test_processors_in_order_and_undone_in_reverse(observe, sky):
    observation, times = observe(), Times()
    maker, tile = MeqMaker(context=observation), tile_of(observation)
    maker.add_vis_proc_module("A", modules=times)
    maker.add_vis_proc_module("B", modules=Plus())
    data = np.random.default_rng(1).normal(size=(len(tile.uvw), 6, 2, 2)) + 0j
    processed = maker.apply_visibility_processing(None, Data(data))
    np.testing.assert_allclose(processed.evaluate(tile)[0], data * 2 + 1, rtol=1e-15)
    np.testing.assert_allclose(maker.correct_uv_data(None, processed).evaluate(tile)[0], data, rtol=0, atol=1e-15)
    assert times.asked["ifrs"] == observation.ifrs()
    assert {"ns", "meqmaker", "tags", "label", "inspectors"} <= set(times.asked)


def test_a_processor_that_does_nothing(observe, sky):
    class Idle:
        def process_visibilities(self, nodes, input_nodes, **kw):
            return None

        def correct_visibilities(self, nodes, input_nodes, **kw):
            raise AssertionError("there is nothing to undo")

    observation = observe()
    maker, tree = built(observation, sky, vis=Idle())
    tile = tile_of(observation)
    np.testing.assert_array_equal(tree.evaluate(tile)[0], built(observation, sky)[1].evaluate(tile)[0])
    maker.correct_uv_data(None, tree)


def test_processors_that_return_something_else(observe, sky):
    class Wrong(Times):
        def __init__(self, made):
            self.made = made

        def process_visibilities(self, nodes, input_nodes, **kw):
            return self.made

    with pytest.raises(ContractError, match="nothing that processes"):
        built(observe(), sky, vis=Wrong(5))
    short = ArrayProcess(lambda vis, tile: vis[:1])
    with pytest.raises(ContractError, match="wrong shape"):
        built(observe(), sky, vis=Wrong(short))[1].evaluate(tile_of(observe()))


class SkyTimes:
    """Each source by its own factor; corrected in bulk, for a direction, or both."""

    @staticmethod
    def factor(source):
        return {"centre": 2.0, "polarised": 3.0j, "odd": 0.5}[source.name]

    def process_visibilities(self, nodes, input_nodes, sources, ifrs=None, **kw):
        return ArrayProcess(self.bulk)

    def bulk(self, vis, tile):
        return vis * np.array([self.factor(x) for x in tile.sources])[:, None, None, None, None]


class InBulk(SkyTimes):
    def correct_visibilities(self, nodes, input_nodes, sources, ifrs=None, **kw):
        return ArrayProcess(
            lambda vis, tile: vis / np.array([self.factor(x) for x in tile.sources]).reshape(-1, 1, 1, 1, 1)
        )


class ForDirection(SkyTimes):
    def correct_visibilities_for_direction(self, nodes, input_nodes, source, ifrs=None, **kw):
        return ArrayProcess(lambda vis, tile: vis / self.factor(source))


@pytest.mark.parametrize("kind", [InBulk, ForDirection])
def test_sky_processors_and_their_inverse_toward_a_source(observe, sky, kind):
    observation = observe()
    tile = tile_of(observation)
    maker, tree = built(observation, sky, skyvis=kind())
    alone = built(observation, sky)[0]
    expected = sum(
        SkyTimes.factor(x) * alone.make_predict_tree(sources=[x]).evaluate(tile)[0] for x in sky.source_list()
    )
    np.testing.assert_allclose(tree.evaluate(tile)[0], expected, rtol=0, atol=1e-13)
    one = maker.make_predict_tree(sources=["polarised"])
    corrected = maker.correct_uv_data(None, one, sky_correct="polarised").evaluate(tile)[0]
    np.testing.assert_allclose(corrected, alone.make_predict_tree(sources=["polarised"]).evaluate(tile)[0], atol=1e-13)
    assert maker.correct_uv_data(None, one).evaluate(tile)[0] == pytest.approx(one.evaluate(tile)[0])
