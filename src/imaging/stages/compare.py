"""compare: fluxes and positions in the restored image beside those that were simulated."""

from __future__ import annotations

import math

import numpy as np

from imaging.algorithms.source_measuring import Measurement, measure_sources, robust_rms
from imaging.image import Image
from imaging.io.atomic import atomic_path
from imaging.io.images import load_image
from imaging.io.plots import plot_comparison
from imaging.io.truth import load_truth

TITLES = ("source", "true/mJy", "found/mJy", "noise/mJy", "ratio", "sigmas", "offset E/N", "of beam", "in sigmas")


def compare(image: str, residual: str, truth: str, *, table: str, png: str, pb: str | None = None) -> list[Measurement]:
    """Measure the sources of `truth` on `image` (corrected with `pb` if it is given), first plane.

    Writes the text `table` and the picture `png` and returns the measurements. `residual` gives the noise.
    """
    restored, rest = load_image(image), load_image(residual)
    attenuation = load_image(pb).data[0, 0] if pb else np.ones(restored.grid.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = np.where(attenuation > 0, restored.data[0, 0] / attenuation, np.nan)
        rms = robust_rms(rest.data[0, 0])
        noise = np.where(attenuation > 0, rms / attenuation, np.nan)
    found = measure_sources(load_truth(truth), corrected, noise, restored.grid, restored.beams[0])
    with atomic_path(table) as partial:
        partial.write_text(format_table(found, restored, rms))
    plot_comparison(restored, rest, [(s.name, s.l, s.m) for s in found], rms, png)
    return found


def format_table(found: list[Measurement], restored: Image, rms: float) -> str:
    """A line a source, what its columns mean, and a line on the image."""
    beam = restored.beams[0]
    rows = [TITLES]
    for s in found:
        east, north = (math.degrees(x) * 3600 for x in s.offset)
        distance = math.hypot(*s.offset)
        rows.append((
            s.name, f"{1e3 * s.true_flux:.2f}", f"{1e3 * s.flux:.2f}", f"{1e3 * s.flux_error:.2f}",
            f"{s.flux / s.true_flux:.4f}", f"{(s.flux - s.true_flux) / s.flux_error:+.1f}",
            f'{east:+.2f}"/{north:+.2f}"', f"{distance / beam.major:.3f}",
            f"{distance / (math.sqrt(2) * s.offset_error):.1f}",
        ))  # fmt: skip
    width = [max(len(row[i]) for row in rows) for i in range(len(TITLES))]
    lines = ["  ".join([row[0].ljust(width[0]), *map(str.rjust, row[1:], width[1:])]) for row in rows]
    major, minor = (math.degrees(x) * 3600 for x in (beam.major, beam.minor))
    lines.append("sigmas: (found - true) / noise; of beam: offset / beam; in sigmas: offset / what noise explains.")
    lines.append("Beyond 3 sigmas something else than noise differs: in bright sources what clean leaves.")
    return "\n".join([*lines, f'beam {major:.2f}" x {minor:.2f}", residual rms {1e3 * rms:.4f} mJy/beam', ""])
