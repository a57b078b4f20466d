"""What may be said of a term: which sources, whose stations, how large; and nodes among arrays."""

import random
from collections import defaultdict

import numpy as np
import pytest

from imaging.errors import ImagingError
from imaging.measurement import contracts, literal
from imaging.measurement.contracts import ArrayJones, ContractError
from imaging.measurement.expressions import Evaluator, Meq, NodeScope
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.terms import Bounds
from imaging.measurement.trees import Data


def tile_of(observation):
    return next(observation.tiles())[1]


def predicted(maker, **more):
    return maker.make_predict_tree(**more).evaluate(tile_of(maker.context))[0]


def agree(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


def maker_of(observation, sky=None, **more):
    maker = MeqMaker(context=observation, **more)
    if sky is not None:
        maker.add_sky_models(sky)
    return maker


class ByName:
    """A sky Jones of a number for each source, in either dialect."""

    solvable = False

    def __init__(self, numbers, dialect="nodes"):
        self.numbers, self.dialect, self.asked = numbers, dialect, []

    def compute_jones(self, Jones, sources, stations=None, **kw):
        self.asked = [x.name for x in sources]
        if self.dialect == "arrays":
            return ArrayJones(lambda tile: np.array([self.numbers[x.name] for x in tile.sources])[:, None, None, None],
                              "scalar", sources=sources)  # fmt: skip
        for x in sources:
            for p in stations:
                Jones(x, p) << self.numbers[x.name]
        return Jones


NUMBERS = {"centre": 2.0, "polarised": 3.0, "odd": 5.0}


def weighted(observation, sky, numbers):
    """The sum of the sources, each by its number squared."""
    plain = maker_of(observation, sky)
    return sum(number**2 * predicted(plain, sources=[name]) for name, number in numbers.items())


@pytest.mark.parametrize("dialect", ["nodes", "arrays"])
@pytest.mark.parametrize(("subset", "asked"), [
    ("odd", ["odd"]), ("-odd", ["centre", "polarised"]), ("I>=0.8", ["centre", "polarised"]), ("r<1s", ["centre"]),
    ("=cluster", ["polarised", "odd"]), ("c* p*", ["centre", "polarised"]), ("nobody", []),
    (lambda x: x.name != "centre", ["polarised", "odd"]),
])  # fmt: skip
def test_a_term_for_some_sources_chosen_by_words(observe, sky, dialect, subset, asked):
    observation, module = observe(), ByName(NUMBERS, dialect)
    for x in sky.source_list()[1:]:
        x.set_attr("cluster", "odd")
    maker = maker_of(observation, sky)
    maker.add_sky_jones("E", modules=module, subset=subset)
    numbers = {name: NUMBERS[name] if name in asked else 1.0 for name in NUMBERS}
    agree(predicted(maker), weighted(observation, sky, numbers))
    assert module.asked == asked


@pytest.mark.parametrize("dialect", ["nodes", "arrays"])
@pytest.mark.parametrize(("per", "numbers", "asked"), [
    ("source", NUMBERS, ["centre", "polarised", "odd"]),
    ("model", dict.fromkeys(NUMBERS, 2.0), ["centre"]),
    ("cluster", {"centre": 2.0, "polarised": 5.0, "odd": 5.0}, ["centre", "odd"]),
])  # fmt: skip
def test_a_term_for_each_source_for_all_or_by_a_tag(observe, sky, dialect, per, numbers, asked):
    observation, module = observe(), ByName(NUMBERS, dialect)
    sky.source_list()[1].set_attr("cluster", "odd")
    maker = maker_of(observation, sky)
    maker.add_sky_jones("E", modules=module, unique=per)
    agree(predicted(maker), weighted(observation, sky, numbers))
    assert module.asked == asked
    alone = predicted(maker_of(observation, sky), sources=["polarised"])
    agree(predicted(maker, sources=["polarised"]), numbers["polarised"] ** 2 * alone)
    tree = maker.correct_uv_data(None, maker.make_predict_tree(sources=["polarised"]), sky_correct="polarised")
    agree(tree.evaluate(tile_of(observation))[0], alone)


def test_a_tag_that_names_no_source(observe, sky):
    sky.source_list()[1].set_attr("cluster", "nobody")
    maker = maker_of(observe(), sky)
    maker.add_sky_jones("E", modules=ByName(NUMBERS), unique="cluster")
    with pytest.raises(ImagingError, match="cluster of the source polarised"):
        maker.make_predict_tree()


GAINS = np.array([1.0, 0.01, 5.0, 1.0])


class Gains:
    def __init__(self, dialect):
        self.dialect = dialect

    def compute_jones(self, Jones, stations=None, **kw):
        if self.dialect == "arrays":
            matrix = GAINS[:, None, None, None, None] * np.array([[1, 0.5], [0, 1]])
            return ArrayJones(lambda tile: matrix, "full")
        for p, gain in zip(stations, GAINS, strict=True):
            Jones(p) << Meq.Matrix22(float(gain), 0.5 * float(gain), 0, float(gain))
        return Jones


@pytest.mark.parametrize("dialect", ["nodes", "arrays"])
@pytest.mark.parametrize(("bounds", "bad"), [
    (Bounds("diag", low=0.1), [1]), (Bounds("diag", high=4.0), [2]), (Bounds("diag", 0.1, 4.0, mean=True), [1, 2]),
    (Bounds("norm", low=1.4, high=2.0), [1, 2]), (Bounds("norm", low=1.51), [0, 1, 3]), (Bounds("abs", high=4.0), [2]),
    (Bounds("abs", low=0.1), [0, 1, 2, 3]), (None, []),
])  # fmt: skip
def test_matrices_out_of_bounds_are_flagged_where_they_are_corrected(observe, dialect, bounds, bad):
    observation = observe(stations=4)
    maker, tile = maker_of(observation), tile_of(observation)
    maker.add_uv_jones("G", modules=Gains(dialect), bounds=bounds)
    data = np.ones((len(tile.uvw), 6, 2, 2), complex)
    tree = maker.correct_uv_data(None, maker.corrupt_uv_data(None, Data(data)))
    vis, flag = tree.evaluate(tile)
    expected = np.isin(tile.antenna1, bad) | np.isin(tile.antenna2, bad)
    np.testing.assert_array_equal(flag, expected[:, None].repeat(6, 1))
    assert tree.out_of_bounds == 6 * expected.sum()
    agree(vis, data)
    unflagged = maker.correct_uv_data(None, Data(data), flag_jones=False).evaluate(tile)[1]
    assert not unflagged.any()


def test_bounds_of_no_size():
    with pytest.raises(ImagingError, match="Unknown size"):
        Bounds("trace")


def test_bounds_in_time_and_frequency(observe):
    observation = observe(stations=4)
    maker, tile = maker_of(observation), tile_of(observation)

    class Rising:
        def compute_jones(self, Jones, **kw):
            return ArrayJones(lambda tile: (tile.nu / tile.nu[0])[None, None], "scalar")

    for mean in (False, True):
        maker = maker_of(observation)
        maker.add_uv_jones("G", modules=Rising(), bounds=Bounds("abs", high=1.1, mean=mean))
        flag = maker.correct_uv_data(None, Data(np.ones((len(tile.uvw), 6, 2, 2)))).evaluate(tile)[1]
        expected = np.full(6, False) if mean else tile.freq / tile.freq[0] > 1.1
        np.testing.assert_array_equal(flag, np.broadcast_to(expected, flag.shape))


class Tensors(ByName):
    """The same by a tensor of all sources, of scalars or matrices, by station or one for all of them."""

    def __init__(self, kind):
        super().__init__(NUMBERS)
        self.kind = kind

    def compute_jones_tensor(self, Jones, sources, stations, lmn=None, **kw):
        self.asked = [x.name for x in sources]
        numbers = [self.numbers[x.name] for x in sources]
        if self.kind == "none":
            return None
        if self.kind == "one":
            Jones << Meq.Composer(*numbers) + 0 * Meq.Selector(lmn, index=[-1, 2])
            return Jones
        for p in stations:
            if self.kind == "scalar":
                Jones(p) << Meq.Composer(*numbers) * (1 + 0 * Meq.Freq())
            else:
                Jones(p) << Meq.Composer(*[n * Meq.Constant(np.eye(2)) for n in numbers], dims=[3, 2, 2])
        return Jones


@pytest.mark.parametrize("kind", ["scalar", "matrix", "one", "none"])
def test_tensors_of_all_sources(observe, sky, kind):
    observation, module = observe(), Tensors(kind)
    maker = maker_of(observation, sky, use_tensors=True)
    maker.add_sky_jones("E", modules=module)
    agree(predicted(maker), weighted(observation, sky, NUMBERS))
    agree(predicted(maker, sources=["odd"]), weighted(observation, sky, {"odd": 5.0}))
    assert module.asked == list(NUMBERS)


def test_a_tensor_of_a_wrong_shape(observe, sky):
    class Wrong(Tensors):
        def compute_jones_tensor(self, Jones, sources, stations, **kw):
            for p in stations:
                Jones(p) << Meq.Composer(1, 2)
            return Jones

    maker = maker_of(observe(), sky, use_tensors=True)
    maker.add_sky_jones("E", modules=Wrong("scalar"))
    with pytest.raises(ContractError, match="tensor of the Jones term E has the wrong shape"):
        predicted(maker)


def test_an_array_term_in_the_arithmetic_of_nodes(observe, sky):
    observation = observe(stations=4)
    first = ArrayJones(lambda tile: np.exp(1j * np.arange(4)[:, None, None] * tile.nu / 1e9), "scalar", name="phase")
    second = ArrayJones(lambda tile: tile.l * tile.m * 1e5 + np.arange(4)[:, None, None] + [[1j]], "scalar",
                        sources=sky.source_list(), name="slope")  # fmt: skip
    third = ArrayJones(lambda tile: np.array([1.0, 2j]), "diagonal", name="feeds")

    class Products:
        def compute_jones(self, Jones, sources, stations=None, **kw):
            for x in sources:
                for p in stations:
                    Jones(x, p) << Meq.MatrixMultiply(first(p) * 2 + second(x, p), third(p))
            return Jones

    maker = maker_of(observation, sky)
    maker.add_sky_jones("E", modules=Products())
    tile = tile_of(observation).with_sources(sky.source_list())
    array, has = contracts.sky_array(maker.get_skyjones_nodes("E"), tile)
    assert has.all()
    expected = (first.array(tile) * 2 + second.array(tile))[..., None] * [1.0, 2j]
    np.testing.assert_allclose(array, expected, rtol=1e-14)
    agree(predicted(maker), predicted(maker))


def test_an_evaluator_is_made_once_a_term_and_not_for_each_tile(observe, sky, monkeypatch):
    made = []
    monkeypatch.setattr(literal, "Evaluator", lambda roots: made.append(len(roots)) or Evaluator(roots))
    observation = observe(stations=4)
    maker = maker_of(observation, sky)
    maker.add_sky_jones("E", modules=ByName(NUMBERS))
    maker.add_uv_jones("G", modules=Gains("nodes"))
    tree = maker.make_predict_tree()
    for _, tile in observation.tiles(1):
        tree.evaluate(tile)
    assert made == [3, 3]  # one number a source for all stations; two of the four gains are the same


def test_sources_that_move(observe, meow):
    observation = observe(stations=4)

    class Moving:
        """A point whose l follows time, within nodes."""

        def source_list(self, ns, **kw):
            from Meow import LMDirection, PointSource

            l = ns.moving_l << 1e-3 + 1e-6 * (Meq.Time() - float(observation.time.min()))
            return [PointSource(ns, "m", LMDirection(ns, "m", l, 2e-3), I=2.0, Q=0.3)]

    def beam(Jones, sources, stations=None, **kw):
        for x in sources:
            for p in stations:
                Jones(x, p) << 1 + 100 * x.direction.l()
        return Jones

    maker = maker_of(observation, Moving(), strict=False)
    maker.add_sky_jones("E", modules=type("Beam", (), {"compute_jones": staticmethod(beam)})())
    tile = tile_of(observation)
    l = 1e-3 + 1e-6 * (tile.time[tile.time_index] - tile.time[0])
    lmn1 = np.stack([l, np.full_like(l, 2e-3), np.sqrt(1 - l * l - 4e-6) - 1])
    path = (tile.uvw * lmn1.T).sum(1)
    fringe = np.exp(2j * np.pi * path[:, None] * tile.freq / 299792458.0) * ((1 + 100 * l) ** 2)[:, None]
    agree(predicted(maker), fringe[..., None, None] * np.diag([2.3, 1.7]))
    assert maker.array_sources()[0].mean_lmn(tile)[0] == pytest.approx(np.unique(l).mean())


def test_nodes_as_data_and_noise_that_follows_from_the_seed(observe):
    observation = observe(stations=4)
    ns, tile = NodeScope(), tile_of(observation)
    for p, q in observation.ifrs():
        ns.flat(p, q) << Meq.Matrix22(1, 2j, 0, 3) * Meq.Freq() * 1e-9
        ns.scalar(p, q) << 2.0

    class Noise:
        def process_visibilities(self, nodes, input_nodes, ifrs=None, **kw):
            for p, q in ifrs:
                noise = nodes.Subscope().noise(p, q) << Meq.GaussNoise(stddev=1.0, dims=[2, 2], complex=True)
                nodes(p, q) << input_nodes(p, q) + noise
            return nodes

    expected = np.broadcast_to((tile.freq * 1e-9)[:, None, None] * np.array([[1, 2j], [0, 3]]), (18, 6, 2, 2))
    maker = maker_of(observation)
    agree(maker.corrupt_uv_data(ns, ns.flat).evaluate(tile)[0], expected)
    agree(maker.correct_uv_data(ns, ns.scalar).evaluate(tile)[0], np.broadcast_to(2 * np.eye(2), (18, 6, 2, 2)))
    drawn = []
    for seed in (1, 1, 2):
        noisy = maker_of(observation, seed=seed)
        noisy.add_vis_proc_module("N", modules=Noise())
        drawn.append(noisy.corrupt_uv_data(None, ns.flat).evaluate(tile)[0] - expected)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 0.5
    assert drawn[0].real.std() == pytest.approx(1.0, rel=0.1)
    assert len(np.unique(drawn[0].real.round(9))) == drawn[0].size


def test_generators_of_python_and_numpy_start_from_the_seed_and_are_put_back(observe):
    class Dice:
        def compute_jones(self, Jones, **kw):
            self.drawn = random.random(), np.random.uniform()  # noqa: NPY002

    drawn = []
    for seed in (1, 1, 2):
        maker, dice = maker_of(observe(), seed=seed), Dice()
        maker.add_uv_jones("G", modules=dice)
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        maker.make_predict_tree()
        drawn.append(dice.drawn)
        assert random.random() == random.Random(5).random()
        assert np.random.uniform() == np.random.RandomState(5).uniform()  # noqa: NPY002
    assert drawn[0] == drawn[1]
    assert not set(drawn[0]) & set(drawn[2])


def test_bookmarks_are_noted(observe, sky):
    observation = observe(stations=4)
    maker = maker_of(observation, sky)
    maker.add_uv_jones("G", modules=Gains("nodes"))
    tree, jones = maker.make_predict_tree(), maker.get_uvjones_nodes("G")
    maker.make_per_ifr_bookmarks(tree, "vis")
    maker.make_per_station_bookmarks(jones, "G")
    maker.make_per_source_per_station_bookmarks(jones, "E", sky.source_list())
    maker.make_bookmark_set(jones, [("a",)], "mine", "folder", freqmean=False)
    maker.correct_uv_data(None, tree, inspect_ifrs=observation.ifrs()[:2])
    assert [len(mark["quals"]) for mark in maker.bookmarks] == [6, 4, 12, 1, 2]
    assert maker.bookmarks[0]["labels"][0] == "-".join(observation.ifrs()[0])
    assert maker.bookmarks[3]["title"] == "mine"


def test_inspectors_that_share_a_name_are_kept_apart(observe):
    class Same:
        def compute_jones(self, Jones, inspectors=None, **kw):
            inspectors.append(("seen", lambda tile: np.zeros((1, 1, 1))))
            inspectors.append(Jones.Subscope().node << Meq.Composer(1.0, 2.0, Meq.Time()))
            inspectors.append(len)
            inspectors.append("a word")

    maker = maker_of(observe())
    maker.add_uv_jones("G", modules=Same())
    maker.add_uv_jones("H", modules=Same())
    maker.make_predict_tree()
    functions = maker.inspector_functions()
    assert list(functions) == ["seen", "G::node", "len", "seen'", "H::node", "len'"]
    assert functions["G::node"](tile_of(maker.context)).shape == (1, 3, 3)
    assert len(maker.get_inspectors()) == 8


@pytest.mark.parametrize("extended", [False, True])
def test_meow_sources_are_chosen_by_words_too(observe, meow, extended):
    class Sky:
        def source_list(self, ns, **kw):
            from Meow import LMDirection, PointSource

            made = [PointSource(ns, f"s{i}", LMDirection(ns, f"s{i}", 0.001 * i, 0.0), I=1.0 + i) for i in range(3)]
            made[2].set_attr("faint", extended)
            return made

    maker = maker_of(observe(), Sky(), strict=False)
    module = ByName({f"s{i}": 2.0 for i in range(3)})
    maker.add_sky_jones("E", modules=module, subset="I>=2 -r>1.5e-3 =faint")
    maker.make_predict_tree()
    assert module.asked == (["s1", "s2"] if extended else ["s1"])


def test_components_among_node_sources_have_one_list_of_names(observe, sky, meow, component):
    class One:
        def source_list(self, ns, **kw):
            from Meow import LMDirection, PointSource

            return [PointSource(ns, "node", LMDirection(ns, "node", 0.001, 0.002), I=1.5)]

    observation = observe()
    mixed = maker_of(observation, [sky, One()], strict=False)
    arrays = maker_of(observation, [sky, ComponentSky([component("node", 0.001, 0.002, (1.5, 0, 0, 0))])])
    agree(predicted(mixed), predicted(arrays))


def test_nodes_above_a_tree(observe, sky):
    observation, ns = observe(stations=4), NodeScope()
    maker, tile = maker_of(observation, sky), tile_of(observation)
    tree = maker.make_predict_tree(ns)
    for p, q in observation.ifrs():
        ns.visibility(p, q) << tree(p, q) * 2 + Meq.ConjTranspose(tree(q, p))
    vis = maker.corrupt_uv_data(ns, ns.visibility).evaluate(tile)[0]
    agree(vis, 3 * predicted(maker))


@pytest.mark.parametrize("kind", ["corrupted", "patch"])
def test_sources_of_nodes_that_are_neither_points_nor_gaussians(observe, meow, kind):
    """Summed by their own visibilities, through the terms of the direction that they name."""
    observation = observe(stations=4)
    gains = {p: 1.0 + 0.5j * i for i, p in enumerate(observation.stations)}

    class Sky:
        def source_list(self, ns, **kw):
            from Meow import LMDirection, Patch, PointSource

            made = [PointSource(ns, name, LMDirection(ns, name, l, 0.002), I=flux, Q=0.25)
                    for name, l, flux in (("a", 0.001, 2.0), ("b", -0.003, 1.0))]  # fmt: skip
            if kind == "patch":
                return [Patch(ns, "both", LMDirection(ns, "both", 0.0, 0.0), made)]
            for p, gain in gains.items():
                ns.gain(p) << gain
            return [made[0].corrupt(ns.gain), made[1]]

    class Points:
        def source_list(self, ns, **kw):
            from Meow import LMDirection, PointSource

            return [PointSource(ns, name, LMDirection(ns, name, l, 0.002), I=flux, Q=0.25)
                    for name, l, flux in (("a", 0.001, 2.0), ("b", -0.003, 1.0))]  # fmt: skip

    tile, one = tile_of(observation), ByName(defaultdict(lambda: 3.0))
    maker, plain = maker_of(observation, Sky(), strict=False), maker_of(observation, Points(), strict=False)
    maker.add_sky_jones("E", modules=one)
    first, second = (predicted(plain, sources=[name]) for name in "ab")
    if kind == "corrupted":
        g = np.array(list(gains.values()))
        first = first * (g[tile.antenna1] * g[tile.antenna2].conj())[:, None, None, None]
    agree(predicted(maker), 9 * (first + second))


def test_a_patch_has_no_autocorrelations(observe, meow):
    class Sky:
        def source_list(self, ns, **kw):
            from Meow import LMDirection, Patch, PointSource

            here = LMDirection(ns, "a", 0.001, 0.002)
            return [Patch(ns, "patch", here, [PointSource(ns, "a", here, I=1.0)])]

    observation = observe(stations=3, times=1)
    more = {"antenna1": np.append(observation.antenna1, 1), "antenna2": np.append(observation.antenna2, 1)}
    more |= {"time": np.append(observation.time, observation.time[0]), "uvw": np.vstack([observation.uvw, [0, 0, 0]])}
    with pytest.raises(ContractError, match="patch has no visibilities of the baseline"):
        maker_of(observe(stations=3, times=1, **more), Sky(), strict=False).make_predict_tree()
