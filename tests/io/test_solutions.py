"""Solutions on disk and their pictures."""

from dataclasses import fields, replace

import numpy as np
import pytest

from imaging.algorithms.calibration import Gains, GainTable
from imaging.errors import ImagingError
from imaging.io.solution_plots import plot_solutions
from imaging.io.solutions import load_solutions, save_solutions


def table(kind="diagonal", times=3, blocks=2):
    ends, rng = {"scalar": (), "diagonal": (2,), "full": (2, 2)}[kind], np.random.default_rng(1)
    shape, time, freq = (4, times, blocks), 5.1e9 + 60.0 * np.arange(times), 1e9 + 1e8 * np.arange(blocks)
    gain = rng.normal(1, 0.2, (*shape, *ends)) + 1j * rng.normal(0, 0.2, (*shape, *ends))
    flag = rng.uniform(size=(*shape, *ends[:1]) if kind == "diagonal" else shape) < 0.2
    window = Gains(time, time - 30, time + 30, freq, freq - 5e7, freq + 5e7, gain, flag, 0.1 * np.ones(flag.shape),
                   np.full(flag.shape[1:], 8))  # fmt: skip
    return GainTable(("A1", "B2", "C3", "D4"), ("X", "Y"), (window, replace(window, freq=freq + 1e9)), "ap", "B2")


@pytest.mark.parametrize("kind", ["scalar", "diagonal", "full"])
def test_written_and_read(tmp_path, kind):
    one = table(kind)
    save_solutions(one, tmp_path / "solutions.npz")
    other = load_solutions(tmp_path / "solutions.npz")
    assert (other.stations, other.feeds, other.calmode, other.refant) == (one.stations, one.feeds, "ap", "B2")
    assert other.kind == kind
    for a, b in zip(one.windows, other.windows, strict=True):
        for field in fields(Gains):
            np.testing.assert_array_equal(getattr(b, field.name), getattr(a, field.name))
    save_solutions(other, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "solutions.npz").read_bytes()


def test_what_is_no_file_of_solutions(tmp_path):
    with pytest.raises(ImagingError, match="no solutions"):
        load_solutions(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("gains")
    with pytest.raises(ImagingError, match="holds no solutions"):
        load_solutions(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", stations=["A"])
    with pytest.raises(ImagingError, match="holds no solutions"):
        load_solutions(tmp_path / "other.npz")
    window = table().windows[0]
    save_solutions(replace(table(), windows=(replace(window, gain=window.gain[:2]),)), tmp_path / "cut.npz")
    with pytest.raises(ImagingError, match="are not whole"):
        load_solutions(tmp_path / "cut.npz")


@pytest.mark.parametrize(("kind", "times", "calmode"), [("diagonal", 3, "ap"), ("scalar", 3, "p"), ("full", 1, "ap")])
def test_pictures(tmp_path, kind, times, calmode):
    pytest.importorskip("matplotlib")
    one = replace(table(kind, times), calmode=calmode)
    plot_solutions(one, tmp_path / "solutions.png", truth=one if times > 1 else None)
    assert (tmp_path / "solutions.png").read_bytes().startswith(b"\x89PNG")
    nothing = [replace(window, flag=np.ones_like(window.flag)) for window in one.windows]
    plot_solutions(replace(one, windows=tuple(nothing)), tmp_path / "nothing.png")
