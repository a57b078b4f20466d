"""weights: imaging weights of every sample, from the density of all of them together."""

from __future__ import annotations

import json

import numpy as np

from imaging.algorithms.weighting import Density, Scheme, Taper, imaging_weight, row_chunks
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path
from imaging.io.density_file import load_density
from imaging.io.visibility_store import VisibilityStore, new_array
from imaging.log import logger
from imaging.stages.plan import open_store
from imaging.units import ANGLE, TAPER, format_angle, parse_quantity

DENSITY_BYTES = 2**30
"""Density grids held at a time; cubes take their channels in turns."""


def weights(vis: str, gridwt: str = "", *, weights: str, config) -> None:
    """Write the directory `weights`: part000.npy, … (row, chan) float32, one a part of the store, and weights.json.

    `gridwt` is the density of all data, where this store holds only a share of them (stage density).
    """
    store, grid, channel_map = open_store(vis, config.image)
    check_cell(store.meta["max_uv_wavelengths"], max(config.image.cell))
    scheme = make_scheme(config.weighting)
    per_channel = own_densities(config)
    planes = at_once = len(grid.freq)
    if scheme.needs_density and per_channel:
        at_once = max(DENSITY_BYTES // (8 * grid.shape[0] * grid.shape[1]), 1)
    sums = np.zeros((3, len(grid.freq)))
    with atomic_path(weights) as folder:
        folder.mkdir()
        out = [new_array(folder / f"part{i:03d}.npy", part.weight.shape) for i, part in enumerate(store.parts)]
        for first in range(0, planes, at_once):
            count, density = min(at_once, planes - first), None
            if scheme.needs_density:
                grids = count if per_channel else 1
                density = Density(scheme, config.image.cell, config.image.imsize, grids, per_channel)
                if gridwt:
                    density.grid[:], density.gridded[:] = load_density(gridwt, first, density.grid.shape)
                for _, _, samples, _ in () if gridwt else each_sample(store, channel_map, first, count, per_channel):
                    density.add(*samples)
            for i, place, samples, plane in each_sample(store, channel_map, first, count, per_channel):
                made = imaging_weight(scheme, density, *samples)
                out[i][place] = made
                _add_sums(sums, made.astype(np.float64), samples[1], plane)
        for array in out:
            array.flush()
        (folder / "weights.json").write_text(json.dumps(_summary(scheme, sums), indent=1, sort_keys=True) + "\n")


def own_densities(config) -> bool:
    """Whether each plane of a cube has a density of its own: planes cleaned together want one psf, as far as may be."""
    wanted = config.weighting.perchanweightdensity
    own = "channels" not in config.clean.join if wanted == "auto" else wanted == "true"
    return config.image.specmode == "cube" and own


def each_sample(store: VisibilityStore, channel_map, first: int, count: int, per_channel: bool):
    """(part, (rows, channels), (uvw, weight, freq, plane), plane) of samples of some image channels.

    The inner plane is that of the density: from `first`, or 0 where all channels share one.
    """
    for i, (part, plane) in enumerate(zip(store.parts, channel_map, strict=True)):
        channels = np.flatnonzero((plane >= first) & (plane < first + count))
        uvw, weight = part.uvw, part.weight
        everything = len(channels) == len(plane)
        for rows in row_chunks(part.rows, len(channels)) if len(channels) else ():
            place = (rows, slice(None) if everything else channels)
            chosen = np.array(weight[place])  # a copy: kernels are compiled for writable arrays only
            grids = plane[channels] - first if per_channel else np.zeros(len(channels), plane.dtype)
            yield i, place, (np.array(uvw[rows]), chosen, part.freq[channels], grids), plane[channels]


def _add_sums(sums, made, weight, plane):
    """Per image channel: sum of imaging weights, of their squares over the weights, and of the weights."""
    squares = np.divide(made**2, weight, out=np.zeros(made.shape), where=weight > 0)
    for total, values in zip(sums, (made, squares, weight), strict=True):
        np.add.at(total, plane, values.sum(axis=0, dtype=np.float64))


def _summary(scheme: Scheme, sums: np.ndarray) -> dict:
    sumwt, squares, natural = sums
    if not sumwt.any():
        raise ImagingError("No visibility has any imaging weight.", got=f"sum of {scheme.weighting} weights 0",
                           expected="some samples on the grid of the weight density",
                           next_step="a smaller image.cell, or a weaker weighting.uvtaper")  # fmt: skip
    # The noise of a weighted mean of samples of variance 1/w, relative to that of natural weights.
    noise = np.sqrt(squares * natural) / np.where(sumwt > 0, sumwt, np.inf)
    logger.info("%s weights: noise %.3f times that of natural weights", scheme.weighting, noise.max())
    return {"weighting": scheme.weighting, "sumwt": sumwt.tolist(), "natural_sumwt": natural.tolist(),
            "noise_increase": noise.tolist()}  # fmt: skip


def make_scheme(section) -> Scheme:
    taper = None
    if section.uvtaper:
        major, minor = (section.uvtaper[0], section.uvtaper[min(1, len(section.uvtaper) - 1)])
        sizes = [parse_quantity(text, TAPER, "arcsec") for text in (major, minor)]
        angle = parse_quantity(section.uvtaper[2], ANGLE, "deg") if len(section.uvtaper) > 2 else 0.0
        taper = (Taper.of_uv if "lambda" in major else Taper.of_image)(*sizes, angle)
    return Scheme(section.weighting, section.robust, section.noise, section.npixels, taper)


def check_cell(longest: float, cell: float):
    """A cell of 1/(2 uv) is the coarsest that shows every fringe of the `longest` baseline (wavelengths).

    From 1/uv on there is nothing left to fit.
    """
    fringe = 1 / max(longest, 1e-30)
    if cell > fringe:
        raise ImagingError("image.cell is too coarse for the longest baseline.", got=format_angle(cell),
                           expected=f"at most {format_angle(fringe / 2)}, better {format_angle(fringe / 5)}",
                           next_step=f"set image.cell: {format_angle(fringe / 5)}, or limit data.uvrange")  # fmt: skip
    if cell > fringe / 2:
        logger.warning("image.cell %s is more than half the finest fringe, %s: the longest baselines are aliased",
                       format_angle(cell), format_angle(fringe))  # fmt: skip
