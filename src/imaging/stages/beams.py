"""beams: the terms of the sky as images: the beam of Stokes I, and for each station, interval and channel a matrix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imaging.image import Grid, Image, radec_to_lmn
from imaging.io.aterms import save_aterms
from imaging.io.images import save_image
from imaging.log import logger
from imaging.measurement import beams as fields
from imaging.measurement.build import build
from imaging.measurement.tiles import Observation, Tile
from imaging.stages.measured import groups
from imaging.stages.plan import open_store

SIDE, TIMES, CHANNELS = 129, 12, 8
"""Of the beam: pixels along a side, times and channels at most; the stage pb interpolates between pixels."""


def beams(ms: list[str], vis: str, *, beam: str, config, aterms: str = "") -> None:
    """Write `beam`, the power pattern about the pointing, and `aterms` where it is named, of the first field.

    The beam is the mean over the baselines and over some times of all the track; its channels some of the band.
    """
    store, grid, _ = open_store(vis, config.image)
    freqs = np.unique(np.concatenate([part.freq for part in store.parts]))
    freqs = _spread(freqs, CHANNELS)
    section = config.measurement
    with groups(ms[0] if isinstance(ms, list) else ms, config.data) as found:
        observation = found[0].observation
        times = np.unique(observation.time)
    pointing = tuple(store.meta["pointing"])
    reach = _reach(grid, pointing)
    small = replace(grid, centre=pointing, shape=(SIDE, SIDE), cell=(reach / SIDE,) * 2,
                    stokes=("I",), freq=tuple(freqs), width=(grid.width[0],) * len(freqs))  # fmt: skip
    tile = _tile(observation, _spread(times, TIMES), freqs)
    cube = np.concatenate([fields.power(block) for block in _responses(section, observation, small, tile)])
    cube = cube.T.reshape(small.cube_shape).astype(np.float32)
    save_image(Image(cube, small, "", header={"BTYPE": "Beam"}), beam)
    logger.info("beam of %d stations, mean of %d times", len(tile.stations), len(tile.time))
    if aterms:
        side = section.aterms
        coarse = replace(small, shape=(side, side), cell=(reach / side,) * 2)
        count = max(1, int(np.ceil((times[-1] - times[0] + observation.interval) / section.aterm_interval)))
        tile = _tile(observation, _spread(times, count), freqs)
        matrices = np.concatenate(list(_responses(section, observation, coarse, tile)))
        shape = (len(matrices), *tile.shape[1:], 2, 2)
        save_aterms(np.broadcast_to(matrices, shape), coarse, tile.time, aterms)


def _responses(section, observation: Observation, grid: Grid, tile: Tile):
    sources = fields.pixels(*grid.lm(), observation.phase_centre)
    maker = build(section, ("sky_jones",), observation)
    maker.add_sky_models(fields.Pixels(sources))
    yield from fields.responses(maker, sources, tile)


def _reach(grid: Grid, pointing: tuple[float, float]) -> float:
    """Width of a field about the pointing that holds the image, direction cosines."""
    l, m, _ = radec_to_lmn(*grid.centre, pointing)
    width = max(n * cell for n, cell in zip(grid.shape[::-1], grid.cell, strict=True))
    return 1.05 * width + 2 * float(np.hypot(l, m))


def _spread(values: np.ndarray, most: int) -> np.ndarray:
    """Some of them, evenly from the first to the last."""
    return values[np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))]


def _tile(observation: Observation, times: np.ndarray, freqs: np.ndarray) -> Tile:
    """A tile without baselines."""
    none = np.zeros(0, int)
    return Tile(observation.stations, times, freqs, np.zeros(len(freqs)), observation.interval,
                observation.phase_centre, none, none, none, np.zeros((0, 3)), feeds=observation.feeds,
                positions=observation.positions)  # fmt: skip
