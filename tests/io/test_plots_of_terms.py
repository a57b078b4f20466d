"""Pictures of what terms are: every element of a matrix is there, axes say their units."""

import numpy as np
import pytest

from imaging.io import plots

TIME = 60.0 * np.arange(4)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """drawn(terms, **more): {title: (label of the y axis, [[values of a line]])} of the panels that are seen."""
    figures, figure = [], plots._figure

    def draw(terms, stations=("a", "b", "c"), **more):
        monkeypatch.setattr(plots, "_figure", lambda size: figures.append(figure(size)) or figures[-1])
        plots.plot_terms({"time": TIME} | terms, list(stations), ["src", "other"], tmp_path / "x.png", **more)
        assert (tmp_path / "x.png").stat().st_size > 5000
        panels = [axes for axes in figures[-1].axes if axes.get_visible()]
        return {axes.get_title() or axes.get_ylabel(): (axes.get_ylabel(), [line.get_ydata() for line in axes.lines])
                for axes in panels}  # fmt: skip

    return draw


def test_a_matrix_has_all_its_elements(drawn):
    matrix = np.broadcast_to(np.array([[1, 0.1], [0.2j, 2]]), (1, 3, 4, 2, 2))
    for feeds, x, y in (("linear", "X", "Y"), ("circular", "R", "L")):
        panels = drawn({"D:inspector": matrix}, feeds=feeds)
        title = f"D:inspector, diagonal\n3 stations, a line each; solid {x}{x}, dotted {y}{y}"
        assert panels[title][0] == "amplitude"
        assert [line[0] for line in panels[title][1]] == [1, 2] * 3
        title = f"D:inspector, off the diagonal\n3 stations, a line each; solid {x}{y}, dotted {y}{x}"
        np.testing.assert_allclose([line[0] for line in panels[title][1]], [0.1, 0.2] * 3)
        np.testing.assert_allclose([line[0] for line in panels["phase (deg)"][1]], [0, 90] * 3)


@pytest.mark.parametrize(
    ("name", "label"),
    [("Z:TEC", "TEC (TECU)"), ("Z:phase 3C286 1", "phase (rad)"), ("T:delay", "delay (s)"),
     ("T:absorption", "amplitude"), ("E:inspector", "value")],
)  # fmt: skip
def test_numbers_have_their_units(drawn, name, label):
    values = np.arange(24.0).reshape(2, 3, 4)
    (title, (shown, lines)), *rest = drawn({name: values, "time" + name.partition("phase")[2]: TIME}).items()
    assert title == f"{name}, toward src\n3 stations, a line each"
    assert (shown, rest) == (label, [])
    np.testing.assert_array_equal(lines, values[0])


def test_offsets_are_of_l_and_m(drawn):
    panels = drawn({"E:dlm:inspector": np.ones((1, 3, 4, 2))})
    assert list(panels.values())[0][0] == "offset (rad)"
    assert list(panels) == ["E:dlm:inspector\n3 stations, a line each; solid l, dotted m"]


def test_how_many_lines_there_are(drawn):
    assert list(drawn({"P:inspector": np.ones((1, 1, 4))})) == ["P:inspector\nall stations"]
    many = drawn({"G:inspector": np.ones((1, 100, 4, 2))}, stations=map(str, range(100)))
    assert list(many) == ["G:inspector\n50 of 100 stations, a line each; solid X, dotted Y"]
    assert list(drawn({"Z:inspector": np.ones((1, 6, 4))})) == ["Z:inspector\n6 elements, a line each"]
