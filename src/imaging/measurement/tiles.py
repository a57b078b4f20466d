"""What the measurement equation is evaluated on: an observation, and tiles of its time, frequency and direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from imaging.algorithms.rime import CONSISTENT, station_uvw
from imaging.algorithms.simulation import DAY, SIDEREAL_RATE


@dataclass(frozen=True, eq=False)
class Tile:
    """Some times of an observation, all its channels and stations, and some sources.

    stations (names); time (T,) MJD s; freq and width (F,) Hz; interval s; phase_centre rad; feeds "linear" or
    "circular"; positions (A, 3) ITRF m or None. Rows: antenna1, antenna2, time_index (row,) count from 0 within the
    tile, uvw (row, 3) m; stations_uvw (T, A, 3) m, None where the rows' uvw are not differences of stations'.
    sources: objects with a `name`; lmn (S, 3) their direction cosines. seed: what random nodes start from.

    Arrays over (source, station, time, chan) are written with `l`, `m`, `n` (S, 1, 1, 1), `t` (T, 1) and `nu` (F,).
    """

    stations: tuple
    time: np.ndarray
    freq: np.ndarray
    width: np.ndarray
    interval: float
    phase_centre: tuple[float, float]
    antenna1: np.ndarray
    antenna2: np.ndarray
    time_index: np.ndarray
    uvw: np.ndarray
    stations_uvw: np.ndarray | None = None
    feeds: str = "linear"
    positions: np.ndarray | None = None
    sources: tuple = ()
    lmn: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Lengths of the axes: sources, stations, times, channels."""
        return len(self.sources), len(self.stations), len(self.time), len(self.freq)

    @property
    def t(self) -> np.ndarray:
        return self.time[:, None]

    @property
    def nu(self) -> np.ndarray:
        return self.freq

    @property
    def l(self) -> np.ndarray:  # noqa: E743
        return self.lmn[:, 0, None, None, None]

    @property
    def m(self) -> np.ndarray:
        return self.lmn[:, 1, None, None, None]

    @property
    def n(self) -> np.ndarray:
        return self.lmn[:, 2, None, None, None]

    def with_sources(self, sources: Sequence) -> Tile:
        """The same times and channels toward other sources, each with `lmn(phase_centre)`, or `mean_lmn(tile)`."""
        lmn = np.array([
            x.mean_lmn(self) if hasattr(x, "mean_lmn") else x.lmn(self.phase_centre) for x in sources
        ], float).reshape(-1, 3)  # fmt: skip
        return replace(self, sources=tuple(sources), lmn=lmn)

    def motion(self) -> np.ndarray:
        """Change of uvw (row, 3) m during an integration, as the Earth turns.

        The derivative by hour angle of `simulation.baseline_tracks`: (w cos d - v sin d, u sin d, -u cos d).
        """
        u, v, w = self.uvw.T
        sin, cos = np.sin(self.phase_centre[1]), np.cos(self.phase_centre[1])
        rate = 2 * np.pi * SIDEREAL_RATE / DAY * self.interval
        return rate * np.stack([w * cos - v * sin, u * sin, -u * cos], 1)


@dataclass(frozen=True, eq=False)
class Observation:
    """The context of modules: who observed what, when, and with which baselines.

    stations: names. antenna1, antenna2 (row,) index them. time (row,) MJD s, uvw (row, 3) m, freq and width (chan,)
    Hz, interval s, phase_centre (ra, dec) rad, feeds "linear" or "circular", positions (station, 3) ITRF m or None.
    """

    stations: tuple
    antenna1: np.ndarray
    antenna2: np.ndarray
    time: np.ndarray
    uvw: np.ndarray
    freq: np.ndarray
    phase_centre: tuple[float, float] = (0.0, 0.0)
    width: np.ndarray | float = 0.0
    interval: float = 0.0
    feeds: str = "linear"
    positions: np.ndarray | None = None

    def ifrs(self) -> list[tuple]:
        """The baselines that are there, as pairs of stations, in order."""
        pairs = np.unique(np.stack([self.antenna1, self.antenna2], 1), axis=0)
        return [(self.stations[p], self.stations[q]) for p, q in pairs]

    def tiles(self, times: int = 0) -> Iterator[tuple[np.ndarray, Tile]]:
        """The rows and the tile of every `times` times (0: all at once)."""
        known, index = np.unique(self.time, return_inverse=True)
        order, times = np.argsort(index, kind="stable"), times or max(len(known), 1)
        starts = np.searchsorted(index[order], np.arange(len(known) + 1))
        width = np.broadcast_to(np.asarray(self.width, float), np.shape(self.freq))
        for start in range(0, len(known), times):
            stop = min(start + times, len(known))
            rows = np.sort(order[starts[start] : starts[stop]])
            p, q = np.asarray(self.antenna1)[rows], np.asarray(self.antenna2)[rows]
            uvw, local = np.ascontiguousarray(np.asarray(self.uvw, float)[rows]), index[rows] - start
            place, misfit = station_uvw(uvw, p, q, local, len(self.stations))
            yield rows, Tile(
                stations=tuple(self.stations), time=known[start:stop], freq=np.asarray(self.freq, float), width=width,
                interval=self.interval, phase_centre=self.phase_centre, antenna1=p, antenna2=q, time_index=local,
                uvw=uvw, stations_uvw=place if misfit <= CONSISTENT else None, feeds=self.feeds,
                positions=self.positions,
            )  # fmt: skip
