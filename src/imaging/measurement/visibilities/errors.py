"""Errors of interferometers rather than stations, and noise: visibility processing modules."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.simulation import visibility_rms
from imaging.config_base import Flux
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayProcess, name_of
from imaging.measurement.jones.rotation import per_station


class _Interferometers:
    """Numbers (station, station, 2, 2) that are drawn when visibilities are processed, and kept for the correction;
    V_qp has the conjugate transpose of those of V_pq."""

    def _drawn(self, context) -> np.ndarray:
        """Complex normal numbers of deviation `rms` in each part."""
        rng = np.random.default_rng(random.getrandbits(64))
        self.stations = [name_of(p) for p in context.stations]
        number = len(self.stations)
        upper = self.rms * (rng.normal(size=(2, number, number, 2, 2)).T @ [1, 1j]).T
        if self.parallel_only:
            upper[..., [0, 1], [1, 0]] = 0
        lower = upper.swapaxes(0, 1).swapaxes(2, 3).conj()
        first = np.arange(number)[:, None] <= np.arange(number)
        made, own = np.where(first[..., None, None], upper, lower), np.arange(number)
        made[own, own] = (upper[own, own] + lower[own, own]) / np.sqrt(2)
        return made

    def _of(self, tile) -> np.ndarray:
        return self.numbers[tile.antenna1, tile.antenna2][:, None]


@dataclass
class IfrGains(_Interferometers):
    """Each correlation of each baseline times 1 + a complex number, constant in time and frequency: reversible."""

    rms: float = 0.0
    """Deviation of the numbers' real and imaginary parts."""
    parallel_only: bool = False
    """XX and YY, or RR and LL, alone."""
    solvable = False

    def process_visibilities(self, nodes, input_nodes, context=None, **kw) -> ArrayProcess:
        self.numbers = 1 + self._drawn(context)
        return ArrayProcess(lambda vis, tile: vis * self._of(tile))

    def correct_visibilities(self, nodes, input_nodes, **kw) -> ArrayProcess:
        return ArrayProcess(lambda vis, tile: vis / self._of(tile))


@dataclass
class IfrBiases(_Interferometers):
    """Each correlation of each baseline plus a complex number, constant in time and frequency: reversible."""

    rms: Flux = 0.0
    """Deviation of the numbers' real and imaginary parts."""
    parallel_only: bool = False
    """XX and YY, or RR and LL, alone."""
    solvable = False

    def process_visibilities(self, nodes, input_nodes, context=None, **kw) -> ArrayProcess:
        self.numbers = self._drawn(context)
        return ArrayProcess(lambda vis, tile: vis + self._of(tile))

    def correct_visibilities(self, nodes, input_nodes, **kw) -> ArrayProcess:
        return ArrayProcess(lambda vis, tile: vis - self._of(tile))


@dataclass
class ThermalNoise:
    """Complex noise of SEFD / sqrt(2 width interval) Jy in each of the real and imaginary parts, or of `rms` Jy.

    Every time draws its own numbers, for its baselines in the order of their stations: the noise does not depend on
    how the times are divided into tiles, nor on the order of the rows.
    """

    sefd: Flux = 0.0
    """System equivalent flux density of all stations."""
    rms: Flux = 0.0
    """Where there is no SEFD: deviation of the real and imaginary parts."""
    sefds: tuple[Flux, ...] = ()
    """Of stations that differ, one each, in place of `sefd`: a baseline has the geometric mean."""
    solvable = False

    def process_visibilities(self, nodes, input_nodes, context=None, **kw) -> ArrayProcess | None:
        if self.sefd == self.rms == 0 and not any(self.sefds):
            return None
        if (self.sefd or self.sefds) and not (np.all(context.width) and context.interval):
            raise ImagingError("Noise from an SEFD needs the channels' width and the interval.",
                               got=f"width {np.min(context.width):g} Hz, interval {context.interval:g} s",
                               expected="both above 0", next_step="give them to the Observation, or rms to ThermalNoise"
                               )  # fmt: skip
        each = np.sqrt(np.broadcast_to(per_station(self.sefds, context.stations, "sefds", self.sefd),
                                       len(context.stations)))  # fmt: skip
        seed = random.getrandbits(64)

        def noisy(vis, tile):
            rms = np.full((len(vis), len(tile.freq)), self.rms)
            if each.any():
                unit = np.array([visibility_rms(1.0, width, tile.interval) for width in tile.width])
                rms = (each[tile.antenna1] * each[tile.antenna2])[:, None] * unit
            for rows, rng in by_time(tile, seed):
                vis[rows] += rms[rows, :, None, None] * (rng.normal(size=(2, *vis[rows].shape)).T @ [1, 1j]).T
            return vis

        return ArrayProcess(noisy)


def by_time(tile, seed: int):
    """The rows of each time, in the order of their stations, and a random generator for this time and band."""
    for index, time in enumerate(tile.time):
        rows = np.flatnonzero(tile.time_index == index)
        rows = rows[np.lexsort((tile.antenna2[rows], tile.antenna1[rows]))]
        yield rows, np.random.default_rng([seed, round(time * 1000), round(tile.freq[0])])
