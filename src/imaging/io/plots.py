"""Pictures of images, with matplotlib."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np

from imaging.errors import ImagingError
from imaging.image import Image
from imaging.io.atomic import atomic_path
from imaging.units import format_flux

MARK, GROUND = "#d1495b", "#440154"


def plot_comparison(image: Image, residual: Image, places: Sequence[tuple[str, float, float]], rms: float,
                    path: str | os.PathLike) -> None:  # fmt: skip
    """Write a PNG: the restored image (first plane) with its sources named, beside the residual.

    `places` are (name, l, m) rad; `rms` Jy/beam sets the scales: arcsinh from -3 rms, and linear within 5 rms.
    """
    figure = _figure((13, 6.2))
    from matplotlib.colors import AsinhNorm, Normalize

    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    peak = float(np.nanmax(image.data[0, 0]))
    panels = (
        (left, image, "Restored image", "viridis", AsinhNorm(5 * rms, -3 * rms, peak), _ticks(rms, peak)),
        (right, residual, f"Residual, rms {format_flux(rms)}/beam", "gray", Normalize(-5 * rms, 5 * rms), None),
    )
    for axes, shown, title, colours, norm, ticks in panels:
        picture = axes.imshow(
            shown.data[0, 0], origin="lower", extent=_extent(shown), cmap=colours, norm=norm, interpolation="nearest"
        )
        axes.set_title(title, fontsize=11)
        axes.set_facecolor("0.85")
        axes.set_xlabel("offset east (arcmin)")
        bar = figure.colorbar(picture, ax=axes, pad=0.015, ticks=ticks)
        bar.set_label("mJy/beam")
        bar.ax.minorticks_off()
        bar.formatter = lambda value, _: f"{1e3 * value:.3g}"
        bar.update_ticks()
        _mark(axes, places, named=shown is image)
    left.set_ylabel("offset north (arcmin)")
    _draw_beam(left, image)
    ra, dec = np.degrees(image.grid.centre)
    figure.suptitle(f"Centre RA {ra:.4f}°, Dec {dec:+.4f}°, {image.grid.freq[0] / 1e6:.1f} MHz", fontsize=12)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=110, format="png")


LINES = 64
"""Curves in a panel at most; stations in between are left out."""


def plot_terms(terms: dict[str, np.ndarray], stations: list[str], sources: list[str], path: str | os.PathLike,
               feeds: str = "linear") -> None:  # fmt: skip
    """Write a PNG: amplitude and phase against time of each term (source | 1, station | 1, time[, 2[, 2]]).

    Of several sources the first is shown; what is off a matrix's diagonal has panels of its own. The time of `name` is
    terms["time…"], MJD s, with what its name ends with. Real arrays, and those of other shapes, are drawn as they are.
    """
    panels = [panel for name in terms if not name.startswith("time") for panel in _panels(name, terms[name], feeds)]
    columns = 1 + any(np.iscomplexobj(curves) for *_, curves in panels)
    figure = _figure((6.5 * columns, max(2.4 * len(panels), 2.4)))
    rows = figure.subplots(max(len(panels), 1), columns, squeeze=False, sharex="row")
    for row, (name, what, styles, curves) in zip(rows, panels, strict=False):
        key = max((key for key in terms if key.startswith("time") and name.endswith(key[4:])), key=len)
        minutes = (terms[key] - terms[key][0]) / 60
        shown = [("amplitude", np.abs(curves)), ("phase (deg)", np.degrees(np.angle(curves)))]
        if not np.iscomplexobj(curves):
            shown = [(_quantity(name), curves)]
            for empty in row[1:]:
                empty.set_visible(False)
        for axes, (label, drawn) in zip(row, shown, strict=False):
            _draw_curves(axes, minutes, drawn)
            axes.set_ylabel(label)
            axes.set_xlabel("minutes since the beginning")
        where = f", toward {sources[0]}" if len(terms[name]) > 1 and sources else ""
        row[0].set_title(f"{name}{what}{where}\n{_lines(len(curves), len(stations))}{styles}", fontsize=10)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=90, format="png")


def _panels(name: str, values: np.ndarray, feeds: str) -> list[tuple[str, str, str, np.ndarray]]:
    """(name, what is shown of it, what solid and dotted mean, curves (station, time, 1 | 2)) of the first source."""
    values = np.asarray(values)[0]
    x, y = "RL" if feeds == "circular" else "XY"
    if values.shape[2:] == (2, 2):
        off = f"; solid {x}{y}, dotted {y}{x}"
        return [(name, ", diagonal", f"; solid {x}{x}, dotted {y}{y}", values[..., [0, 1], [0, 1]]),
                (name, ", off the diagonal", off, values[..., [0, 1], [1, 0]])]  # fmt: skip
    if values.shape[2:] == (2,):
        solid, dotted = ("l", "m") if _quantity(name) == QUANTITIES["dlm"] else (x, y)
        return [(name, "", f"; solid {solid}, dotted {dotted}", values)]
    return [(name, "", "", values.reshape(*values.shape[:2], -1)[..., :1])]


QUANTITIES = {"TEC": "TEC (TECU)", "phase": "phase (rad)", "delay": "delay (s)", "absorption": "amplitude",
              "dlm": "offset (rad)"}  # fmt: skip
"""What inspectors of these names hold (docs/measurement.md)."""


def _quantity(name: str) -> str:
    """The label of an axis, from <label>:TEC or E:dlm:inspector, with the field after a blank."""
    return next((QUANTITIES[part] for part in name.split(" ")[0].split(":")[1:] if part in QUANTITIES), "value")


def _lines(curves: int, stations: int) -> str:
    if curves == 1 < stations:
        return "all stations"
    shown, what = len(range(0, curves, math.ceil(curves / LINES))), "stations" if curves == stations else "elements"
    return f"{curves if shown == curves else f'{shown} of {curves}'} {what}, a line each"


def _draw_curves(axes, minutes: np.ndarray, curves: np.ndarray) -> None:
    """A colour for each station (station, time, 1 | 2)."""
    for number, station in enumerate(curves[:: math.ceil(len(curves) / LINES)]):
        for feed, style in zip(station.T, ("-", ":"), strict=False):
            axes.plot(minutes, feed, style, color=f"C{number % 10}", linewidth=0.9,
                      marker="." if len(minutes) < 30 else "")  # fmt: skip


def _figure(size: tuple[float, float]):
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImagingError("Plots need matplotlib.", got="matplotlib is not installed", expected="the extra 'plots'",
                           next_step="pip install 'fringeflow[plots]'") from None  # fmt: skip
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _extent(image: Image) -> tuple[float, float, float, float]:
    """Edges of the image in arcmin east and north: left, right, bottom, top."""
    l, m = (np.degrees(axis) * 60 for axis in image.grid.lm())
    dl, dm = (math.degrees(c) * 30 for c in image.grid.cell)
    return l[0] + dl, l[-1] - dl, m[0] - dm, m[-1] + dm


def _ticks(rms: float, peak: float) -> list[float]:
    """Zero and the decades between the noise and the peak."""
    decades = range(math.ceil(math.log10(3 * rms)), math.floor(math.log10(peak)) + 1)
    return [0.0, *(10.0**d for d in decades)]


def _mark(axes, places, *, named: bool) -> None:
    for name, l, m in places:
        at = math.degrees(l) * 60, math.degrees(m) * 60
        axes.plot(*at, "o", markersize=17, markerfacecolor="none", markeredgecolor=MARK, markeredgewidth=1)
        if named:
            axes.annotate(name, at, xytext=(0, 11), textcoords="offset points", ha="center", color="white", fontsize=9)


def _draw_beam(axes, image: Image) -> None:
    from matplotlib.patches import Ellipse

    beam = image.beams[0]
    major, minor = (math.degrees(x) * 60 for x in (beam.major, beam.minor))
    left, right, bottom, top = _extent(image)
    centre = left - 0.05 * (left - right), bottom + 0.05 * (top - bottom)
    # The x axis is reversed (east left), so an angle from north through east is 90 deg - PA in data coordinates.
    patch = Ellipse(centre, major, minor, angle=90 - math.degrees(beam.pa), facecolor="white", edgecolor=GROUND)
    axes.add_patch(patch)
    text = f'beam {60 * major:.1f}" × {60 * minor:.1f}"'
    axes.annotate(text, centre, xytext=(14, 0), textcoords="offset points", va="center", color="white", fontsize=9)
