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


def plot_terms(terms: dict[str, np.ndarray], stations: list[str], sources: list[str], path: str | os.PathLike) -> None:
    """Write a PNG: amplitude and phase against time of each term (source | 1, station | 1, time[, 2[, 2]]).

    Of several sources the first is shown, of a matrix its diagonal; the time of `name` is terms["time…"], MJD s, with
    what its name ends with. Real arrays, and those of other shapes, are drawn as they are.
    """
    names = [name for name in terms if not name.startswith("time")]
    columns = 1 + any(np.iscomplexobj(terms[name]) for name in names)
    figure = _figure((6.5 * columns, max(2.4 * len(names), 2.4)))
    panels = figure.subplots(max(len(names), 1), columns, squeeze=False, sharex="row")
    for row, name in zip(panels, names, strict=False):
        key = max((key for key in terms if key.startswith("time") and name.endswith(key[4:])), key=len)
        minutes = (terms[key] - terms[key][0]) / 60
        values = np.asarray(terms[name])[0]
        curves = values[..., None] if values.ndim == 2 else values.reshape(*values.shape[:2], -1)
        curves = curves[..., [0, -1]] if curves.shape[2] in (2, 4) else curves[..., :1]
        shown = [("amplitude", np.abs(curves)), ("phase (deg)", np.degrees(np.angle(curves)))]
        if not np.iscomplexobj(curves):
            shown = [("value", curves)]
            for empty in row[1:]:
                empty.set_visible(False)
        step = math.ceil(len(curves) / LINES)
        for axes, (label, drawn) in zip(row, shown, strict=False):
            for station in drawn[::step]:
                for feed, style in zip(station.T, ("-", ":"), strict=False):
                    axes.plot(minutes, feed, style, linewidth=0.9, marker="." if len(minutes) < 30 else "")
            axes.set_ylabel(label)
        where = f", toward {sources[0]}" if len(terms[name]) > 1 and sources else ""
        row[0].set_title(f"{name}{where}: {len(curves)} of {len(stations)} stations, a line each", fontsize=10)
        for axes in row:
            axes.set_xlabel("minutes since the beginning")
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=90, format="png")


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
