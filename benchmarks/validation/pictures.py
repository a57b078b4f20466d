"""Pictures of what run.py made: python benchmarks/validation/pictures.py OUT_DIR   (reads ./validation/results)"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from PIL import Image as Picture
from run import product, robust_rms

UNITS = {"deg": 1.0, "arcmin": 60.0, "arcsec": 3600.0, "mas": 3.6e6}
PICTURES = {  # file: case, half the width shown, its unit, offset of the middle (east, north), title
    "fornaxA": ("fornaxA", 40, "arcmin", (0, 0), "Fornax A, MWA 185 MHz"),
    "fornaxA_field": ("fornaxA", 11.3, "deg", (0, 0), "The field of Fornax A, MWA 185 MHz"),
    "3c286": ("3c286", 75, "arcsec", (0, 0), "3C286, VLA 1.4 GHz"),
    "vela": ("vela_multiscale", 12, "arcmin", (0, 0), "PSR B0833-45, ASKAP 807 MHz"),
    "m87": ("m87_automask", 22, "mas", (-12, 6), "The jet of M87, VLBA 8.1 GHz"),
}


def draw(path: Path, case: str, half: float, unit: str, middle: tuple[float, float], title: str) -> None:
    image = product(case, "image")
    rms, scale = robust_rms(product(case, "residual").data), UNITS[unit]
    l, m = (np.degrees(axis) * scale for axis in image.grid.lm())
    columns, rows = np.abs(l - middle[0]) <= half, np.abs(m - middle[1]) <= half
    shown, l, m = image.data[0, 0][np.ix_(rows, columns)], l[columns], m[rows]
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    norm = AsinhNorm(4 * rms, -3 * rms, float(np.nanmax(shown)))
    picture = axes.imshow(
        shown, origin="lower", extent=(l[0], l[-1], m[0], m[-1]), cmap="inferno", norm=norm, interpolation="antialiased"
    )
    beam = image.beams[0]
    major, minor = (np.degrees(axis) * scale for axis in (beam.major, beam.minor))
    corner = l[0] - 0.08 * 2 * half, m[0] + 0.08 * 2 * half
    # x is the offset east: the major axis points along (sin PA, cos PA).
    axes.add_patch(Ellipse(corner, minor, major, angle=-np.degrees(beam.pa), facecolor="white", edgecolor="black"))
    axes.set(xlabel=f"offset east ({unit})", ylabel=f"offset north ({unit})", title=f"{title}: noise {rms:.2g} Jy/beam")
    axes.title.set_fontsize(10)
    decades = 10.0 ** np.arange(np.ceil(np.log10(5 * rms)), np.log10(np.nanmax(shown)))
    bar = figure.colorbar(picture, ax=axes, ticks=[0, *decades], label="Jy/beam", format="%.3g")
    bar.ax.minorticks_off()
    figure.savefig(path, dpi=90, format="png")
    with Picture.open(path) as full:
        full.convert("RGB").quantize(128, Picture.Quantize.MAXCOVERAGE).save(path, optimize=True)


if __name__ == "__main__":
    for name, arguments in PICTURES.items():
        draw(Path(sys.argv[1]) / f"{name}.png", *arguments)
