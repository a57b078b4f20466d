"""Sky Jones terms as images: primary beams, and a matrix for each station (A-terms)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imaging.algorithms import jones as algebra
from imaging.algorithms.components import Component
from imaging.image import lm_to_radec
from imaging.measurement import rendering
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import Source
from imaging.measurement.tiles import Tile
from imaging.measurement.trees import blocks, sky_product


def pixels(l: np.ndarray, m: np.ndarray, phase_centre: tuple[float, float]) -> list[Source]:
    """A source for each pixel of the columns l and rows m, row by row."""
    l, m = (axis.ravel() for axis in np.meshgrid(l, m))
    ra, dec = lm_to_radec(l, m, phase_centre)
    return [Source(Component(f"pixel{i}", float(r), float(d), (1.0, 0.0, 0.0, 0.0)))
            for i, (r, d) in enumerate(zip(ra, dec, strict=True))]  # fmt: skip


class Pixels:
    """A sky model of nothing but pixels: `maker` computes its terms toward them."""

    def __init__(self, sources: list[Source]):
        self.sources = sources

    def source_list(self, **kw) -> list[Source]:
        return self.sources


def responses(maker: MeqMaker, sources: list[Source], tile: Tile) -> Iterator[np.ndarray]:
    """The product of the sky Jones terms, a block of pixels after the other: (pixel, station, time, chan, 2, 2)."""
    terms = rendering.sky_terms(maker, sources)
    for block in blocks(sources, tile):
        product = algebra.as_kind(sky_product(terms, tile.with_sources(block)), "full")
        yield np.broadcast_to(product, (len(block), *product.shape[1:]))


def power(voltage: np.ndarray) -> np.ndarray:
    """The mean over baselines and times of tr(E_p E_q^H)/2, the response of Stokes I: (pixel, chan).

    voltage (pixel, station | 1, time, chan, 2, 2). The sum over p != q is |sum E|^2 less the sum of |E|^2.
    """
    number = voltage.shape[1]
    alone = (np.abs(voltage) ** 2).sum((1, 4, 5))
    if number > 1:
        alone = ((np.abs(voltage.sum(1)) ** 2).sum((3, 4)) - alone) / (number * (number - 1))
    return alone.mean(1) / 2
