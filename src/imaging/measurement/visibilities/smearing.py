"""Smearing of each source in time and frequency: a sky visibility processing module that can be undone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayProcess
from imaging.units import SPEED_OF_LIGHT

LEAST = 1e-3  # of a factor that is divided by


@dataclass
class Smearing:
    """sinc(dphi_t/2) sinc(dphi_nu/2) of the phase's change over the interval and over the channel (Bridle & Schwab
    1999, ASP Conf. Ser. 180, 371), as the MeqMaker's own `smearing`, but for some sources alone, or to be undone.

    What has become smaller than 1e-3 stays as it is when it is undone, and is flagged.
    """

    time: bool = True
    """Over the interval."""
    frequency: bool = True
    """Over the channels' widths."""
    solvable = False

    def process_visibilities(self, nodes, input_nodes, sources, context=None, **kw) -> ArrayProcess:
        if (self.time and not context.interval) or (self.frequency and not np.all(context.width)):
            raise ImagingError("Smearing needs the channels' width and the interval.", expected="both above 0",
                               got=f"width {np.min(context.width):g} Hz, interval {context.interval:g} s",
                               next_step="give them to the Observation, or leave that part out")  # fmt: skip
        return ArrayProcess(lambda vis, tile: vis * self.factor(tile)[..., None, None])

    def correct_visibilities_for_direction(self, nodes, input_nodes, source, **kw) -> ArrayProcess:
        def undone(vis, tile):
            factor = self.factor(tile)[0]
            bad = np.abs(factor) < LEAST
            return vis / np.where(bad, 1, factor)[..., None, None], bad

        return ArrayProcess(undone)

    def factor(self, tile) -> np.ndarray:
        """(source, row, chan)."""
        l, m, n = tile.lmn.T
        direction = np.stack([l, m, -(l**2 + m**2) / (1 + n)])
        product = np.ones((len(l), len(tile.uvw), len(tile.freq)))
        if self.frequency:
            product *= np.sinc((tile.uvw @ direction).T[..., None] * tile.width / SPEED_OF_LIGHT)
        if self.time:
            product *= np.sinc((tile.motion() @ direction).T[..., None] * tile.freq / SPEED_OF_LIGHT)
        return product
