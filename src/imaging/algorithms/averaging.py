"""Average rows and channels, as far as a bound on the smearing at the edge of the image allows.

A source offset by s - s0 from the phase centre turns by |b.(s - s0)| dnu/c cycles over a band dnu, and by at most
omega_earth |b| |s - s0| nu/c dt over a time dt; the mean over x cycles has the amplitude sinc(x)
(Thompson, Moran & Swenson 2017, sections 6.3 and 6.4). |b| |s - s0| bounds b.(s - s0), so the loss is never more
than stated. Samples that are flagged within an average move its centre: up to half the phase that is averaged.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from imaging.errors import ImagingError
from imaging.units import SPEED_OF_LIGHT

EARTH_ROTATION = 7.2921150e-5
"""rad/s."""


@dataclass
class Block:
    """Rows of visibilities: `vis` (pol, row, chan), `weight` (row, chan), the others (row, …)."""

    uvw: np.ndarray
    vis: np.ndarray
    weight: np.ndarray
    time: np.ndarray
    antenna1: np.ndarray
    antenna2: np.ndarray
    field: np.ndarray

    def take(self, rows) -> Block:
        """Some of the rows."""
        return Block(**{f.name: getattr(self, f.name)[:, rows] if f.name == "vis" else getattr(self, f.name)[rows]
                        for f in fields(self)})  # fmt: skip

    def joined(self, other: Block) -> Block:
        """These rows and then the other's."""
        return Block(**{f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)],
                                               axis=1 if f.name == "vis" else 0) for f in fields(self)})  # fmt: skip


def chord(cell: tuple[float, float], shape: tuple[int, int]) -> float:
    """|s - s0| for the farthest pixel of an image of (nx, ny) pixels of `cell` rad."""
    edge = min(np.hypot(cell[0] * shape[0], cell[1] * shape[1]) / 2, 1.0)
    return 2 * np.sin(np.arcsin(edge) / 2)


def loss(cycles: np.ndarray) -> np.ndarray:
    """Fraction of the amplitude lost in the mean over `cycles` turns of phase."""
    return 1 - np.sinc(np.minimum(cycles, 1.0))


def cycles_within(bound: np.ndarray) -> np.ndarray:
    """The turns of phase whose mean loses `bound` (0..1) of the amplitude."""
    grid = np.linspace(0, 1, 8193)
    # The square root of the loss is nearly linear in the turns, so that interpolation is exact enough at 0.
    return np.interp(np.sqrt(np.maximum(bound, 0)), np.sqrt(loss(grid)), grid)


def channels_within(bound: float, width: float, baseline: float, offset: float) -> int:
    """How many channels of `width` Hz may be averaged on a `baseline` (m) for a source at `offset` (chord)."""
    per_channel = max(baseline * offset * abs(width) / SPEED_OF_LIGHT, 1e-30)
    return int(min(max(float(cycles_within(bound)) / per_channel, 1), 2**31))


def channel_groups(channels: np.ndarray, count: int) -> np.ndarray:
    """First places of groups of up to `count` neighbours in `channels`, the numbers of the selected channels."""
    jumps = np.flatnonzero(np.diff(channels) != 1) + 1
    begins, ends = np.r_[0, jumps], np.r_[jumps, len(channels)]
    return np.concatenate([np.arange(a, b, count) for a, b in zip(begins, ends, strict=True)])


def average_channels(block: Block, groups: np.ndarray) -> Block:
    """Weighted means of groups of channels, given by their first places."""
    if len(groups) == block.weight.shape[1]:
        return block
    weight = np.add.reduceat(block.weight, groups, axis=1, dtype=np.float64)
    vis = np.add.reduceat(block.vis * block.weight, groups, axis=2)
    return _normalised(block, vis, weight, block.uvw, block.time, slice(None))


def _normalised(block: Block, vis, weight, uvw, time, first) -> Block:
    vis = np.divide(vis, weight, out=np.zeros(vis.shape, np.complex64), where=weight > 0, casting="same_kind")
    return Block(uvw, vis, weight.astype(np.float32), time, block.antenna1[first], block.antenna2[first],
                 block.field[first])  # fmt: skip


class TimeAverager:
    """Averages the rows of each baseline over `duration` s, halved as often as the smearing bound asks.

    `origin` (s) is where the first interval begins; `freq`, `width` (Hz) are the channels that come in, after
    averaging over `band` Hz whose smearing counts too; `offset` as from `chord`. Feed blocks in the order of
    the rows, then `flush`: an interval may span blocks. `shortened` counts the rows that took part in averages
    of less than `duration`, `reach` is the longest baseline (m) so far.
    """

    def __init__(self, duration: float, origin: float, freq: np.ndarray, band: float, offset: float, bound: float):
        self.duration, self.origin, self.offset, self.bound = duration, origin, offset, bound
        self.freq, self.band = float(np.max(freq)), band
        self.waiting: Block | None = None
        self.shortened, self.reach = 0, 0.0

    def longest(self, baseline: np.ndarray) -> np.ndarray:
        """The longest time (s) over which a baseline (m) may be averaged."""
        reach = np.maximum(baseline * self.offset / SPEED_OF_LIGHT, 1e-30)
        left = cycles_within(self.bound - loss(reach * self.band))
        return left / (EARTH_ROTATION * reach * self.freq)

    def push(self, block: Block) -> Block | None:
        """Take rows in; the averages that are complete."""
        if self.waiting is not None:
            block = self.waiting.joined(block)
        last = self.origin + np.floor((block.time[-1] - self.origin) / self.duration) * self.duration
        open_rows = block.time >= last
        self.waiting = block.take(open_rows)
        return self._average(block.take(~open_rows)) if not open_rows.all() else None

    def flush(self) -> Block | None:
        """The averages of the rows still held."""
        waiting, self.waiting = self.waiting, None
        return None if waiting is None else self._average(waiting)

    def _average(self, block: Block) -> Block:
        allowed = self.longest(np.linalg.norm(block.uvw, axis=1))
        halvings = np.clip(np.ceil(np.log2(self.duration / np.maximum(allowed, 1e-30))), 0, 60)
        self.shortened += int(np.sum(halvings > 0))
        self.reach = max(self.reach, float(np.linalg.norm(block.uvw, axis=1).max()))
        interval = np.floor((block.time - self.origin) / (self.duration / 2**halvings))
        keys = (block.field, block.antenna2, block.antenna1, halvings, interval)
        order = np.lexsort(keys)
        changed = np.logical_or.reduce([np.diff(key[order]) != 0 for key in keys])
        groups = np.r_[0, np.flatnonzero(changed) + 1]
        block = block.take(order)
        weight = np.add.reduceat(block.weight, groups, axis=0, dtype=np.float64)
        vis = np.add.reduceat(block.vis * block.weight, groups, axis=1)
        row_weight = block.weight.sum(axis=1, dtype=np.float64)
        total = np.add.reduceat(row_weight, groups)
        uvw = np.add.reduceat(block.uvw * row_weight[:, None], groups, axis=0) / total[:, None]
        time = np.add.reduceat((block.time - self.origin) * row_weight, groups) / total + self.origin
        averaged = _normalised(block, vis, weight, uvw, time, groups)
        return averaged.take(np.lexsort((averaged.antenna2, averaged.antenna1, averaged.time)))


@dataclass(frozen=True)
class Plan:
    """How a part is averaged: groups of channels with their `freq` and `width` (Hz), and rows if at all."""

    groups: np.ndarray
    freq: np.ndarray
    width: np.ndarray
    averager: TimeAverager | None


def plan(channels, freq, width, chanaverage: int, timeaverage: float, origin: float, longest: float, offset: float,
         bound: float) -> Plan:  # fmt: skip
    """What `chanaverage` channels and `timeaverage` s make of a part.

    channels, freq, width : numbers, Hz and Hz of the selected channels; longest : the longest baseline, m;
    offset : as from `chord`; bound : the largest fraction of the amplitude to lose there. More channels than that
    allows is an ImagingError; a longer time is shortened, baseline by baseline.
    """
    width = np.abs(width)
    allowed = channels_within(bound, width.max(), longest, offset)
    if chanaverage > max(allowed, 1):
        lost = float(loss(longest * offset * width.max() * chanaverage / SPEED_OF_LIGHT))
        raise ImagingError(
            f"data.chanaverage {chanaverage} would smear the edge of the image.",
            got=f"a loss of {lost:.2g} of the amplitude on the longest baseline, {longest:.4g} m",
            expected=f"at most {bound:g} (data.maxsmearing), which {allowed} channels keep",
            next_step=f"set data.chanaverage: {allowed}, or a larger data.maxsmearing",
        )
    groups = channel_groups(channels, chanaverage)
    counts = np.diff(np.r_[groups, len(channels)])
    made_freq, made_width = np.add.reduceat(freq, groups) / counts, np.add.reduceat(width, groups)
    if timeaverage <= 0:
        return Plan(groups, made_freq, made_width, None)
    band = float(made_width.max()) if chanaverage > 1 else 0.0
    return Plan(groups, made_freq, made_width, TimeAverager(timeaverage, origin, made_freq, band, offset, bound))
