"""Flags by time, channel, baseline, amplitude, elevation, shadow and chance: a visibility processing module."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from imaging.config_base import Angle, Duration, Flux, Fraction, Frequency, Length
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayProcess, name_of
from imaging.measurement.horizon import azimuth_elevation, positions_of
from imaging.measurement.visibilities.errors import by_time


@dataclass
class Flagger:
    """Flags all that any option speaks of; visibilities stay as they are, and no correction takes flags back."""

    times: tuple[tuple[Duration, Duration], ...] = ()
    """From and to, counted from the first time of the observation."""
    frequencies: tuple[tuple[Frequency, Frequency], ...] = ()
    """From and to."""
    channels: tuple[tuple[int, int], ...] = ()
    """First and last, counted from 0."""
    baselines: tuple[str, ...] = ()
    """Pairs of stations, `A&B`, or a station, `A`: all of its baselines."""
    above: Flux = 0.0
    """Amplitudes above this in any correlation; 0: none."""
    below: Flux = 0.0
    """Amplitudes below this in any correlation."""
    elevation: Angle = 0.0
    """Stations that see the phase centre lower than this; 0: none."""
    shadow: Length = 0.0
    """Stations that another dish of this diameter stands before; 0: none."""
    fraction: Fraction = 0.0
    """Of all samples, by chance."""
    solvable = False

    def process_visibilities(self, nodes, input_nodes, context=None, **kw) -> ArrayProcess:
        names = [name_of(p) for p in context.stations]
        pairs = [self._pair(text, names) for text in self.baselines]
        if self.elevation:
            positions_of(context)
        start, seed = float(np.min(context.time)), random.getrandbits(64)

        def flagged(vis, tile):
            rows, chans = np.zeros(len(vis), bool), np.zeros(len(tile.freq), bool)
            since = (tile.time - start)[tile.time_index]
            for first, last in self.times:
                rows |= (since >= first) & (since <= last)
            for p, q in pairs:
                some = [(tile.antenna1 == p) | (tile.antenna2 == p), (tile.antenna1 == q) | (tile.antenna2 == q)]
                rows |= (some[0] & some[1]) if p != q else some[0]
            for p, t in self._bad_stations(tile):
                rows |= (tile.time_index == t) & ((tile.antenna1 == p) | (tile.antenna2 == p))
            for low, high in self.frequencies:
                chans |= (tile.freq >= low) & (tile.freq <= high)
            for first, last in self.channels:
                chans[max(first, 0) : last + 1] = True
            flag = rows[:, None] | chans
            if self.above or self.below:
                size = np.abs(vis)
                flag |= ((size > self.above).any((2, 3)) & (self.above > 0)) | (size < self.below).any((2, 3))
            if self.fraction:
                for some, rng in by_time(tile, seed):
                    flag[some] |= rng.random(flag[some].shape) < self.fraction
            return vis, flag

        return ArrayProcess(flagged)

    def _pair(self, text: str, names) -> tuple[int, int]:
        pair = [name.strip() for name in text.split("&")]
        if len(pair) > 2 or not set(pair) <= set(names):
            raise ImagingError(f"The Flagger knows no baseline {text}.", got=text, expected=", ".join(names),
                               next_step="write A&B, or A for all baselines of a station")  # fmt: skip
        return names.index(pair[0]), names.index(pair[-1])

    def _bad_stations(self, tile) -> list:
        """(station, time) pairs too low, or in another's shadow: nearer in projection than a diameter, and behind."""
        found = []
        if self.elevation:
            ra, dec = tile.phase_centre
            seen = azimuth_elevation(tile.time, tile.positions, ra, dec)[1][0]
            found += np.argwhere(seen < self.elevation).tolist()
        if self.shadow:
            u, v, w = tile.uvw.T
            near = (np.hypot(u, v) < self.shadow) & (tile.antenna1 != tile.antenna2)
            behind = np.where(w > 0, tile.antenna2, tile.antenna1)
            found += zip(behind[near].tolist(), tile.time_index[near].tolist(), strict=True)
        return found
