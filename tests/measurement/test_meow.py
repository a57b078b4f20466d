"""Directions, sources and arrays as nodes, without any module that wants them."""

import sys

import numpy as np
import pytest

from imaging.errors import ImagingError
from imaging.measurement import compat
from imaging.measurement.contracts import ArrayPointings
from imaging.measurement.expressions import Meq, NodeScope, Tile, evaluate
from imaging.measurement.literal import node_tile
from imaging.measurement.meow import context, images, records
from imaging.measurement.meow.directions import AzElDirection, Direction, LMDirection, lm_to_radec, radec_to_lmn
from imaging.measurement.meow.images import voltages
from imaging.measurement.meow.jones import apply_correction, apply_corruption, gain_ap_matrix
from imaging.measurement.meow.observation import IfrArray, Observation
from imaging.measurement.meow.parameters import Parm, resolve_parameter
from imaging.measurement.meow.sources import GaussianSource, Patch, PointSource
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sources import meow_context

C = 299792458.0
STATIONS = ["a", "b", "c"]
POSITIONS = np.array([-1601185.4, -5041977.5, 3554875.9]) + 1000.0 * np.arange(9).reshape(3, 3)
CENTRE = (2.0, 0.5)
PLACE = np.random.default_rng(1).uniform(-2000, 2000, (3, 3, 4))  # station, uvw, time
TILE = Tile(
    58999.83 * 86400 + 300.0 * np.arange(4), np.array([1.0e9, 1.2e9]),
    columns={"UVW": {(p, q): PLACE[q] - PLACE[p] for p in range(3) for q in range(p + 1, 3)}},
)  # fmt: skip


@pytest.fixture
def ns(monkeypatch):
    monkeypatch.setattr(context, "array", None)
    monkeypatch.setattr(context, "observation", None)
    scope = NodeScope()
    context.set(IfrArray(scope, STATIONS, positions=POSITIONS), Observation(scope, phase_centre=CENTRE))
    yield scope
    context.set(observation=Observation(scope, linear=True))  # names of correlations as they were


def fringe(l, m, p=0, q=1):
    path = np.tensordot([l, m, np.sqrt(1 - l * l - m * m) - 1], PLACE[q] - PLACE[p], 1)
    return np.exp(2j * np.pi * path[:, None] * TILE.frequency / C)


def test_places_on_the_sky_and_back():
    ra, dec = lm_to_radec(0.01, -0.02, *CENTRE)
    np.testing.assert_allclose(radec_to_lmn(ra, dec, *CENTRE), [0.01, -0.02, np.sqrt(1 - 5e-4)], atol=1e-15)


@pytest.mark.parametrize("made", ["numbers", "nodes"])
def test_directions_know_themselves_in_every_way(ns, made):
    l, m = (0.01, -0.02) if made == "numbers" else (ns.given_l << 0.01, ns.given_m << -0.02)
    by_lm = LMDirection(ns, "x", l, m)
    ra, dec = evaluate(by_lm.radec(), TILE).squeeze()
    by_radec = Direction(ns, "y", ra, dec)
    for direction in (by_lm, by_radec):
        expected = np.array([0.01, -0.02, np.sqrt(1 - 5e-4)])
        found = evaluate([direction.lmn(), direction.lm(), direction.l(), direction.m(), direction.n(),
                          direction.lmn_1()], TILE)  # fmt: skip
        for value, wanted in zip(found, [expected, expected[:2], *expected, expected - [0, 0, 1]], strict=True):
            np.testing.assert_allclose(value.squeeze(), wanted, atol=1e-14)
    assert (by_lm.lmn_static() is None) == (made == "nodes")


def test_a_direction_about_another_one_than_the_phase_centre(ns):
    middle = Direction(ns, "middle", 2.1, 0.4)
    off = LMDirection(ns, "off", 0.01, 0.0, dir0=middle)
    expected = radec_to_lmn(*lm_to_radec(0.01, 0.0, 2.1, 0.4), *CENTRE)
    np.testing.assert_allclose(evaluate(off.lmn(), TILE).squeeze(), expected, atol=1e-14)
    np.testing.assert_allclose(evaluate(off.lm(middle), TILE).squeeze(), [0.01, 0], atol=1e-14)
    assert not middle.is_phase_centre()
    assert context.get_dir0().is_phase_centre()


def test_a_direction_fixed_to_the_ground_moves_over_the_sky(ns):
    fixed = AzElDirection(ns, "mast", 1.0, 0.7)
    radec = evaluate(fixed.radec(), TILE)
    assert np.ptp(radec[0]) > 0.01
    again = AzElDirection(ns, "again", 1.0, 0.7)
    ns.seen << Meq.AzEl(radec=again.radec(), xyz=context.array.xyz0())
    np.testing.assert_allclose(evaluate(ns.seen, TILE).squeeze().T, np.full((4, 2), [1.0, 0.7]), atol=1e-9)
    assert fixed.lmn_static() is None


def test_a_rotation_and_its_inverse(ns):
    centre = context.observation.phase_centre
    ns.both << Meq.MatrixMultiply(centre.pa_rot(), centre.pa_invrot())
    np.testing.assert_allclose(evaluate(ns.both, TILE)[:, :, 0, 0], np.eye(2), atol=1e-15)


def test_visibilities_of_points_and_patches(ns):
    one = PointSource(ns, "one", LMDirection(ns, "one", 0.004, -0.003), I=2.0, Q=0.1, U=0.2, V=0.3)
    middle = PointSource(ns, "middle", context.observation.phase_centre, I=5.0)
    both = Patch(ns, "both", context.observation.phase_centre, [one])
    both.add(middle)
    light = np.array([[2.1, 0.2 + 0.3j], [0.2 - 0.3j, 1.9]])[..., None, None]
    np.testing.assert_allclose(evaluate(one.visibilities()("a", "b"), TILE), light * fringe(0.004, -0.003), atol=1e-9)
    assert evaluate(middle.visibilities()("b", "c"), TILE).item() == 5
    assert not middle.is_polarized()
    expected = light * fringe(0.004, -0.003, 1, 2) + 5
    np.testing.assert_allclose(evaluate(both.visibilities()("b", "c"), TILE), expected, atol=1e-9)


def test_circular_feeds(ns):
    context.set(observation=Observation(ns, circular=True))
    assert context.correlations == ("RR", "RL", "LR", "LL")
    one = PointSource(ns, "one", LMDirection(ns, "one", 0, 0), I=2.0, Q=0.1, U=0.2, V=0.3)
    value = evaluate(ns.b << one.coherency()("a", "b"), TILE)[..., 0, 0]
    np.testing.assert_allclose(value, [[2.3, 0.1 + 0.2j], [0.1 - 0.2j, 1.7]])


def test_spectra_and_rotation_measures(ns):
    direction = LMDirection(ns, "one", 0, 0)
    one = PointSource(ns, "one", direction, I=2.0, Q=0.5, spi=[-0.7, 0.2], freq0=1e9, RM=10.0)
    x = TILE.frequency / 1e9
    spectrum, angle = x ** (-0.7 + 0.2 * np.log(x)), 20.0 * ((C / TILE.frequency) ** 2 - (C / 1e9) ** 2)
    value = evaluate(one.brightness(), TILE)[:, :, 0]
    np.testing.assert_allclose(value[0, 0], (2 + 0.5 * np.cos(angle)) * spectrum, rtol=1e-12)
    np.testing.assert_allclose(value[0, 1], 0.5 * np.sin(angle) * spectrum, rtol=1e-12, atol=1e-15)


def test_gaussians(ns):
    source = GaussianSource(ns, "g", LMDirection(ns, "g", 0.0, 0.0), I=3.0, size=(1e-4, 5e-5), phi=0.4)
    other = GaussianSource(ns, "h", LMDirection(ns, "h", 0.0, 0.0), I=3.0, lproj=1e-4 * np.sin(0.4),
                           mproj=1e-4 * np.cos(0.4), ratio=0.5)  # fmt: skip
    u, v, _ = (PLACE[1] - PLACE[0])[..., None] * TILE.frequency / C
    squares = (u * np.sin(0.4) + v * np.cos(0.4)) ** 2 + 0.25 * (u * np.cos(0.4) - v * np.sin(0.4)) ** 2
    expected = 3 * np.exp(-(np.pi**2) * 1e-8 / (4 * np.log(2)) * squares)
    for g in (source, other):
        np.testing.assert_allclose(evaluate(g.coherency()("a", "b"), TILE), expected, rtol=1e-10)
    assert other.shape_static() == [1e-4 * np.sin(0.4), 1e-4 * np.cos(0.4), 0.5]


def test_a_component_seen_through_jones_terms(ns):
    source = PointSource(ns, "s", LMDirection(ns, "s", 0.004, -0.003), I=2.0)
    for i, p in enumerate(STATIONS):
        ns.J(p) << Meq.Matrix22(1 + i, 0.1j, 0, 1)
    seen = source.corrupt(ns.J).visibilities()("a", "b")
    j = [np.array([[1 + i, 0.1j], [0, 1]]) for i in range(2)]
    expected = (j[0] @ j[1].conj().T)[..., None, None] * 2 * fringe(0.004, -0.003)
    np.testing.assert_allclose(evaluate(seen, TILE), expected, atol=1e-9)


def test_corruption_is_undone(ns):
    gain_ap_matrix(ns.G, 1.5, 0.3, series=STATIONS)
    for p in STATIONS:
        ns.D(p) << Meq.Matrix22(1, 0.1, -0.1j, 1)
    for p, q in context.array.ifrs():
        ns.vis(p, q) << Meq.Matrix22(1 + 2j, 3, 4j, 5)
    apply_corruption(ns.bad, ns.vis, [ns.G, ns.D])
    apply_correction(ns.good, ns.bad, [ns.G, ns.D])
    good, vis, bad = evaluate([node("a", "c") for node in (ns.good, ns.vis, ns.bad)], TILE)
    np.testing.assert_allclose(good, vis, rtol=1e-13)
    assert np.abs(bad - vis).max() > 1


def test_station_coordinates_read_or_computed(ns):
    array = context.array
    read = evaluate([array.uvw_ifr()(p, q) for p, q in array.ifrs()], TILE)
    np.testing.assert_allclose(read[2][..., 0], PLACE[2] - PLACE[1], rtol=1e-12)
    own = NodeScope()
    computed = IfrArray(own, STATIONS, positions=POSITIONS, ms_uvw=False)
    context.set(computed, Observation(own, phase_centre=CENTRE))
    own.direct << Meq.UVW(radec=Meq.Constant(CENTRE), xyz_0=Meq.Constant(POSITIONS[1]), xyz=Meq.Constant(POSITIONS[2]))
    found, direct = evaluate([computed.uvw_ifr()("b", "c"), own.direct], TILE)
    np.testing.assert_allclose(found, direct, atol=1e-6)
    assert [computed.number_of_station(p) for p in STATIONS] == [0, 1, 2]
    mirrored = IfrArray(NodeScope(), STATIONS, mirror_uvw=True)
    np.testing.assert_allclose(evaluate(mirrored.uvw()("b"), TILE)[..., 0], PLACE[0] - PLACE[1], rtol=1e-12)


def test_parts_of_an_array_keep_their_numbers(ns):
    some = IfrArray(NodeScope(), [(0, "a"), (2, "c")], positions=POSITIONS)
    np.testing.assert_array_equal(evaluate(some.xyz("c"), TILE).squeeze(), POSITIONS[2])
    np.testing.assert_allclose(evaluate(some.uvw()("c"), TILE)[..., 0], PLACE[2] - PLACE[0], rtol=1e-12)
    assert some.ifr_index() == [((0, "a"), (2, "c"))]


def test_parameters_are_tagged_and_may_be_given_with_the_tile(ns):
    solved = []
    node = resolve_parameter("gain", ns.gain, Parm(3.0, tags="G", tiling=2), tags="ampl", solvables=solved)
    assert node.tags == {"G", "ampl", "gain", "solvable"}
    assert solved == [node]
    assert node.initrec()["tiling"] == {"time": 2}
    assert resolve_parameter("other", ns.other, node) is node
    assert resolve_parameter("gain", ns.gain, 7.0) is node
    assert evaluate(node, TILE).item() == 3
    given = Tile(TILE.time, TILE.frequency, values={"gain": np.arange(4.0)})
    np.testing.assert_array_equal(evaluate(node, given), np.arange(4.0)[:, None])


def test_what_is_not_known_is_said(ns, monkeypatch):
    with pytest.raises(ImagingError, match="positions of the stations are not known"):
        IfrArray(ns, STATIONS).xyz("a")
    monkeypatch.setattr(context, "array", None)
    with pytest.raises(ImagingError, match="context has no array"):
        context.get_array()


def test_inspectors_and_the_selected_data(ns):
    for i, p in enumerate(STATIONS):
        ns.G(p) << Meq.Freq() * i
    ns.seen << records.define_inspector(ns.G, STATIONS, label="G")
    np.testing.assert_array_equal(evaluate(ns.seen, TILE).squeeze(), [0, 1.1e9, 2.2e9])
    assert ns.seen.initrec()["plot_label"] == ["G:a", "G:b", "G:c"]
    records.inspector(ns.mean, [ns.G("b"), ns.G("c")])
    np.testing.assert_array_equal(evaluate(ns.mean, TILE).squeeze(), [1.1e9, 2.2e9])
    selector, told = records.MSSelector(), []
    selector.when_changed(told.append)
    assert told == []
    selector.select("some.ms", ["ANT-a", "ANT-b"])
    assert told == ["some.ms"]
    assert selector.get_full_antenna_name("b") == "ANT-b"
    assert records.ListOptionParser(maxval=9, name="sources").parse_list("0 2,3 7:") == [0, 2, 3, 7, 8, 9]


def test_our_meow_is_found_under_its_name(ns):
    compat.install(meow=True)
    try:
        import Meow
        import Meow.Direction
        from Meow import Context
        from Meow.Direction import radec_to_lmn as found

        assert found is radec_to_lmn
        assert Context is context
        assert Meow.Direction is Direction
        assert Context.mssel.msname is None
        compat.install(meow=True)
    finally:
        compat.uninstall()
    assert "Meow" not in sys.modules


def test_another_meow_is_left_alone(monkeypatch):
    import types

    monkeypatch.setitem(sys.modules, "Meow", types.ModuleType("Meow"))
    try:
        compat.install()
        with pytest.raises(ImagingError, match="Another Meow"):
            compat.install(meow=True)
    finally:
        compat.uninstall()
    assert "Meow" in sys.modules


def test_a_jones_term_as_an_image(ns, monkeypatch):
    """In blocks smaller than the image; 0 outside the sky."""
    times = []

    def compute_jones(Jones, sources, stations, **kw):
        for s in sources:
            for i, p in enumerate(stations):
                l, m = s.direction.l(), s.direction.m()
                Jones(s, p) << Meq.Exp(-l * l - 2 * m) * Meq.Freq() * (1 + i * Meq.Time() * 1e-10)
        times.append(len(sources))
        return Jones

    monkeypatch.setattr(images, "CELLS", 16)  # of 4 times and 2 channels
    l, m = np.array([0, 0.1, -0.2, 0.8]), np.array([0, 0.2, 0.1, 0.9])
    image = voltages(compute_jones, l, m, TILE, STATIONS, ns=ns)
    assert image.shape == (4, 3, 4, 2)
    drift = 1 + np.arange(3)[:, None, None] * TILE.time[:, None] * 1e-10
    expected = np.exp(-l * l - 2 * m)[:, None, None, None] * TILE.frequency * drift
    np.testing.assert_allclose(image[:3], expected[:3], rtol=1e-12)
    assert not image[3].any()
    assert times == [1]
    ns.lonely << Meq.Grid(axis="l")
    with pytest.raises(ImagingError, match="asks for the axis l"):
        evaluate(ns.lonely, TILE)


def test_an_image_with_pointings_of_arrays(observe):
    """Offsets that change with time, given by a function of a tile, inside a term of nodes."""
    observation = observe(stations=3)
    ((_, tile),) = observation.tiles()
    start = tile.time[0]

    def offsets(tile):
        return np.stack([np.broadcast_to((tile.t - start) * 1e-6, (3, 3, 1)), np.zeros((3, 3, 1))], -1)

    pointings = ArrayPointings(offsets)

    def compute_jones(Jones, sources, stations, **kw):
        for s in sources:
            for p in stations:
                Jones(s, p) << Meq.Selector(s.direction.lm() - pointings(p), index=0)
        return Jones

    maker = MeqMaker(context=observation)
    with meow_context(maker.scope, observation):
        image = voltages(compute_jones, np.array([0.1, 0.2]), np.zeros(2), node_tile(tile), observation.stations,
                         ns=maker.scope)  # fmt: skip
    expected = np.array([0.1, 0.2])[:, None] - (tile.time - start) * 1e-6
    np.testing.assert_allclose(image[..., 0], np.broadcast_to(expected[:, None], (2, 3, 3)), rtol=1e-12)
