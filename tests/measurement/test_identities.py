"""What holds for every measurement equation: algebra that random chains of terms, skies and processors must keep.

The terms are invertible (condition below 4), differ by source and station, and vary with time and frequency; skies
have points and Gaussians, polarised by more than their intensity or negative too.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaging.algorithms import simulation
from imaging.algorithms.components import Component
from imaging.algorithms.jones import as_kind
from imaging.image import lm_to_radec
from imaging.measurement.contracts import ArrayJones, ArrayProcess, name_of
from imaging.measurement.expressions import Meq
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.tiles import Observation
from imaging.measurement.trees import Data
from imaging.measurement.visibilities.errors import IfrGains, ThermalNoise
from imaging.units import SPEED_OF_LIGHT

CENTRE = (1.2, 0.6)
START = 59000 * 86400.0  # near the times: phases of many turns are not exact
KINDS = ("scalar", "diagonal", "full")
H = np.array([[1, 1j], [1, -1j]]) / np.sqrt(2)  # linear to circular
few = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def random_of(seed, *names):
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


def unitary(rng):
    return np.linalg.qr(rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2)))[0]


@dataclass
class Term:
    """Jones matrices of a kind, each station's and source's its own. `sizes`: of what they are multiplied by."""

    kind: str
    seed: int
    sizes: tuple[float, float] = (0.5, 2.0)
    dialect: str = "arrays"
    everywhere: bool = False  # the same for all stations and sources
    turned: bool = False  # of circular feeds

    def numbers(self, *names):
        """Sizes (2,), turns (3, 2): constant, with time and with frequency; what stands left and right of them."""
        rng = random_of(self.seed, *([] if self.everywhere else names))
        sizes, turns = rng.uniform(*self.sizes, 2), rng.uniform(-3, 3, (3, 2))
        left, right = (unitary(rng), unitary(rng)) if self.kind == "full" else (np.eye(2), np.eye(2))
        return sizes, turns, *((H @ left, right @ H.conj().T) if self.turned else (left, right))

    def matrix(self, tile, *names):
        sizes, turns, left, right = self.numbers(*names)
        turn = turns[0] + turns[1] * (tile.t[..., None] - START) / 600 + turns[2] * 20 * (tile.nu[:, None] / 1.4e9 - 1)
        entries = sizes * np.exp(1j * turn)  # (time, chan, 2)
        if self.kind == "scalar":
            return entries[..., 0]
        if self.kind == "diagonal" and not self.turned:
            return entries
        return left @ (entries[..., None] * right)

    def node(self, *names):
        """The same in nodes."""
        sizes, turns, left, right = self.numbers(*names)
        time, band = (Meq.Time() - START) / 600, (Meq.Freq() / 1.4e9 - 1) * 20
        a, b = (Meq.Polar(size, x + y * time + z * band) for size, (x, y, z) in zip(sizes, turns.T, strict=True))
        if self.kind == "scalar":
            return a
        diagonal = Meq.Matrix22(a, 0, 0, b)
        if self.kind == "diagonal" and not self.turned:
            return diagonal
        left, right = (Meq.Matrix22(*map(complex, x.ravel())) for x in (left, right))
        return Meq.MatrixMultiply(left, diagonal, right)

    def compute_jones(self, Jones, sources=None, stations=None, **kw):
        kind = "full" if self.turned and self.kind == "diagonal" else self.kind
        directions = [()] if sources is None else [(name_of(x),) for x in sources]
        if self.dialect == "nodes":
            for x in directions:
                for p in stations:
                    Jones(*x, p) << self.node(*x, p)
            return Jones
        if self.dialect == "callables":
            return lambda *which: self._one(*which) if sources is None or len(which) == 2 else (
                lambda p: self._one(which[0], p))  # fmt: skip

        def fn(tile):
            directions = [()] if sources is None else [(name_of(x),) for x in tile.sources]
            made = np.array([[self.matrix(tile, *x, p) for p in tile.stations] for x in directions])
            return made[0] if sources is None else made

        return ArrayJones(fn, kind, sources=sources)

    def _one(self, *which):
        class Node:
            evaluate = staticmethod(lambda tile: self.matrix(tile, *map(name_of, which)))

        return Node


class Identity:
    def __init__(self, kind):
        self.kind = kind

    def compute_jones(self, Jones, sources=None, **kw):
        ones = {"scalar": 1, "diagonal": [1, 1], "full": np.eye(2)}[self.kind]
        return ArrayJones(lambda tile: np.array(ones, complex), self.kind, sources=sources)


class Nothing:
    def compute_jones(self, Jones, **kw):
        return None

    def process_visibilities(self, nodes, input_nodes, **kw):
        return None


class Mixed:
    """A reversible processor that mixes the four correlations, by baseline; of one source where it is of the sky."""

    def __init__(self, seed):
        self.seed = seed

    def through(self, vis, tile, inverse=False, names=("",)):
        pairs = [f"{tile.stations[p]}:{tile.stations[q]}" for p, q in zip(tile.antenna1, tile.antenna2, strict=True)]
        tables = {}
        for pair in set(pairs):
            each = [np.eye(4) + 0.15 * random_of(self.seed, name, pair).normal(size=(4, 4)) for name in names]
            tables[pair] = np.array([np.linalg.inv(one) if inverse else one for one in each])
        matrix = np.stack([tables[pair] for pair in pairs], 1)[:, :, None]  # (name, row, 1, 4, 4)
        flat = vis.reshape(len(names), *vis.shape[-4:-2], 4, 1)
        return (matrix @ flat).reshape(vis.shape)

    def process_visibilities(self, nodes, input_nodes, sources=None, **kw):
        if sources is None:
            return ArrayProcess(self.through)
        return ArrayProcess(lambda vis, tile: self.through(vis, tile, False, [x.name for x in tile.sources]))

    def correct_visibilities(self, nodes, input_nodes, **kw):
        return ArrayProcess(lambda vis, tile: self.through(vis, tile, inverse=True))

    def correct_visibilities_for_direction(self, nodes, input_nodes, source, **kw):
        return ArrayProcess(lambda vis, tile: self.through(vis, tile, True, [source.name]))


class Bias(Mixed):
    def through(self, vis, tile, inverse=False, names=("",)):
        return vis + (-1) ** inverse * random_of(self.seed).normal(size=(2, 2))


@dataclass(frozen=True)
class Case:
    """An equation to be made, and what it is evaluated on."""

    sky: tuple
    uv: tuple
    seed: int
    sources: int = 3
    extended: bool = False
    smearing: bool = False
    feeds: str = "linear"

    def observation(self, **changes):
        positions, names = simulation.vla_antennas("d", 4)
        hours = np.array([-0.7, 0.1, 0.8])
        time = simulation.time_of_hour_angle(hours, CENTRE[0], simulation.VLA_LONGITUDE, 59000.0)
        p, q, time, uvw = simulation.baseline_tracks(positions, time, CENTRE)
        return Observation(**{
            "stations": tuple(names), "antenna1": p, "antenna2": q, "time": time, "uvw": uvw, "width": 5e6,
            "freq": np.linspace(1.3e9, 1.5e9, 5), "interval": 30.0, "phase_centre": CENTRE, "feeds": self.feeds,
        } | changes)  # fmt: skip

    def components(self):
        found = []
        for number in range(self.sources):
            rng = random_of(self.seed, "sky", number)
            ra, dec = lm_to_radec(*rng.uniform(-0.01, 0.01, 2), CENTRE)
            size = {"major": 2e-4, "minor": 1e-4, "pa": 1.0} if self.extended and number % 2 == 0 else {}
            found.append(Component(f"s{number}", float(ra), float(dec), tuple(rng.normal(0, 1, 4)),
                                   (float(rng.uniform(-1, 1)),), 1.4e9, **size))  # fmt: skip
        return found

    def maker(self, observation=None, components=None, sky=None, uv=None, after=(), per_source=(), **more):
        """Terms instead of the case's own, where given."""
        context = observation or self.observation()
        maker = MeqMaker(context=context, smearing=self.smearing, **more)
        maker.add_sky_models(ComponentSky(self.components() if components is None else components))
        for number, module in enumerate(self.sky if sky is None else sky):
            maker.add_sky_jones(f"E{number}", modules=module)
        for number, module in enumerate(self.uv if uv is None else uv):
            maker.add_uv_jones(f"G{number}", modules=module)
        for number, module in enumerate(after):
            maker.add_vis_proc_module(f"P{number}", modules=module)
        for number, module in enumerate(per_source):
            maker.add_sky_vis_proc_module(f"S{number}", modules=module)
        return maker

    def predicted(self, observation=None, *, of=None, **how):
        maker = self.maker(observation, **how)
        return maker.make_predict_tree(sources=of).evaluate(next(maker.context.tiles())[1])[0]


def terms(kinds=KINDS, max_size=3):
    one = st.builds(
        Term, st.sampled_from(kinds), st.integers(0, 2**20), dialect=st.sampled_from(["arrays", "callables", "nodes"])
    )
    return st.lists(one, max_size=max_size).map(tuple)


cases = st.builds(Case, terms(), terms(), st.integers(0, 2**20), st.integers(1, 4), st.booleans(), st.booleans(),
                  st.sampled_from(["linear", "circular"]))  # fmt: skip


def agree(a, b, tolerance=1e-11):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(), 1e-300))


def differ(a, b):
    assert np.abs(a - b).max() > 1e-3 * np.abs(b).max()


def put(terms, place, term):
    place = min(place, len(terms))
    return (*terms[:place], term, *terms[place:])


@few
@given(cases, st.integers(0, 2**20), st.integers(0, 3), st.integers(0, 3), st.sampled_from(["sky", "uv"]))
def test_a_scalar_may_stand_anywhere_among_its_like(case, seed, here, there, where):
    scalar, chain = Term("scalar", seed), getattr(case, where)
    agree(case.predicted(**{where: put(chain, here, scalar)}), case.predicted(**{where: put(chain, there, scalar)}))


@few
@given(cases, st.integers(0, 2**20), st.integers(0, 3), st.integers(0, 3))
def test_a_scalar_that_all_sources_share_may_stand_on_either_side(case, seed, here, there):
    scalar = Term("scalar", seed, everywhere=True)
    agree(case.predicted(sky=put(case.sky, here, scalar)), case.predicted(uv=put(case.uv, there, scalar)))


@few
@given(cases, st.lists(st.sampled_from(KINDS), min_size=2, max_size=3), st.integers(0, 2**20))
def test_the_outermost_sky_terms_are_the_innermost_uv_terms(case, kinds, seed):
    """Where all sources share them; in the same order."""
    shared = tuple(Term(kind, seed + number, everywhere=True) for number, kind in enumerate(("full", *kinds)))
    agree(case.predicted(sky=(*case.sky, *shared)), case.predicted(uv=(*shared, *case.uv)))


@few
@given(cases, st.integers(0, 2**20), st.integers(0, 2**20), st.integers(0, 3), st.sampled_from(["sky", "uv"]))
def test_neighbouring_diagonals_commute_and_full_matrices_do_not(case, seed, other, place, where):
    chain = getattr(case, where)

    def through(first, second):
        return case.predicted(**{where: put(put(chain, place, second), place, first)})

    a, b, full = Term("diagonal", seed), Term("diagonal", other), Term("full", other)
    agree(through(a, b), through(b, a))
    differ(through(a, full), through(full, a))


@few
@given(cases)
def test_circular_feeds_are_linear_ones_turned(case):
    linear, circular = replace(case, feeds="linear"), replace(case, feeds="circular")
    turned = {name: tuple(replace(x, turned=True) for x in getattr(case, name)) for name in ("sky", "uv")}
    agree(circular.predicted(**turned), H @ linear.predicted() @ H.conj().T)


@few
@given(cases, st.lists(st.sampled_from([IfrGains(0.1), Mixed(1), Bias(2)]), max_size=3))
def test_corrupting_is_undone_by_correcting(case, after):
    maker, rng = case.maker(after=after), random_of(case.seed)
    tile = next(maker.context.tiles())[1]
    shape = (len(tile.uvw), len(tile.freq), 2, 2)
    data = Data(rng.normal(size=shape) + 1j * rng.normal(size=shape))
    corrupted = maker.corrupt_uv_data(None, data)
    tree = maker.correct_uv_data(None, corrupted)
    vis, flag = tree.evaluate(tile)
    agree(vis, data.vis, 1e-10)
    assert not flag.any()
    assert tree.singular == 0
    if case.uv or after:
        differ(corrupted.evaluate(tile)[0], data.vis)
    again, _ = maker.corrupt_uv_data(None, Data(maker.correct_uv_data(None, data).evaluate(tile)[0])).evaluate(tile)
    agree(again, data.vis, 1e-10)


@few
@given(cases, st.lists(st.sampled_from([IfrGains(0.1), Mixed(1)]), max_size=2),
       st.lists(st.sampled_from([Mixed(3), Bias(4)]), max_size=2))  # fmt: skip
def test_a_source_is_corrected_to_its_fringe_and_brightness(case, after, per_source):
    maker = case.maker(after=after, per_source=per_source)
    tile = next(maker.context.tiles())[1]
    for source in maker.get_source_list():
        tree = maker.correct_uv_data(None, maker.make_predict_tree(sources=[source]), sky_correct=source)
        vis, flag = tree.evaluate(tile)
        agree(vis, case.predicted(of=[source.name], sky=(), uv=()), 1e-10)
        assert not flag.any()


@few
@given(cases, st.sampled_from(["diagonal", "full"]), st.integers(0, 2**20), st.booleans())
def test_unitary_terms_keep_the_trace_or_the_norm(case, kind, seed, everywhere):
    """The same at all stations, sum and trace commute; each station's own leaves the power of a visibility."""
    term = Term(kind, seed, sizes=(1.0, 1.0), everywhere=everywhere)
    before, after = case.predicted(), case.predicted(uv=(*case.uv, term))
    if everywhere:
        agree(np.trace(after, axis1=2, axis2=3), np.trace(before, axis1=2, axis2=3))
    agree(np.linalg.norm(after, axis=(2, 3)), np.linalg.norm(before, axis=(2, 3)))
    if kind == "full":
        differ(after, before)


@few
@given(cases, st.sampled_from(["arrays", "callables", "nodes"]))
def test_the_dialect_is_nothing(case, dialect):
    chains = {name: tuple(replace(x, dialect=dialect) for x in getattr(case, name)) for name in ("sky", "uv")}
    agree(case.predicted(**chains), case.predicted(), 1e-12)


@few
@given(cases)
def test_row_by_row_is_the_product_over_stations(case):
    agree(case.predicted(use_decomposition=False), case.predicted())


@few
@given(cases, st.integers(0, 15), st.booleans())
def test_the_sum_of_parts_is_the_whole(case, some, processed):
    """However sources are divided; what is done source by source included."""
    names = [x.name for x in case.components()]
    ours = [name for number, name in enumerate(names) if some >> number & 1]
    rest, how = [name for name in names if name not in ours], {"per_source": [Mixed(5)] if processed else []}
    agree(case.predicted(of=ours, **how) + case.predicted(of=rest, **how), case.predicted(**how))


@few
@given(cases, st.integers(0, 15), st.integers(0, 2**20), st.sampled_from(KINDS), st.integers(0, 3))
def test_a_term_for_some_directions_is_the_masked_sum(case, some, seed, kind, place):
    chain = put(case.sky, place, Term(kind, seed))
    ours = [x.name for number, x in enumerate(case.components()) if some >> number & 1]
    rest = [x.name for x in case.components() if x.name not in ours]
    maker = case.maker(sky=chain)
    maker.term(f"E{min(place, len(case.sky))}").subset = lambda x: x.name in ours
    vis = maker.make_predict_tree().evaluate(next(maker.context.tiles())[1])[0]
    agree(vis, case.predicted(of=ours, sky=chain) + case.predicted(of=rest))


@few
@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_sources_and_rows_is_nothing(case, random):
    components, whole = case.components(), case.predicted()
    random.shuffle(components)
    agree(case.predicted(components=components), whole, 1e-12)
    observation = case.observation()
    order = list(range(len(observation.time)))
    random.shuffle(order)
    rows = {name: getattr(observation, name)[order] for name in ("antenna1", "antenna2", "time", "uvw")}
    agree(case.predicted(case.observation(**rows)), whole[order], 1e-12)


@few
@given(cases, st.booleans())
def test_a_baseline_the_other_way_round_is_the_conjugate_transpose(case, gains):
    observation, after = case.observation(), [IfrGains(0.1)] if gains else []
    turned = case.observation(antenna1=observation.antenna2, antenna2=observation.antenna1, uvw=-observation.uvw)
    agree(case.predicted(turned, after=after), case.predicted(after=after).conj().swapaxes(2, 3), 1e-12)


@few
@given(cases, st.sampled_from(KINDS), st.integers(0, 3), st.sampled_from(["sky", "uv"]))
def test_a_module_that_does_nothing_is_as_good_as_none(case, kind, place, where):
    without, chain = case.predicted(), getattr(case, where)
    nothing = case.predicted(**{where: put(chain, place, Nothing())})
    np.testing.assert_array_equal(nothing, without)
    agree(case.predicted(**{where: put(chain, place, Identity(kind))}), without, 1e-14)
    np.testing.assert_array_equal(case.predicted(after=[Nothing()]), without)
    agree(case.predicted(per_source=[Nothing()]), without, 1e-12)
    maker = case.maker(**{where: put(chain, place, Nothing())}, after=[Nothing()])
    tile = next(maker.context.tiles())[1]
    back = maker.correct_uv_data(None, maker.make_predict_tree()).evaluate(tile)[0]
    plain = case.maker()
    np.testing.assert_array_equal(back, plain.correct_uv_data(None, plain.make_predict_tree()).evaluate(tile)[0])


@few
@given(cases, st.integers(1, 2))
def test_tiles_of_time_do_not_show(case, times):
    maker = case.maker(after=[IfrGains(0.1), ThermalNoise(rms=0.5)])
    tree = maker.make_predict_tree()
    whole = tree.evaluate(next(maker.context.tiles())[1])[0]
    for rows, tile in maker.context.tiles(times):
        agree(tree.evaluate(tile)[0], whole[rows], 1e-13)


@few
@given(cases, st.integers(1, 4))
def test_a_part_of_the_band_is_that_part(case, chans):
    """Fringes of neighbouring channels follow from one another."""
    vis, observation = case.predicted(), case.observation()
    agree(case.predicted(case.observation(freq=observation.freq[:chans])), vis[:, :chans], 1e-12)
    agree(case.predicted(case.observation(freq=observation.freq[chans:])), vis[:, chans:], 1e-12)


@few
@given(cases, st.lists(st.integers(0, 17), max_size=30), st.booleans())
def test_any_rows_will_do(case, rows, autocorrelations):
    """Some baselines, in any order, some twice, stations without any; each station with itself."""
    observation, whole, rows = case.observation(), case.predicted(), np.array(rows, int)
    columns = {name: getattr(observation, name)[rows] for name in ("antenna1", "antenna2", "time", "uvw")}
    if autocorrelations:
        time = np.repeat(np.unique(observation.time), 4)
        own = {"antenna1": np.tile(np.arange(4), 3), "antenna2": np.tile(np.arange(4), 3), "time": time}
        own["uvw"] = np.zeros((12, 3))
        columns = {name: np.concatenate([own[name], columns[name]]) for name in columns}
    if not len(columns["time"]):
        return
    for decomposition in (None, False):
        vis = case.predicted(case.observation(**columns), use_decomposition=decomposition)
        if autocorrelations:
            vis, alone = vis[12:], vis[:12]
            agree(alone, alone.conj().swapaxes(2, 3), 1e-12)
        np.testing.assert_allclose(vis, whole[rows], rtol=0, atol=1e-12 * np.abs(whole).max())


def test_uvw_that_are_nearly_differences_of_stations_cost_their_misfit():
    """Rounded in the set: the product over stations then moves them by less than 1e-6 m, and no phase by more."""
    case = Case((), (), 5, sources=1)
    exact = case.observation()
    rounded = case.observation(uvw=exact.uvw + random_of(1).uniform(-6e-7, 6e-7, exact.uvw.shape))
    assert next(rounded.tiles())[1].stations_uvw is not None
    vis, plain = case.predicted(rounded), case.predicted(rounded, use_decomposition=False)
    l, m, n = ComponentSky(case.components()).source_list()[0].lmn(CENTRE)
    phase = 2 * np.pi * exact.freq.max() / SPEED_OF_LIGHT * 1e-6 * (abs(l) + abs(m) + abs(n - 1))
    assert np.abs(vis - plain).max() < phase * np.abs(plain).max()
    assert np.abs(vis - plain).max() > 1e-11 * np.abs(plain).max()
    torn = case.observation(uvw=exact.uvw + random_of(1).uniform(-1e-5, 1e-5, exact.uvw.shape))
    agree(case.predicted(torn), case.predicted(torn, use_decomposition=False), 1e-12)


@pytest.mark.parametrize("decomposition", [None, False])
def test_many_channels_are_as_good_as_one(decomposition):
    """Thousands of turns across the band: fringes that follow from one another do not drift away."""
    case = Case((), (), 5, sources=4, extended=True)
    positions, _ = simulation.vla_antennas("a", 4)
    times = np.unique(case.observation().time)
    uvw, freq = simulation.baseline_tracks(positions, times, CENTRE)[3], np.linspace(1.0e9, 2.0e9, 257)

    def predicted(freq):
        return case.predicted(case.observation(uvw=uvw, freq=freq), use_decomposition=decomposition)

    vis = predicted(freq)
    for chan in (0, 15, 16, 17, 100, 255, 256):
        agree(vis[:, chan : chan + 1], predicted(freq[chan : chan + 1]), 2e-12)
    agree(predicted(freq[::-1]), vis[:, ::-1], 2e-12)


@pytest.mark.parametrize("far", [30, 60, 89, 120])
def test_sources_far_from_the_centre(far):
    """l, m, n of the sphere, to beyond a right angle: against the scalar product of directions."""
    case = Case((), (), 5, sources=0)
    angle, observation = np.radians(far), case.observation()
    dec = CENTRE[1] - angle
    component = Component("s", CENTRE[0], dec, (1.0, 0, 0, 0))
    n, m = np.cos(angle), -np.sin(angle)
    turns = (observation.uvw[:, 1:2] * m + observation.uvw[:, 2:] * (n - 1)) * observation.freq / SPEED_OF_LIGHT
    for decomposition in (None, False):
        vis = case.predicted(observation, components=[component], use_decomposition=decomposition)
        agree(vis[..., 0, 0], np.exp(2j * np.pi * turns), 1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_the_terms_of_these_tests_are_what_they_say(kind):
    case = Case((), (), 1)
    tile = next(case.observation().tiles())[1]
    matrix = as_kind(Term(kind, 7).matrix(tile, "a"), kind, axes=2)
    values = np.linalg.svd(as_kind(matrix, "full", axes=2), compute_uv=False)
    assert 0.49 < values.min() < values.max() < 2.01
    assert np.abs(np.diff(matrix, axis=0)).min() > 1e-6
    assert np.abs(np.diff(matrix, axis=1)).min() > 1e-6
