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
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.colors import AsinhNorm, Normalize
        from matplotlib.figure import Figure
    except ImportError:
        raise ImagingError("Plots need matplotlib.", got="matplotlib is not installed", expected="the extra 'plots'",
                           next_step="pip install 'fringeflow[plots]'") from None  # fmt: skip

    figure = Figure(figsize=(13, 6.2), layout="constrained")
    FigureCanvasAgg(figure)
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
