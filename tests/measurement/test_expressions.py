import numpy as np
import pytest

from imaging.measurement.expressions import Evaluator, Meq, NodeScope, NodeTags, Tile, evaluate
from imaging.measurement.expressions.errors import (
    DivisionByZeroError,
    ExpressionError,
    NodeRedefinedError,
    UndefinedNodeError,
    UnknownNodeTypeError,
)

TILE = Tile(np.array([0.0, 10.0, 20.0]), np.array([1.0e9, 1.1e9]))


class Source:
    name = "s0"


def test_a_qualified_node_is_one_object_however_it_is_asked_for():
    ns = NodeScope()
    assert ns.E("s0", "p") is ns.E("s0")("p") is ns.E(Source())("p") is ns["E"]("s0", "p")
    assert ns.E(Source(), k=1).name == "E:s0:k=1"
    assert ns.E("s0").basename == "E"
    assert ns.E("s0").quals == ("s0",)
    assert ns.E(1).qadd(ns.F("a", k=2), "b").name == "E:1:a:b:k=2"


def test_scopes_prefix_names_and_are_the_same_each_time():
    ns = NodeScope()
    assert ns.G("s0").Subscope().foo.name == "G:s0::foo"
    assert ns.E.Subscope().lm("S1", "s0").name == "E::lm:S1:s0"
    assert ns.E.Subscope().lm is ns.E.Subscope().lm
    assert ns.QualScope("a", k=1).x("b").name == "x:a:b:k=1"
    assert ns.Subscope("me").x.name == "me::x"


def test_binding_twice():
    ns = NodeScope()
    assert (ns.a << Meq.Sin(Meq.Time())) is ns.a
    ns.a << Meq.Sin(Meq.Time())
    ns.a**3
    assert ns.a.classname == "Sin"
    with pytest.raises(NodeRedefinedError, match=r"(?s)a is defined twice.*Cos.*test_expressions.*Sin"):
        ns.a << Meq.Cos(Meq.Time())
    ns.b = 4
    assert evaluate(ns.b**5, TILE)[0, 0] == 4


def test_arithmetic_and_the_shapes_of_values():
    ns = NodeScope()
    ns.time << Meq.Time
    ns.phase << 0.5 * ns.time / 10 - 1
    ns.gain << Meq.Matrix22(Meq.Polar(2, ns.phase), 0, 0, -Meq.Freq() * 1e-9)
    phase, gain = evaluate([ns.phase, ns.gain], TILE)
    assert phase.shape == (3, 1)
    np.testing.assert_allclose(phase[:, 0], [-1, -0.5, 0])
    assert gain.shape == (2, 2, 3, 2)
    np.testing.assert_allclose(gain[0, 0], 2 * np.exp(1j * phase) * np.ones(2))
    np.testing.assert_allclose(gain[1, 1], np.tile([-1, -1.1], (3, 1)))


def test_scalars_go_through_matrix_products_and_inverses_undo_them():
    ns = NodeScope()
    ns.m << Meq.Matrix22(1, Meq.Time() + 2j, 0.5, 3)
    ns.x << Meq.MatrixMultiply(2j, ns.m, Meq.MatrixInvert22(ns.m))
    ns.h << Meq.ConjTranspose(ns.m)
    x, h, m = evaluate([ns.x, ns.h, ns.m], Tile([10.0, 20.0], [1e9]))
    np.testing.assert_allclose(x, 2j * np.eye(2)[:, :, None, None] * np.ones(x.shape[-2:]), atol=1e-14)
    np.testing.assert_array_equal(h, m.conj().swapaxes(0, 1))


def test_composing_selecting_pasting():
    ns = NodeScope()
    ns.v << Meq.Composer(1, Meq.Time(), 3)
    ns.s << Meq.Selector(ns.v, index=1)
    ns.two << Meq.Selector(ns.v, index=[0, 2], multi=True)
    ns.p << Meq.Paster(ns.v, 9, index=2)
    ns.flat << Meq.Composer(ns.v, ns.s, dims=[0])
    s, two, p, flat = evaluate([ns.s, ns.two, ns.p, ns.flat], TILE)
    np.testing.assert_array_equal(s[:, 0], TILE.time)
    np.testing.assert_array_equal(two[:, 0, 0], [1, 3])
    np.testing.assert_array_equal(p[2], 9)
    assert flat.shape == (4, 3, 1)
    ns.joined << Meq.Composer(ns.two, 7)
    ns.one << Meq.Selector(Meq.Composer(5), index=0)
    joined, one = evaluate([ns.joined, ns.one], TILE)
    np.testing.assert_array_equal(joined[:, 0, 0], [1, 3, 7])
    assert one.shape == (1, 1)


def test_each_node_is_computed_once_and_constants_once_for_all_tiles(monkeypatch):
    from imaging.measurement.expressions import evaluation, node_types  # noqa: F401

    calls = []
    kind = evaluation.NODE_TYPES["Sin"]
    counting = evaluation.NodeType(lambda node, tile, x: calls.append(node.name) or np.sin(x), kind.varies)
    monkeypatch.setitem(evaluation.NODE_TYPES, "Sin", counting)
    ns = NodeScope()
    ns.a << Meq.Sin(Meq.Time()) + Meq.Sin(Meq.Time()) * Meq.Sin(0.3)
    run = Evaluator([ns.a, ns.a])
    run(TILE)
    run(TILE)
    assert len(calls) == 3  # Sin(Time) on each tile, Sin(0.3) once


def test_search_by_tags():
    ns = NodeScope()
    ns.a("x") << Meq.Parm(1.0, tags=NodeTags("gain") + "solvable")
    ns.b << Meq.Parm(2.0, tags="gain fixed")
    ns.c << ns.a("x") * ns.b
    assert ns.Search(tags="solvable") == [ns.a("x")]
    assert {node.name for node in ns.c.search(tags=["gain"])} == {"a:x", "b"}
    assert ns.a.search(tags="gain") == ns.a.family() == [ns.a("x")]
    assert ns.Search(class_name="MeqMultiply", return_names=True) == ["c"]


def test_a_polynomial_parameter():
    ns = NodeScope()
    polynomial = {"coeff": [[1.0, 2.0], [3.0, 0.0]], "offset": (10.0, 1e9), "scale": (10.0, 1e8)}
    ns.p << Meq.Parm(polynomial)
    t, f = (TILE.time[:, None] - 10) / 10, (TILE.frequency - 1e9) / 1e8
    np.testing.assert_allclose(evaluate(ns.p, TILE), 1 + 2 * f + 3 * t)


def test_noise_follows_from_seed_name_and_tile():
    ns = NodeScope()
    for name in "ab":
        ns.n(name) << Meq.GaussNoise(stddev=2.0, dims=[2, 2], complex=True)
    tile = Tile(np.arange(500.0), [1e9], seed=3, number=1)
    a, b = evaluate([ns.n("a"), ns.n("b")], tile)
    assert a.shape == (2, 2, 500, 1)
    np.testing.assert_array_equal(a, evaluate(ns.n("a"), tile))
    assert not np.any(a == b)
    assert not np.any(a == evaluate(ns.n("a"), Tile(tile.time, [1e9], seed=4, number=1)))
    assert a.real.std() == pytest.approx(2.0, rel=0.06)


def test_reductions():
    ns = NodeScope()
    ns.mean << Meq.Mean(Meq.Freq() * Meq.Time(), reduction_axes=["freq"])
    ns.max << Meq.Max(Meq.Time(), 5)
    mean, largest = evaluate([ns.mean, ns.max], TILE)
    np.testing.assert_allclose(mean[:, 0], TILE.time * 1.05e9)
    np.testing.assert_array_equal(largest[:, 0], [5, 10, 20])


def test_an_undefined_node_is_named_with_its_user():
    ns = NodeScope()
    ns.gain("p") << 2
    ns.vis << ns.gian("p") * 2
    with pytest.raises(UndefinedNodeError, match=r"(?s)gian:p is used.*used by.*gain:p"):
        evaluate(ns.vis, TILE)
    with pytest.raises(UndefinedNodeError, match="nothing"):
        evaluate(ns.nothing, TILE)


def test_a_loop_is_named():
    ns = NodeScope()
    ns.a << ns.b + 1
    ns.b << ns.a + 1
    with pytest.raises(ExpressionError, match="depends on itself"):
        evaluate(ns.a, TILE)


def test_an_unknown_class_is_named_with_its_place():
    ns = NodeScope()
    ns.a << Meq.Sinn(Meq.Time())
    with pytest.raises(UnknownNodeTypeError, match=r"(?s)a is of the class Sinn.*test_expressions.*'Sin'"):
        evaluate(ns.a, TILE)


@pytest.mark.parametrize("above", [1.0, 1j, Meq.Time()])
def test_a_division_by_zero_names_the_node(above):
    ns = NodeScope()
    ns.ratio << above / (Meq.Time() - 10)
    with pytest.raises(DivisionByZeroError, match=r"ratio divides by zero"):
        evaluate(ns.ratio, TILE)


def test_a_matrix_without_inverse_is_counted_not_hidden():
    ns = NodeScope()
    ns.j << Meq.MatrixInvert22(Meq.Matrix22(Meq.Time() - 10, 0, 0, 1))
    run = Evaluator([ns.j])
    (inverse,) = run(TILE)
    assert run.singular == {"j": 1}
    assert np.isnan(inverse[:, :, 1]).all()
    assert np.isfinite(inverse[:, :, [0, 2]]).all()


def test_no_meaning_for_a_node():
    with pytest.raises(ExpressionError, match="object"):
        NodeScope().a << object()


def test_dimensions_that_do_not_match():
    ns = NodeScope()
    ns.a << Meq.MatrixMultiply(Meq.Constant(np.ones((2, 2))), Meq.Constant(np.ones((3, 3))))
    with pytest.raises(
        ExpressionError, match=r"(?s)node a of the class MatrixMultiply.*dimensions \[\(2, 2\), \(3, 3\)"
    ):
        evaluate(ns.a, TILE)


def test_a_node_of_another_forest_is_not_taken_for_one_of_the_same_name():
    ns, other = NodeScope(), NodeScope()
    other.a << 1
    ns.a << 10
    ns.b << other.a * 2 + ns.a * 2
    assert evaluate(ns.b, TILE)[0, 0] == 22
