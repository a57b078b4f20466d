"""Every contract of modules, row by row, in both dialects: modules that make nodes, and modules that return arrays.

J Jones terms, M modules and options, N names, C what all compute functions have in common, P pointings, S station
Jones, K sky Jones, Y sky models, V visibility processors, W those of the sky.
"""

import inspect
import types

import numpy as np
import pytest

from imaging.algorithms.components import Component
from imaging.errors import ImagingError
from imaging.measurement import contracts
from imaging.measurement.contracts import ArrayJones, ArrayPointings, ArrayProcess, ContractError
from imaging.measurement.expressions import Meq, NodeScope, NodeTags, is_node
from imaging.measurement.expressions.errors import DivisionByZeroError, NodeRedefinedError, UndefinedNodeError
from imaging.measurement.expressions.options import OptionError, TDLOption, assign, symbols
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.trees import Data

DIALECTS = ["nodes", "arrays"]
START = 5.0e9


@pytest.fixture
def observation(observe):
    return observe(stations=4)


def tile_of(observation):
    return next(observation.tiles())[1]


def predicted(maker, **more):
    return maker.make_predict_tree(**more).evaluate(tile_of(maker.context))[0]


def made(observation, sky=None, **terms):
    """A maker with terms by label: sky Jones E…, uv Jones G…, processors P…, sky processors S…."""
    maker = MeqMaker(context=observation)
    if sky is not None:
        maker.add_sky_models(sky)
    adders = {"E": maker.add_sky_jones, "G": maker.add_uv_jones, "P": maker.add_vis_proc_module,
              "S": maker.add_sky_vis_proc_module}  # fmt: skip
    for label, module in terms.items():
        adders[label[0]](label, modules=module)
    return maker


def agree(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(), 1e-300))


class Module:
    """Jones terms in either dialect, of one kind: numbers from a seed, changing with time and frequency."""

    solvable = False

    def __init__(self, dialect, kind="full", seed=1):
        self.dialect, self.kind, self.seed, self.calls = dialect, kind, seed, []

    def numbers(self, *index):
        """(element, a + b sin(t/600) + c nu/GHz)."""
        rng = np.random.default_rng([self.seed, *index])
        number = {"scalar": 1, "diagonal": 2, "full": 4}[self.kind]
        return rng.normal(size=(number, 3)) + 1j * rng.normal(size=(number, 3))

    def compute_jones(self, Jones, sources=None, stations=None, inspectors=None, **kw):
        self.calls.append({"Jones": Jones, "sources": sources, "stations": stations, "inspectors": inspectors} | kw)
        if self.dialect == "nodes":
            return self.nodes(Jones, sources, stations)
        return self.arrays(Jones, sources, stations)

    def nodes(self, Jones, sources, stations):
        ns = Jones.Subscope()
        wave = ns.wave << Meq.Sin((Meq.Time() - START) / 600)
        for s, x in enumerate(sources or [None]):
            for p, station in enumerate(stations):
                terms = [complex(a) + complex(b) * wave + complex(c) * 1e-9 * Meq.Freq()
                         for a, b, c in self.numbers(s, p)]  # fmt: skip
                node = Jones(station) if x is None else Jones(x, station)
                if self.kind == "scalar":
                    node << terms[0]
                elif self.kind == "diagonal":
                    node << Meq.Matrix22(terms[0], 0, 0, terms[1])
                else:
                    node << Meq.Matrix22(*terms)
        return Jones

    def arrays(self, Jones, sources, stations):
        place = {None: 0} if sources is None else {x.name: s for s, x in enumerate(sources)}
        ends = {"scalar": (), "diagonal": (2,), "full": (2, 2)}[self.kind]

        def fn(tile):
            names = [None] if sources is None else [x.name for x in tile.sources]
            table = np.array([[self.numbers(place[name], p) for p in range(len(stations))] for name in names])
            a, b, c = np.moveaxis(table[:, :, None, None], -1, 0)
            wave, nu = np.sin((tile.t - START) / 600)[..., None], tile.nu[:, None] * 1e-9
            value = (a + b * wave + c * nu).reshape(len(names), len(stations), *tile.shape[2:], *ends)
            return value if sources is not None else value[0]

        return ArrayJones(fn, self.kind, sources=sources, name=Jones.name)


class Gives:
    """A module whose compute_jones returns what a function of its keywords returns."""

    def __init__(self, give):
        self.give, self.calls = give, []

    def compute_jones(self, Jones, **kw):
        self.calls.append({"Jones": Jones} | kw)
        return self.give(Jones, **kw)


# Jones terms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["scalar", "diagonal", "full"])
@pytest.mark.parametrize("label", ["E", "G"])
def test_J1_J2_a_jones_of_each_kind_is_the_same_in_both_dialects(observation, sky, kind, label):
    ours, theirs = (made(observation, sky, **{label: Module(dialect, kind)}) for dialect in DIALECTS)
    agree(predicted(ours), predicted(theirs))
    jones, tile = ours.get_uvjones_nodes("G") if label == "G" else ours.get_skyjones_nodes("E"), tile_of(observation)
    if label == "G":
        assert contracts.station_array(jones, tile).shape == (1, 4, 3, 6, *{"scalar": (), "diagonal": (2,),
                                                                            "full": (2, 2)}[kind])  # fmt: skip


def test_J1_numbers_nodes_and_arrays_mix_in_one_term_and_in_one_chain(observation, sky):
    def mixed(Jones, stations=None, **kw):
        Jones(stations[0]) << 2.5
        Jones(stations[1]) << Meq.Matrix22(1, 2j, 3, Meq.Freq() * 1e-9)
        other = {stations[2]: np.array([[1, 1j], [0, 2]]), stations[3]: 3}
        return lambda p: other.get(p, Jones(p))

    jones = made(observation, sky, G=Gives(mixed)).get_uvjones_nodes("G")
    tile = tile_of(observation)
    array = contracts.station_array(jones, tile)
    assert array.shape == (1, 4, 1, 6, 2, 2)
    np.testing.assert_array_equal(array[0, 0, 0, 0], 2.5 * np.eye(2))
    np.testing.assert_array_equal(array[0, 1, 0, :, 1, 1], tile.freq * 1e-9)
    np.testing.assert_array_equal(array[0, 2, 0, 0], [[1, 1j], [0, 2]])
    chain = made(observation, sky, G1=Gives(mixed), G2=Module("arrays", "diagonal"), G3=Module("nodes", "scalar"))
    same = made(observation, sky, G1=Gives(lambda *_, **kw: ArrayJones(lambda tile: array[0], "full")),
                G2=Module("nodes", "diagonal"), G3=Module("arrays", "scalar"))  # fmt: skip
    agree(predicted(chain), predicted(same))


def test_J1_matrices_with_nothing_off_the_diagonal_are_diagonal_and_equal_terms_are_one(observation, sky):
    def equal(Jones, stations=None, **kw):
        for p in stations:
            Jones(p) << Meq.Matrix22(Meq.Freq() * 1e-9, 0, 0, 1)
        return Jones

    jones = made(observation, sky, G=Gives(equal)).get_uvjones_nodes("G")
    assert contracts.station_array(jones, tile_of(observation)).shape == (1, 1, 1, 6, 2)


def test_J3_any_callable_is_a_station_jones_and_is_only_called_with_stations(observation, sky):
    class Table:
        asked = set()

        def __call__(self, p):
            self.asked.add(p)
            return 2.0 if p == observation.stations[0] else np.array([1, 2j])

    maker = made(observation, sky, G=Gives(lambda Jones, **kw: Table()))
    tree = maker.make_predict_tree()
    tree.evaluate(tile_of(observation))
    maker.correct_uv_data(None, tree).evaluate(tile_of(observation))
    for function in maker.inspector_functions().values():
        function(tile_of(observation))
    assert Table.asked == set(observation.stations)


def test_J4_a_source_is_corrupted_by_a_station_jones(observation, meow):
    import Meow

    ns = NodeScope()
    maker = MeqMaker(context=observation)
    with maker._meow(ns):
        direction = Meow.LMDirection(ns, "s", 0.001, 0.002)
        source = Meow.PointSource(ns, "s", direction, I=2.0)
        for i, p in enumerate(observation.stations):
            ns.G(p) << 1.0 + i
        vis = source.corrupt(ns.G).visibilities()
        nodes = {pair: vis(*pair) for pair in observation.ifrs()}
        flat = source.visibilities()
        bare = {pair: flat(*pair) for pair in observation.ifrs()}
    tree = maker.apply_visibility_processing(None, lambda p, q: nodes[p, q])
    plain = maker.apply_visibility_processing(None, lambda p, q: bare[p, q])
    tile = tile_of(observation)
    factor = (1.0 + tile.antenna1) * (1.0 + tile.antenna2)
    agree(tree.evaluate(tile)[0], plain.evaluate(tile)[0] * factor[:, None, None, None])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_J5_J6_a_source_or_its_name_then_the_station_or_both_at_once(observation, sky, dialect):
    jones = made(observation, sky, E=Module(dialect)).get_skyjones_nodes("E")
    for x in sky.source_list():
        for p in observation.stations:
            assert jones(x)(p) is jones(x.name)(p) is jones(x, p) is jones(x.name, p)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_J7_a_source_without_the_term_has_none(observation, sky, dialect):
    class Some(Module):
        def compute_jones(self, Jones, sources=None, stations=None, **kw):
            return super().compute_jones(Jones, sources[1:], stations, **kw)

    with_some = made(observation, sky, E=Some(dialect))
    without = made(observation, sky)
    agree(predicted(with_some, sources=["centre"]), predicted(without, sources=["centre"]), 1e-15)
    assert np.abs(predicted(with_some, sources=["odd"]) - predicted(without, sources=["odd"])).max() > 0.1


class Beam:
    """A beam honouring pointing offsets, in either dialect: its middle moves to (+dl, +dm)."""

    def __init__(self, dialect):
        self.dialect = dialect

    def compute_jones(self, Jones, sources, stations=None, pointing_offsets=None, **kw):
        self.offsets = pointing_offsets
        if self.dialect == "nodes":
            for x in sources:
                for p in stations:
                    lm = x.direction.lm()
                    if pointing_offsets is not None:
                        lm = Jones.Subscope().lm(x, p) << lm - pointing_offsets(p)
                    Jones(x, p) << Meq.Cos(Meq.Norm(lm) * 65e-9 * Meq.Freq())
            return Jones

        def beam(tile):
            offset = contracts.pointing_array(pointing_offsets, tile)
            return np.cos(np.hypot(tile.l - offset[..., 0], tile.m - offset[..., 1]) * 65e-9 * tile.nu)

        return ArrayJones(beam, "scalar", sources=sources)


class Pointing:
    def __init__(self, dialect):
        self.dialect, self.calls = dialect, []

    def compute_pointings(self, node, stations=None, **kw):
        self.calls.append({"node": node, "stations": stations} | kw)
        if self.dialect == "none":
            return None
        if self.dialect == "nodes":
            for i, p in enumerate(stations):
                node(p) << Meq.Composer(1e-3 * i, 5e-4 * Meq.Sin((Meq.Time() - START) / 600))
            return node

        def offsets(tile):
            wave = 5e-4 * np.sin((tile.t - START) / 600)
            return np.stack([np.stack([np.full_like(wave, 1e-3 * i), wave], -1) for i in range(len(stations))])

        return ArrayPointings(offsets)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("pointing", DIALECTS)
def test_J8_K4_pointings_of_either_dialect_move_beams_of_either(observation, sky, dialect, pointing, meow):
    maker, moved = MeqMaker(context=observation), Pointing(pointing)
    maker.add_sky_models(sky)
    maker.add_sky_jones("E", modules=Beam(dialect), pointing=moved)
    x, tile = sky.source_list()[1], tile_of(observation)
    array = contracts.sky_array(maker.get_skyjones_nodes("E"), tile.with_sources([x]))[0]
    l, m, _ = x.lmn(observation.phase_centre)
    dm = 5e-4 * np.sin((tile.t - START) / 600)
    dl = 1e-3 * np.arange(4)[:, None, None]
    np.testing.assert_allclose(array[0], np.cos(np.hypot(l - dl, m - dm) * 65e-9 * tile.freq), rtol=1e-12)
    assert not np.allclose(array[0], np.cos(np.hypot(l + dl, m + dm) * 65e-9 * tile.freq), rtol=1e-4)


# Modules and options --------------------------------------------------------------------------------


def python_module(tmp_path, name, source):
    from importlib import util

    path = tmp_path / f"{name}.py"
    path.write_text(inspect.cleandoc(source))
    spec = util.spec_from_file_location(name, path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REAL = """
    from imaging.measurement.expressions import Meq
    from imaging.measurement.expressions.options import *
    from imaging.measurement.expressions import options
    options.TDLCompileOption('size', 'size', [1.5, 2.5], more=float)
    options.TDLRuntimeOption('speed', 'speed', [1, 2])
    def compute_jones(Jones, stations=None, **kw):
        for p in stations:
            Jones(p) << size
        return Jones
"""


def test_M1_a_python_module_and_an_object_in_one_maker(observation, sky, tmp_path):
    maker = made(observation, sky, G=python_module(tmp_path, "gains_real", REAL), G2=Module("arrays", "scalar"))
    alone = made(observation, sky, G2=Module("nodes", "scalar"))
    agree(predicted(maker), 1.5**2 * predicted(alone))


def test_M2_M3_solvable_is_asked_after_computing_and_missing_is_true(observation, sky):
    class Flips(Module):
        asked, solvable_ = 0, True

        @property
        def solvable(self):
            self.asked += 1
            return self.solvable_

        def compute_jones(self, Jones, **kw):
            assert self.asked == 0
            self.solvable_ = False
            return super().compute_jones(Jones, **kw)

    flips, plain = Flips("nodes"), Gives(lambda *_, **kw: None)
    maker = made(observation, sky, G=flips, G2=plain)
    maker.make_predict_tree()
    assert (maker.term("G").solvable, maker.term("G2").solvable) == (False, True)
    assert flips.asked == 1


def test_M4_solvable_counts_for_pointings_processors_and_sky_processors(observation, sky):
    class Nothing:
        def __init__(self, solvable):
            self.solvable = solvable

        def process_visibilities(self, nodes, input_nodes, **kw):
            return None

        def compute_pointings(self, node, **kw):
            return None

    for solvable in (True, False):
        maker = MeqMaker(context=observation)
        maker.add_sky_models(sky)
        maker.add_sky_jones("E", modules=Module("nodes"), pointing=Nothing(solvable))
        maker.add_vis_proc_module("P", modules=Nothing(solvable))
        maker.add_sky_vis_proc_module("S", modules=Nothing(solvable))
        maker.make_predict_tree()
        assert [maker.term(label).solvable for label in "EPS"] == [solvable] * 3


@pytest.mark.parametrize("tags", ["mine", ["mine", "other"], NodeTags("mine")])
def test_M5_tags_are_words_or_lists_and_parameters_are_found_by_them(observation, sky, tags):
    def solvable(Jones, stations=None, **kw):
        for p in stations:
            Jones(p) << Meq.Polar(Jones("a")(p) << Meq.Parm(1.0, tags=NodeTags(tags) + "solvable"), 0.0)
        return Jones

    maker = made(observation, sky, G=Gives(solvable))
    maker.make_predict_tree()
    names = [node.name for node in maker.scope.Search(tags="solvable")]
    assert sorted(names) == sorted(f"G:a:{p}" for p in observation.stations)
    assert len(maker.scope.Search(tags="mine")) == 4
    assert maker.terms[0].module.calls[0]["tags"] == "G"


def test_M6_options_by_functions_without_arguments():
    class Optional(Module):
        def compile_options(self):
            return ["compile"]

        def runtime_options(self):
            return ["run"]

    maker = made(None, None, G=Optional("nodes"))
    assert (maker.compile_options(), maker.runtime_options()) == (["compile"], ["run"])


def test_M7_options_that_a_python_module_declares_are_found_and_set(observation, sky, tmp_path):
    module = python_module(tmp_path, "gains_declared", REAL)
    maker = made(observation, sky, G=module)
    assert symbols(maker.compile_options()).keys() == {"size"}
    assert symbols(maker.runtime_options()).keys() == {"speed"}
    assign(maker.compile_options(), {"size": "4"})
    agree(predicted(maker), 16 * predicted(made(observation, sky)))
    with pytest.raises(OptionError, match="no option sise"):
        assign(maker.compile_options(), {"sise": 4})


def test_M8_either_the_function_or_the_declarations_for_each_of_the_two(tmp_path):
    text = (
        REAL
        + """
    mine = options.TDLOption('own', 'own', [7, 8])
    def compile_options():
        return [mine]
"""
    )
    module = python_module(tmp_path, "gains_both", text)
    maker = made(None, None, G=module)
    assert symbols(maker.compile_options()).keys() == {"own"}
    assert symbols(maker.runtime_options()).keys() == {"speed"}
    assert module.size == 1.5
    assert made(None, None, G=Module("nodes")).compile_options() == []


def test_M9_runtime_options_that_come_up_while_computing(observation, sky):
    class Late(Module):
        def runtime_options(self):
            return [TDLOption(f"run{i}", "", i, namespace=self) for i in range(len(self.calls))]

    maker = made(observation, sky, G=Late("nodes"))
    assert maker.runtime_options() == []
    maker.make_predict_tree()
    assert symbols(maker.runtime_options()).keys() == {"run0"}


def test_M10_objects_have_options_of_their_own(observation, sky):
    class Sized(Module):
        def __init__(self, name):
            super().__init__("nodes")
            self.tdloption_namespace = name
            self.items = [TDLOption("size", "size", [1.0, 2.0], more=float, namespace=self)]

        def compile_options(self):
            return self.items

        def nodes(self, Jones, sources, stations):
            for p in stations:
                Jones(p) << self.size
            return Jones

    a, b = Sized("a"), Sized("b")
    maker = made(observation, sky, Ga=a, Gb=b)
    assign(maker.compile_options(), {"a.size": 3.0})
    assert (a.size, b.size) == (3.0, 1.0)
    agree(predicted(maker), 9 * predicted(made(observation, sky)))
    with pytest.raises(OptionError, match="several options size"):
        assign(maker.compile_options(), {"size": 3.0})


# Names ------------------------------------------------------------------------------------------------


def test_N1_N2_all_nodes_derive_from_the_one_that_was_given(observation, sky):
    pointing = Pointing("nodes")
    maker = MeqMaker(context=observation)
    maker.add_sky_models(sky)
    maker.add_sky_jones("E", modules=Module("nodes"), pointing=pointing)
    maker.add_uv_jones("G", modules=Module("nodes"))
    maker.make_predict_tree()
    assert maker.term("E").module.calls[0]["Jones"].name == "E"
    assert pointing.calls[0]["node"].name == "E:dlm"
    names = [node.name for node in maker.scope._nodes.values() if node.definition]
    assert all(name.startswith(("E:", "G:", "time0", "time1", "freq0", "freq1")) for name in names)
    assert {"E::wave", "G::wave", "E:centre:" + observation.stations[0]} <= set(names)
    ns = NodeScope()
    assert ns.G("s0").Subscope().foo.name == "G:s0::foo"
    assert ns.E.Subscope().lm("S1", "s0").name == "E::lm:S1:s0"
    assert ns.E("a", k=3).name == "E:a:k=3"
    assert ns.G.Subscope().foo is ns.G.Subscope().foo


def test_N3_one_module_under_two_labels_and_nodes_that_are_bound_twice(observation, sky):
    module = Module("nodes")
    agree(predicted(made(observation, sky, G=module, G2=module)),
          predicted(made(observation, sky, G=Module("arrays"), G2=Module("arrays"))))  # fmt: skip

    def twice(Jones, stations=None, **kw):
        for value in (1.0, 1.0, kw["context"].interval + 2):
            Jones(stations[0]) << value

    with pytest.raises(
        NodeRedefinedError, match=r"The node G:\w+ is defined twice(?s:.*)Constant\(2.0\)(?s:.*)\(1.0\)"
    ):
        made(observation, sky, G=Gives(twice)).make_predict_tree()
    ns = NodeScope()
    ns.a << 1
    ns.a**2
    assert ns.a.initrec()["value"] == 1


def test_N4_trees_made_twice_in_one_scope_do_not_collide(observation, sky):
    ns = NodeScope()
    maker = made(observation, sky, E=Module("nodes"), G=Module("nodes"), P=NodeGain())
    first, second = maker.make_predict_tree(ns), maker.make_predict_tree(ns, sources=["odd"])
    tile, pair = tile_of(observation), observation.ifrs()[0]
    assert first.evaluate(tile)[0].shape == second.evaluate(tile)[0].shape
    maker.make_predict_tree(ns, ifrs=[pair])
    more = ComponentSky([Component("elsewhere", *observation.phase_centre, (1.0, 0, 0, 0))]).source_list()
    assert np.abs(maker.make_predict_tree(ns, sources=more).evaluate(tile)[0]).max() > 0.1
    assert ns.visibility.initialized() is False  # the caller's names are the caller's


# What compute functions have in common ---------------------------------------------------------------


def test_C1_C3_C4_C8_what_a_module_is_asked(observation, sky, meow):
    pointing, beam, gain, errors = Pointing("nodes"), Module("nodes"), Module("nodes"), NodeGain()
    maker = MeqMaker(context=observation)
    maker.add_sky_models(sky)
    maker.add_sky_jones("E", modules=beam, pointing=pointing)
    maker.add_uv_jones("G", modules=gain)
    maker.add_vis_proc_module("P", modules=errors)
    maker.make_predict_tree()
    stations = list(observation.stations)
    (sky_call,), (uv_call,), (dlm,), (vpm,) = beam.calls, gain.calls, pointing.calls, errors.calls
    for call, label in ((sky_call, "E"), (uv_call, "G"), (vpm, "P")):
        assert (call["label"], call["tags"], call["meqmaker"]) == (label, label, maker)
    assert is_node(sky_call["Jones"])
    assert not sky_call["Jones"].quals
    assert [x.name for x in sky_call["sources"]] == ["centre", "polarised", "odd"]
    with maker._meow(maker.scope):
        assert is_node(sky_call["sources"][1].direction.lm())
    assert sky_call["stations"] == uv_call["stations"] == dlm["stations"] == stations
    assert uv_call["sources"] is None
    assert (dlm["label"], dlm["tags"]) == ("Epe", "E")
    assert sky_call["pointing_offsets"](stations[0]) is dlm["node"](stations[0])
    assert sky_call["solvable_sources"] == set() == uv_call["solvable_sources"]
    assert vpm["ifrs"] == observation.ifrs()
    assert vpm["ns"].foo.name == "P::foo"


@pytest.mark.parametrize(("role", "function"), [
    ("pointing", "compute_pointings"), ("station jones", "compute_jones"), ("sky jones", "compute_jones"),
    ("visibilities", "process_visibilities"), ("visibilities", "correct_visibilities"),
    ("sky visibilities", "correct_visibilities_for_direction"), ("sky model", "source_list"),
])  # fmt: skip
def test_C2_functions_end_with_further_keywords(role, function, caplog):
    module = types.SimpleNamespace(**{name: lambda *a, **kw: None for name in contracts.ROLES[role]}, __name__="mine")
    contracts.check_module(module, role)
    setattr(module, function, lambda node: None)
    with pytest.raises(ContractError, match=f"{function} of mine does not take further"):
        contracts.check_module(module, role)
    assert not caplog.text
    contracts.check_module(module, role, strict=False)
    assert f"{function} of mine does not end with **kw" in caplog.text


def test_C4_nothing_for_stations_means_all_of_the_context(observation, meow):
    from Meow import Context

    maker = MeqMaker(context=observation)
    with maker._meow(maker.scope):
        assert list(Context.array.stations()) == list(observation.stations)
        assert list(Context.array.ifrs()) == observation.ifrs()
        assert Context.observation.circular() is False
    assert Context.array is None


def test_C5_a_subset_of_baselines_and_one_term_for_all_stations(observation, sky):
    errors, pair = NodeGain(), observation.ifrs()[2]
    maker = made(observation, sky, P=errors)
    vis, flag = maker.make_predict_tree(ifrs=[pair]).evaluate(tile_of(observation))
    assert errors.calls[0]["ifrs"] == [pair]
    assert not flag.all()
    agree(vis[~flag], predicted(made(observation, sky, P=NodeGain()))[~flag])
    for dialect in DIALECTS:
        for label in "EG":
            one = made(observation, sky, **{label: Module(dialect)})
            one.term(label).all_stations = True
            first = Module("arrays")
            numbers = first.numbers
            first.numbers = lambda *index, numbers=numbers: numbers(index[0], 0)
            agree(predicted(one), predicted(made(observation, sky, **{label: first})))
            assert one.term(label).module.calls[0]["stations"] == [observation.stations[0]]


@pytest.mark.parametrize("own", [True, False])
def test_C6_K5_inspectors_of_the_module_take_the_place_of_the_standard_one(observation, sky, own):
    class Looks(Module):
        def compute_jones(self, Jones, sources=None, stations=None, inspectors=None, **kw):
            jones = super().compute_jones(Jones, sources, stations, inspectors, **kw)
            if own:
                wave = Jones.Subscope().wave
                inspectors.append(
                    Jones.Subscope().seen << Meq.Composer(wave, wave * 2, dims=[0], plot_label=["a", "b"])
                )
            return jones

    maker = made(observation, sky, G=Looks("nodes"))
    maker.make_predict_tree()
    ((name, function),) = maker.inspector_functions().items()
    value, tile = function(tile_of(observation)), tile_of(observation)
    if own:
        assert name == "G::seen"
        np.testing.assert_allclose(value[0, 1], 2 * np.sin((tile.time - START) / 600), rtol=1e-12)
    else:
        assert name == "G:inspector"
        np.testing.assert_allclose(value, contracts.station_array(maker.get_uvjones_nodes("G"), tile).mean(3))


def test_C7_K5_standard_inspectors_in_the_order_of_the_terms(observation, sky):
    maker = MeqMaker(context=observation)
    maker.add_sky_models(sky)
    maker.add_sky_jones("Z", modules=Module("nodes"))
    maker.add_sky_jones("E", modules=Module("arrays"), pointing=Pointing("nodes"))
    maker.add_uv_jones("G", modules=Module("nodes"))
    maker.make_predict_tree()
    functions = maker.inspector_functions()
    assert list(functions) == ["Z:inspector", "E:dlm:inspector", "E:inspector", "G:inspector"]
    tile = tile_of(observation).with_sources(sky.source_list())
    assert functions["E:dlm:inspector"](tile).shape == (1, 4, 3, 2)
    assert functions["Z:inspector"](tile).shape == (3, 4, 3, 2, 2)
    silent = MeqMaker(context=observation, use_jones_inspectors=False)
    silent.add_uv_jones("G", modules=Module("nodes"))
    silent.make_predict_tree()
    assert silent.get_inspectors() == []


def test_C9_what_is_returned_counts_and_not_what_was_given(observation, sky):
    def elsewhere(Jones, stations=None, **kw):
        for p in stations:
            Jones(p) << 5.0
            Jones.Subscope().other(p) << 2.0
        return Jones.Subscope().other

    agree(predicted(made(observation, sky, G=Gives(elsewhere))), 4 * predicted(made(observation, sky)))


def test_C10_a_module_is_asked_once_if_it_returns_none_too(observation, sky):
    nothing = Gives(lambda *_, **kw: None)
    for module in (Module("nodes"), Module("arrays"), nothing):
        maker = made(observation, sky, E=module, G=module)
        tree = maker.make_predict_tree()
        maker.make_predict_tree(sources=["odd"])
        maker.correct_uv_data(None, tree, sky_correct="odd")
        assert len(module.calls) == 2
    agree(predicted(made(observation, sky, E=nothing, G=nothing)), predicted(made(observation, sky)), 1e-15)


def test_C11_defaults_that_all_calls_share_stay_empty(observation, sky):
    class Trap:
        def compute_jones(self, Jones, inspectors=[], solvable_sources=set(), **kw):  # noqa: B006
            inspectors.append(("mine", lambda tile: np.ones(1)))
            solvable_sources.add("odd")

    for _ in range(2):
        maker = made(observation, sky, E=Trap(), G=Trap())
        maker.make_predict_tree()
        assert len(maker.get_inspectors()) == 2
    assert Trap.compute_jones.__defaults__ == ([], set())


# Pointings, station Jones, sky Jones -------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [*DIALECTS, "none"])
def test_P1_P2_pointings_are_asked_for_once_and_none_is_none(observation, sky, dialect):
    maker, pointing, beam = MeqMaker(context=observation), Pointing(dialect), Module("arrays")
    maker.add_sky_models(sky)
    maker.add_sky_jones("E", modules=beam, pointing=pointing)
    maker.make_predict_tree()
    maker.make_predict_tree(sources=["odd"])
    assert len(pointing.calls) == 1
    assert (beam.calls[0]["pointing_offsets"] is None) == (dialect == "none")


def test_P1_of_several_pointing_modules_one_is_chosen(observation, sky):
    first, second, beam = Pointing("nodes"), Pointing("arrays"), Module("arrays")
    for choice, called in ((0, [1, 0]), (1, [0, 1]), (None, [0, 0])):
        first.calls, second.calls = [], []
        maker = MeqMaker(context=observation)
        maker.add_sky_models(sky)
        maker.add_sky_jones("E", modules=beam, pointing=[first, second]).pointing_choice = choice
        maker.make_predict_tree()
        assert [len(first.calls), len(second.calls)] == called


@pytest.mark.parametrize("label", ["E", "G"])
def test_S1_none_an_identity_and_no_term_are_the_same(observation, sky, label):
    def identity(Jones, sources=None, stations=None, **kw):
        for x in sources or [None]:
            for p in stations:
                (Jones(p) if x is None else Jones(x, p)) << Meq.Matrix22(1, 0, 0, 1)
        return Jones

    expected = predicted(made(observation, sky))
    for give in (identity, lambda *_, **kw: None):
        agree(predicted(made(observation, sky, **{label: Gives(give)})), expected, 1e-14)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_K1_a_sky_jones_is_good_for_sources_and_for_their_names(observation, sky, dialect):
    module = Module(dialect)
    maker = made(observation, sky, E=module)
    agree(predicted(maker, sources=["odd", "polarised"]), predicted(maker, sources=sky.source_list()[1:]), 1e-14)
    assert len(module.calls) == 1


def test_K2_K3_solvable_for_some_sources(observation, sky):
    class Some(Module):
        def compute_jones(self, Jones, sources=None, solvable_sources=None, **kw):
            solvable_sources.update(x.name for x in sources[1:])
            return super().compute_jones(Jones, sources, **kw)

    maker = made(observation, sky, E=Some("nodes"))
    whole = predicted(maker)
    term = maker.term("E")
    assert (term.solvable, term.solvable_sources) == (False, {"polarised", "odd"})
    apart = maker.solvable_sources()
    assert [x.name for x in apart] == ["polarised", "odd"]
    rest = [x.name for x in sky.source_list() if x not in apart]
    agree(predicted(maker, sources=apart) + predicted(maker, sources=rest), whole)
    term.solvable = True
    assert len(maker.solvable_sources()) == 3


# Sky models ----------------------------------------------------------------------------------------------


class NodeSky:
    """Sources of nodes: a point at the centre, a polarised one with a spectrum, a Gaussian."""

    def __init__(self, prefix="", strict=True):
        self.prefix = prefix
        if not strict:
            self.source_list = self.positional

    def source_list(self, ns=None, **kw):
        return self.positional(ns)

    def positional(self, ns):
        from Meow import GaussianSource, LMDirection, PointSource

        def at(name, l, m):
            return ns, self.prefix + name, LMDirection(ns, self.prefix + name, l, m)

        return [
            PointSource(*at("centre", 0.0, 0.0), I=1.0),
            PointSource(*at("polarised", 0.004, -0.003), I=0.8, Q=0.2, U=-0.1, V=0.05, spi=-0.7, freq0=1.4e9),
            GaussianSource(*at("wide", -0.002, 0.003), I=2.0, Q=0.1, lproj=3e-4, mproj=1e-4, ratio=0.5),
        ]

    def estimate_image_size(self, **kw):
        return 11.0


@pytest.fixture
def same_sky(component):
    size = np.hypot(3e-4, 1e-4)
    return ComponentSky([
        component("centre", 0.0, 0.0),
        component("polarised", 0.004, -0.003, (0.8, 0.2, -0.1, 0.05), spectral_index=(-0.7,), logarithmic=True,
                  reffreq=1.4e9),
        component("wide", -0.002, 0.003, (2.0, 0.1, 0, 0), major=size, minor=size / 2, pa=np.arctan2(3e-4, 1e-4)),
    ])  # fmt: skip


@pytest.mark.parametrize("feeds", ["linear", "circular"])
@pytest.mark.parametrize("strict", [True, False])
def test_Y1_sources_of_nodes_are_sources_of_arrays(observe, same_sky, feeds, strict, meow):
    observation = observe(feeds, stations=4)
    ours = made(observation, same_sky, E=Module("arrays"), E2=Beam("arrays"))
    theirs = made(observation, NodeSky(strict=strict), E=Module("nodes"), E2=Beam("nodes"))
    agree(predicted(theirs), predicted(ours), 2e-12)
    mixed = made(observation, NodeSky(), E=Module("arrays"), E2=Beam("nodes"))
    agree(predicted(mixed), predicted(ours), 2e-12)


def test_Y2_Y3_models_are_joined_numbered_and_tell_their_size(observation, meow):
    maker = MeqMaker(context=observation)
    maker.add_sky_models([NodeSky(), NodeSky("b")])
    sources = maker.get_source_list()
    assert [x.name for x in sources] == ["centre", "polarised", "wide", "bcentre", "bpolarised", "bwide"]
    assert [x.get_attr("#") for x in sources] == list(range(6))
    assert maker.get_source_list()[0] is sources[0]
    assert maker.estimate_image_size() == 11.0


def test_Y4_names_in_two_models_are_refused(observation, sky, meow):
    maker = MeqMaker(context=observation)
    maker.add_sky_models([sky, NodeSky()])
    with pytest.raises(ContractError, match="same name") as error:
        maker.make_predict_tree()
    assert "centre" in str(error.value)


# Visibility processors ----------------------------------------------------------------------------------


def factor(observation, p, q):
    i, j = observation.stations.index(p), observation.stations.index(q)
    return np.array([[1 + 0.1j * i, 2.0], [0.5 - j, 1 + i + 0.3j * j]])


class NodeGain:
    """Each correlation of each baseline times a number, by nodes."""

    def __init__(self):
        self.calls = []

    def process_visibilities(self, nodes, input_nodes, ifrs=None, context=None, **kw):
        self.calls.append({"nodes": nodes, "input_nodes": input_nodes, "ifrs": ifrs} | kw)
        for p, q in ifrs:
            nodes(p, q) << input_nodes(p, q) * Meq.Constant(factor(context, p, q))
        return nodes

    def correct_visibilities(self, nodes, input_nodes, ifrs=None, context=None, **kw):
        for p, q in ifrs:
            nodes(p, q) << input_nodes(p, q) / Meq.Constant(factor(context, p, q))
        return nodes


class NodeBias:
    def process_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
        for p, q in ifrs:
            nodes(p, q) << input_nodes(p, q) + nodes.Subscope().bias ** Meq.Constant([[1, 2j], [3, 4]])
        return True

    def correct_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
        for p, q in ifrs:
            nodes(p, q) << input_nodes(p, q) - nodes.Subscope().bias ** Meq.Constant([[1, 2j], [3, 4]])
        return True


class ArrayGain:
    def factors(self, tile):
        return np.array([factor(tile, tile.stations[p], tile.stations[q])
                         for p, q in zip(tile.antenna1, tile.antenna2, strict=True)])[:, None]  # fmt: skip

    def process_visibilities(self, nodes, input_nodes, **kw):
        return ArrayProcess(lambda vis, tile: vis * self.factors(tile))

    def correct_visibilities(self, nodes, input_nodes, **kw):
        return ArrayProcess(lambda vis, tile: vis / self.factors(tile))


def random_data(observation, seed=1):
    tile, rng = tile_of(observation), np.random.default_rng(seed)
    return rng.normal(size=(len(tile.uvw), 6, 2, 2)) + 1j * rng.normal(size=(len(tile.uvw), 6, 2, 2))


@pytest.mark.parametrize("module", [NodeGain, ArrayGain])
def test_V1_V2_a_processor_of_nodes_and_one_of_arrays(observation, module):
    maker, tile, data = made(observation, P=module()), tile_of(observation), random_data(observation)
    vis = maker.apply_visibility_processing(None, Data(data)).evaluate(tile)[0]
    agree(vis, data * ArrayGain().factors(tile), 1e-15)


def test_V1_none_is_nothing_applied(observation):
    class Idle:
        def process_visibilities(self, nodes, input_nodes, **kw):
            return None

        def correct_visibilities(self, *a, **kw):
            raise AssertionError("there is nothing to undo")

    maker, data = made(observation, P=Idle()), random_data(observation)
    tree = maker.apply_visibility_processing(None, Data(data))
    np.testing.assert_array_equal(tree.evaluate(tile_of(observation))[0], data)
    np.testing.assert_array_equal(maker.correct_uv_data(None, tree).evaluate(tile_of(observation))[0], data)


def test_V2_rows_in_any_order_and_baselines_that_miss_times(observe):
    observation = observe(stations=4)
    keep = np.random.default_rng(3).permutation(len(observation.time))[:11]
    some = observe(stations=4, antenna1=observation.antenna1[keep], antenna2=observation.antenna2[keep],
                   time=observation.time[keep], uvw=observation.uvw[keep])  # fmt: skip
    data = np.random.default_rng(2).normal(size=(11, 6, 2, 2)) + 0j
    nodes, arrays = (made(some, P=module()).apply_visibility_processing(None, Data(data)).evaluate(tile_of(some))[0]
                     for module in (NodeGain, ArrayGain))  # fmt: skip
    agree(nodes, arrays, 1e-15)
    maker = made(some, P=NodeGain())
    undone = maker.correct_uv_data(None, Data(nodes)).evaluate(tile_of(some))[0]
    agree(undone, data, 1e-14)


def test_V2_autocorrelations_and_baselines_the_other_way_round(observe, sky):
    plain = observe(stations=4)
    times = np.unique(plain.time)
    auto = np.repeat(np.arange(4), len(times))
    flip = np.arange(len(plain.time)) % 4 == 0
    first, second = (
        np.where(flip, a, b) for a, b in ((plain.antenna2, plain.antenna1), (plain.antenna1, plain.antenna2))
    )
    more = observe(
        stations=4, antenna1=np.concatenate([first, auto]), antenna2=np.concatenate([second, auto]),
        time=np.concatenate([plain.time, np.tile(times, 4)]),
        uvw=np.concatenate([np.where(flip[:, None], -plain.uvw, plain.uvw), np.zeros((len(auto), 3))]),
    )  # fmt: skip
    assert len(more.ifrs()) > 10
    nodes, arrays = (
        {"E": Module(d), "G": Module(d), "P": p()} for d, p in zip(DIALECTS, (NodeGain, ArrayGain), strict=True)
    )
    vis = predicted(made(more, sky, **nodes))
    agree(vis, predicted(made(more, sky, **arrays)))
    unprocessed = predicted(made(more, sky, E=Module("nodes")))
    auto_rows = more.antenna1 == more.antenna2
    hermitian = unprocessed[auto_rows]
    agree(hermitian, hermitian.conj().swapaxes(-1, -2))


def test_V3_V4_V5_processors_in_order_and_undone_in_reverse(observation):
    data, tile = random_data(observation), tile_of(observation)
    for modules in ((NodeGain(), NodeBias()), (ArrayGain(), NodeBias()), (NodeBias(), NodeGain())):
        maker = made(observation, P1=modules[0], P2=modules[1])
        vis = maker.apply_visibility_processing(None, Data(data))
        bias, gain = np.array([[1, 2j], [3, 4]]), ArrayGain().factors(tile)
        expected = (data + bias) * gain if isinstance(modules[0], NodeBias) else data * gain + bias
        agree(vis.evaluate(tile)[0], expected, 1e-15)
        agree(maker.correct_uv_data(None, vis).evaluate(tile)[0], data, 1e-14)


def test_V3_a_flagger_is_not_undone(observation):
    class Flagger:
        def process_visibilities(self, nodes, input_nodes, **kw):
            return ArrayProcess(lambda vis, tile: (vis, np.abs(vis[..., 0, 0]) > 1))

    maker, data = made(observation, P0=NodeGain(), P1=Flagger()), random_data(observation)
    tree = maker.apply_visibility_processing(None, Data(data))
    vis, flag = maker.correct_uv_data(None, tree).evaluate(tile_of(observation))
    np.testing.assert_array_equal(flag, tree.evaluate(tile_of(observation))[1])
    agree(vis, data, 1e-14)


# Sky visibility processors -------------------------------------------------------------------------------


def by_source(name, p, q):
    return {"centre": 2.0, "polarised": 3.0j, "odd": 0.5}[name] + 0.1 * len(p) + ord(q[0]) / 100


class SkyGain:
    def process_visibilities(self, nodes, input_nodes, sources, ifrs=None, **kw):
        for x in sources:
            for p, q in ifrs:
                nodes(x, p, q) << input_nodes(x, p, q) * by_source(x.name, p, q)
        return nodes


class SkyGainInBulk(SkyGain):
    def correct_visibilities(self, nodes, input_nodes, sources, ifrs=None, **kw):
        for x in sources:
            for p, q in ifrs:
                nodes(x, p, q) << input_nodes(x, p, q) / by_source(x.name, p, q)
        return nodes


class SkyGainForDirection(SkyGain):
    def correct_visibilities_for_direction(self, nodes, input_nodes, source, ifrs=None, **kw):
        for p, q in ifrs:
            nodes(p, q) << input_nodes(p, q) / by_source(source.name, p, q)
        return nodes


class SkyGainBoth(SkyGainInBulk, SkyGainForDirection):
    pass


class ArraySkyGain:
    """The same by arrays."""

    def process_visibilities(self, nodes, input_nodes, sources, **kw):
        return ArrayProcess(lambda vis, tile: vis * np.stack([source_factors(tile, x.name) for x in tile.sources]))


class ArraySkyGainInBulk(ArraySkyGain):
    def correct_visibilities(self, nodes, input_nodes, sources, **kw):
        return ArrayProcess(lambda vis, tile: vis / np.stack([source_factors(tile, x.name) for x in tile.sources]))


class ArraySkyGainForDirection(ArraySkyGain):
    def correct_visibilities_for_direction(self, nodes, input_nodes, source, **kw):
        return ArrayProcess(lambda vis, tile: vis / source_factors(tile, source.name))


def source_factors(observation, name):
    tile = observation if hasattr(observation, "time_index") else tile_of(observation)
    pairs = zip(tile.antenna1, tile.antenna2, strict=True)
    return np.array([by_source(name, tile.stations[p], tile.stations[q]) for p, q in pairs])[:, None, None, None]


@pytest.mark.parametrize("module", [SkyGain, ArraySkyGain])
def test_W1_W4_each_source_by_itself(observation, sky, module):
    alone = made(observation, sky)
    expected = sum(predicted(alone, sources=[x]) * source_factors(observation, x.name) for x in sky.source_list())
    agree(predicted(made(observation, sky, S=module())), expected)


@pytest.mark.parametrize("module", [SkyGainInBulk, SkyGainForDirection, SkyGainBoth, ArraySkyGainInBulk,
                                    ArraySkyGainForDirection])  # fmt: skip
def test_W2_W3_bulk_and_direction_from_each_other(observation, sky, module):
    maker, tile = made(observation, sky, S=module()), tile_of(observation)
    one = maker.make_predict_tree(sources=["polarised"])
    corrected = maker.correct_uv_data(None, one, sky_correct="polarised").evaluate(tile)[0]
    agree(corrected, predicted(made(observation, sky), sources=["polarised"]), 1e-14)
    sources = sky.source_list()[:2]
    data = np.stack([random_data(observation, seed) for seed in (1, 2)])
    bulk = maker.sky_inverse(maker.term("S"), None, sources)
    vis, _ = bulk.apply(data.copy(), tile.with_sources(sources))
    for one, before, x in zip(vis, data, sources, strict=True):
        agree(one, before / source_factors(observation, x.name), 1e-14)


def test_W3_no_inverse_no_correction(observation, sky):
    maker, tile = made(observation, sky, S=SkyGain()), tile_of(observation)
    one = maker.make_predict_tree(sources=["odd"])
    agree(maker.correct_uv_data(None, one, sky_correct="odd").evaluate(tile)[0], one.evaluate(tile)[0], 1e-15)


# What is wrong, in one message each ----------------------------------------------------------------------


def test_a_module_that_raises(observation, sky):
    def broken(Jones, **kw):
        return cmath.exp(1)  # noqa: F821

    with pytest.raises(ContractError, match=r"compute_jones of Gives failed.(?s:.*)NameError: name 'cmath'(?s:.*)rows"):
        made(observation, sky, G=Gives(broken)).make_predict_tree()


def test_nodes_that_are_left_undefined(observation, sky):
    def forgotten(Jones, stations=None, **kw):
        for p in stations:
            Jones(p) << Meq.Polar(1, Jones.Subscope().phase(p))
        return Jones

    with pytest.raises(UndefinedNodeError, match="G::phase"):
        predicted(made(observation, sky, G=Gives(forgotten)))
    with pytest.raises(ContractError, match="G is there for no station"):
        predicted(made(observation, sky, G=Gives(lambda Jones, **kw: Jones)))

    class Half(NodeGain):
        def process_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
            return super().process_visibilities(nodes, input_nodes, ifrs[1:], **kw)

    with pytest.raises(ContractError, match="leaves visibilities undefined"):
        made(observation, sky, P=Half()).make_predict_tree()
    with pytest.raises(ContractError, match="nothing that processes"):
        made(observation, sky, P=types.SimpleNamespace(process_visibilities=lambda *a, **kw: 1)).make_predict_tree()


def test_a_division_by_zero_names_the_node(observation, sky):
    def dead(Jones, stations=None, **kw):
        for p in stations:
            Jones(p) << 1 / (Meq.Freq() * 0)
        return Jones

    with pytest.raises(DivisionByZeroError, match="divides by zero"):
        predicted(made(observation, sky, G=Gives(dead)))


@pytest.mark.parametrize("wrong", [3.0, "gain", [1, 2]])
def test_what_is_no_jones_term(observation, sky, wrong):
    with pytest.raises(ContractError, match="returned no Jones term"):
        made(observation, sky, G=Gives(lambda *_, **kw: wrong)).make_predict_tree()


def test_what_is_no_matrix_and_no_list_of_sources(observation, sky):
    def vector(Jones, stations=None, **kw):
        for p in stations:
            Jones(p) << Meq.Composer(1, 2, 3)
        return Jones

    with pytest.raises(ContractError, match="neither a number nor a matrix"):
        predicted(made(observation, sky, G=Gives(vector)))
    maker = MeqMaker(context=observation)
    maker.add_sky_models(types.SimpleNamespace(source_list=lambda **kw: None))
    with pytest.raises(ContractError, match="returned no list"):
        maker.get_source_list()
    maker = MeqMaker(context=observation)
    maker.add_sky_models(types.SimpleNamespace(source_list=lambda **kw: ["3C 286"]))
    with pytest.raises(ContractError, match="no source"):
        maker.make_predict_tree()


def test_matrices_without_an_inverse_are_flagged_and_counted(observation, sky):
    def dead(Jones, stations=None, **kw):
        for i, p in enumerate(stations):
            Jones(p) << Meq.Matrix22(1, 2, 2, 4 if i == 1 else 5)
        return Jones

    maker, data, tile = made(observation, sky, G=Gives(dead)), random_data(observation), tile_of(observation)
    tree = maker.correct_uv_data(None, Data(data))
    vis, flag = tree.evaluate(tile)
    bad = (tile.antenna1 == 1) | (tile.antenna2 == 1)
    np.testing.assert_array_equal(flag, bad[:, None].repeat(6, 1))
    assert tree.singular == 6 * bad.sum()
    np.testing.assert_array_equal(vis[bad], data[bad])


def test_unknown_terms_and_an_error_of_the_user(observation):
    with pytest.raises(ImagingError, match="no term X"):
        MeqMaker(context=observation).term("X")
