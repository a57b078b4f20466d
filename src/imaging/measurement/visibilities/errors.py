"""Errors of interferometers rather than stations, and noise: visibility processing modules."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.simulation import visibility_rms
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayProcess, name_of


@dataclass
class IfrGains:
    """Each correlation of each baseline times 1 + a complex normal number of deviation `rms`: reversible.

    The numbers are drawn when visibilities are processed, and kept for the correction; V_qp has the conjugate
    transpose of those of V_pq.
    """

    rms: float = 0.01
    solvable = False

    def process_visibilities(self, nodes, input_nodes, context=None, **kw) -> ArrayProcess:
        rng = np.random.default_rng(random.getrandbits(64))
        self.stations = [name_of(p) for p in context.stations]
        number = len(self.stations)
        upper = 1 + self.rms * (rng.normal(size=(2, number, number, 2, 2)).T @ [1, 1j]).T
        lower = upper.swapaxes(0, 1).swapaxes(2, 3).conj()
        first = np.arange(number)[:, None] <= np.arange(number)
        self.gains = np.where(first[..., None, None], upper, lower)
        return ArrayProcess(lambda vis, tile: vis * self._of(tile))

    def correct_visibilities(self, nodes, input_nodes, **kw) -> ArrayProcess:
        return ArrayProcess(lambda vis, tile: vis / self._of(tile))

    def _of(self, tile) -> np.ndarray:
        return self.gains[tile.antenna1, tile.antenna2][:, None]


@dataclass
class ThermalNoise:
    """Complex noise of SEFD / sqrt(2 width interval) Jy in each of the real and imaginary parts, or of `rms` Jy.

    Every time draws its own numbers, for its baselines in the order of their stations: the noise does not depend on
    how the times are divided into tiles, nor on the order of the rows.
    """

    sefd: float = 0.0
    rms: float = 0.0
    solvable = False

    def process_visibilities(self, nodes, input_nodes, context=None, **kw) -> ArrayProcess | None:
        if self.sefd == self.rms == 0:
            return None
        if self.sefd and not (np.all(context.width) and context.interval):
            raise ImagingError("Noise from an SEFD needs the channels' width and the interval.",
                               got=f"width {np.min(context.width):g} Hz, interval {context.interval:g} s",
                               expected="both above 0", next_step="give them to the Observation, or rms to ThermalNoise"
                               )  # fmt: skip
        seed = random.getrandbits(64)

        def noisy(vis, tile):
            rms = np.full(len(tile.freq), self.rms)
            if self.sefd:
                rms = np.array([visibility_rms(self.sefd, width, tile.interval) for width in tile.width])
            for index, time in enumerate(tile.time):
                rows = np.flatnonzero(tile.time_index == index)
                rows = rows[np.lexsort((tile.antenna2[rows], tile.antenna1[rows]))]
                rng = np.random.default_rng([seed, round(time * 1000)])
                vis[rows] += rms[:, None, None] * (rng.normal(size=(2, *vis[rows].shape)).T @ [1, 1j]).T
            return vis

        return ArrayProcess(noisy)
