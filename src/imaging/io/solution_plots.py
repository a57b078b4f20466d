"""Pictures of solutions: phase and amplitude against time, a panel for each station, with matplotlib."""

from __future__ import annotations

import math
import os

import numpy as np

from imaging.algorithms.calibration import GainTable, at, gains_of
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path

COLOURS = ("#1b4f8f", "#d1495b")
COLUMNS = 6


def plot_solutions(table: GainTable, path: str | os.PathLike, truth: GainTable | None = None) -> None:
    """Write a PNG. Circles are solutions of the two feeds, crosses flagged ones; lines are what is `truth`.

    Phases count from the reference. Of a single interval with several channels the frequency is the x axis; of Jones
    matrices the diagonal is shown.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImagingError("Plots need matplotlib.", got="matplotlib is not installed", expected="the extra 'plots'",
                           next_step="pip install 'fringeflow[plots]'") from None  # fmt: skip

    kinds = ("phase",) if table.calmode == "p" else ("phase", "amplitude")
    columns = min(COLUMNS, len(table.stations))
    rows = math.ceil(len(table.stations) / columns)
    figure = Figure(figsize=(2.1 * columns + 1.2, 1.15 * rows * len(kinds) + 1.6), layout="constrained")
    FigureCanvasAgg(figure)
    points = _Points(table)
    parts = np.atleast_1d(figure.subfigures(len(kinds), 1, hspace=0.03))
    for part, kind in zip(parts, kinds, strict=True):
        panels = part.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for number, axes in enumerate(panels.ravel()):
            if number >= len(table.stations):
                axes.set_axis_off()
                continue
            points.draw(axes, number, kind, truth)
            axes.tick_params(labelsize=7, labelbottom=number + columns >= len(table.stations))
        part.supylabel("phase (deg)" if kind == "phase" else "amplitude", fontsize=9)
    parts[-1].supxlabel(points.label, fontsize=9)
    handles = points.legend()
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), fontsize=8, frameon=False)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=110, format="png")


class _Points:
    """Where the solutions lie on the x axis, and how they are drawn."""

    def __init__(self, table: GainTable):
        self.table = table
        self.start = min(float(window.begin[0]) for window in table.windows)
        self.over_frequency = all(len(w.time) == 1 for w in table.windows) and any(
            len(w.freq) > 1 for w in table.windows
        )
        day = np.datetime64("1858-11-17") + np.timedelta64(int(self.start // 86400), "D")
        hours, rest = divmod(self.start % 86400, 3600)
        since = f"{day} {int(hours):02d}:{int(rest // 60):02d}:{int(rest % 60):02d} UTC"
        end = max(float(window.end[-1]) for window in table.windows)
        self.unit, word = (60.0, "min") if end - self.start < 2 * 3600 else (3600.0, "h")
        self.label = "frequency (MHz)" if self.over_frequency else f"time since {since} ({word})"
        self.feeds = ("",) if table.kind == "scalar" else table.feeds

        phases = [abs(_shown(window.usable, "phase")) for window in table.windows]
        most = max((float(np.nanmax(p)) for p in phases if np.isfinite(p).any()), default=0.0)
        self.reach = min(max(1.2 * most, 30.0), 190.0)

    def draw(self, axes, station: int, kind: str, truth: GainTable | None) -> None:
        from matplotlib.ticker import MaxNLocator

        axes.set_title(self._title(station), fontsize=8, pad=2)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if kind == "phase":
            axes.set_ylim(-self.reach, self.reach)
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        for window in self.table.windows:
            x, low, high = self._place(window)
            for feed in range(len(self.feeds)):
                gain, flag = _of(window.gain[station], feed), _of(window.flag[station], feed, window.flag.ndim == 4)
                values = _shown(gain, kind)
                for y, bad in zip(values if self.over_frequency else values.T,
                                  flag if self.over_frequency else flag.T, strict=True):  # fmt: skip
                    axes.plot(x[~bad], y[~bad], "o", markersize=3, markerfacecolor="none", color=COLOURS[feed])
                    axes.hlines(y[~bad], low[~bad], high[~bad], color=COLOURS[feed], linewidth=0.8)
                    edge = axes.get_xaxis_transform()  # the flagged ones at the lower edge, wherever they are
                    axes.plot(x[bad], np.full(bad.sum(), 0.07), "x", markersize=4, color="0.55", transform=edge)
                if truth is not None:
                    self._draw_truth(axes, window, station, feed, kind, truth)

    def _place(self, window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the solutions are on the x axis, and from where to where they hold."""
        if self.over_frequency:
            return window.freq / 1e6, window.low / 1e6, window.high / 1e6
        return tuple((t - self.start) / self.unit for t in (window.time, window.begin, window.end))

    def _draw_truth(self, axes, window, station, feed, kind, truth) -> None:
        one = gains_of(truth, [self.table.stations[station]])
        time = np.linspace(window.begin[0], window.end[-1], 400)
        values, block = at(one, time, window.freq[:1], "linear")
        gain = _of(values[0][:, block], feed)[:, 0]
        axes.plot((time - self.start) / self.unit, _shown(gain, kind), color=COLOURS[feed], linewidth=0.8, alpha=0.6)

    def _title(self, station: int) -> str:
        name = self.table.stations[station]
        return f"{name} (reference)" if name == self.table.refant else name

    def legend(self) -> list:
        from matplotlib.lines import Line2D

        points = {"linestyle": "", "marker": "o", "markerfacecolor": "none"}
        marks = [Line2D([], [], color=colour, label=feed or "both feeds", **points)
                 for feed, colour in zip(self.feeds, COLOURS, strict=False)]  # fmt: skip
        return [*marks, Line2D([], [], linestyle="", marker="x", color="0.55", label="flagged")]


def _of(values: np.ndarray, feed: int, has_feeds: bool = True) -> np.ndarray:
    """One feed of (T, F) and nothing, (2,) or (2, 2)."""
    if values.ndim == 4:
        return values[..., feed, feed]
    return values[..., feed] if values.ndim == 3 and has_feeds else values


def _shown(gain: np.ndarray, kind: str) -> np.ndarray:
    return np.angle(gain, deg=True) if kind == "phase" else abs(gain)
