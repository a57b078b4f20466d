"""Gains of stations from visibilities and a model of them: intervals, what is solvable, errors, interpolation.

The solver is StefCal (kernels/stefcal.py). V_pq = g_p M_pq g_q*, or with matrices J_p M_pq J_q^H.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imaging.algorithms.jones import inverse
from imaging.kernels import stefcal

TOLERANCE = 1e-7
"""Relative change of all gains in an iteration at which they are solved; their error is a few times this."""
MOST = 1000
"""Iterations after which a solution that has not converged is flagged."""
PARALLEL = {"RR": 0, "XX": 0, "LL": 1, "YY": 1}


@dataclass(frozen=True)
class Scheme:
    """How to solve. gaintype G: a gain for each feed, T: one for both, J: full Jones matrices; calmode p or ap.

    references: stations in the order in which they are to give phase 0; the first that has a solution does.
    minblperant baselines a solution needs, and minsnr times its error.
    """

    gaintype: str = "G"
    calmode: str = "ap"
    references: tuple[int, ...] = ()
    minblperant: int = 4
    minsnr: float = 3.0
    tolerance: float = TOLERANCE
    most: int = MOST

    @property
    def feeds(self) -> int:
        return 2 if self.gaintype == "G" else 1


@dataclass(frozen=True, eq=False)
class Gains:
    """Solutions of one spectral window.

    time, begin, end (T,) MJD s of the intervals, in rising order; freq, low, high (F,) Hz of the blocks of channels.
    gain (station, T, F) and, by kind, nothing (scalar), (2,) (diagonal) or (2, 2) (full). flag: no solution, or none
    that is good enough; error: rms of the real and of the imaginary part of a gain; both (station, T, F) and, if
    diagonal, (2,). iterations (T, F) and, if diagonal, (2,): of the solver, negative where it did not converge.
    """

    time: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    freq: np.ndarray
    low: np.ndarray
    high: np.ndarray
    gain: np.ndarray
    flag: np.ndarray
    error: np.ndarray
    iterations: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """The gains, NaN where flagged."""
        flag = self.flag.reshape(self.flag.shape + (1,) * (self.gain.ndim - self.flag.ndim))
        return np.where(flag, np.nan, self.gain)


@dataclass(frozen=True, eq=False)
class GainTable:
    """Solutions of stations, by name, for the feeds named (R, L or X, Y): those of several spectral windows."""

    stations: tuple[str, ...]
    feeds: tuple[str, str]
    windows: tuple[Gains, ...]
    calmode: str = "ap"
    refant: str = ""

    @property
    def kind(self) -> str:
        return ("scalar", "diagonal", "full")[self.windows[0].gain.ndim - 3]


def intervals(time: np.ndarray, length: np.ndarray, scan: np.ndarray, solint: float) -> tuple[np.ndarray, ...]:
    """Solution intervals of integrations at `time` (n,) of `length` s, in any order: (index (n,), begin, end) of each.

    They end with the scan, and divide it evenly into parts of at most `solint` s (0: integrations, inf: scans).
    """
    index, edges = np.zeros(len(time), np.int64), []
    order = sorted(np.unique(scan).tolist(), key=lambda s: time[scan == s].min())
    for one in order:
        own = np.flatnonzero(scan == one)
        first, last = (time[own] - length[own] / 2).min(), (time[own] + length[own] / 2).max()
        if solint == 0:
            _, part = np.unique(time[own], return_inverse=True)
        else:
            parts = max(1, int(np.ceil((last - first) / solint - 1e-6)))
            part = ((time[own] - first) / ((last - first) or 1) * parts).astype(int).clip(0, parts - 1)
        _, part = np.unique(part, return_inverse=True)
        index[own] = len(edges) + part
        for i in range(part.max() + 1):
            these = own[part == i]
            edges.append(((time[these] - length[these] / 2).min(), (time[these] + length[these] / 2).max()))
    begin, end = np.array(edges, float).reshape(-1, 2).T
    return index, begin, end


class Solver:
    """Sums of one solution interval, and the gains that follow from them."""

    def __init__(self, stations: int, blocks: int, scheme: Scheme):
        self.scheme, pairs = scheme, (stations, stations)
        shape = (blocks, *pairs) if scheme.gaintype == "J" else (blocks, scheme.feeds, *pairs)
        more = (2, 2, 2, 2) if scheme.gaintype == "J" else ()
        self.sums = np.zeros((*shape, *more), complex)
        self.power = np.zeros((*shape, *more), complex if more else float)
        self.total, self.count = np.zeros(shape), np.zeros(shape, np.int64)

    def add(self, vis, model, weight, antenna1, antenna2, block, correlations) -> None:
        """Samples (row, chan, corr), of weight 0 where they are not to be used; block (chan,) of each channel.

        Of full matrices all four correlations in their order; a sample then counts where none has weight 0.
        """
        kind = np.complex64 if vis.dtype == np.complex64 else np.complex128  # as few types as are compiled
        vis, model = (np.ascontiguousarray(values, kind) for values in (vis, model))
        weight = np.ascontiguousarray(weight, vis.real.dtype)
        rows = [np.ascontiguousarray(index, np.int64) for index in (antenna1, antenna2, block)]
        if self.scheme.gaintype == "J":
            whole = np.where((weight > 0).all(2), weight.mean(2), 0).astype(weight.dtype)
            stefcal.accumulate_full(vis, model, whole, *rows, self.sums, self.power, self.total, self.count)
        else:
            feed = np.array([min(PARALLEL.get(c, -1), self.scheme.feeds - 1) for c in correlations])
            stefcal.accumulate(vis, model, weight, *rows, feed, self.sums, self.power, self.total, self.count)

    def solve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """gain (station, block) and what its kind has behind, flag, error, iterations (block,) as in `Gains`."""
        if self.scheme.gaintype == "J":
            return self._solve_full()
        blocks, feeds, stations, _ = self.sums.shape
        problems = blocks * feeds
        sums, power, total, count = (
            a.reshape(problems, stations, stations) for a in (self.sums, self.power, self.total, self.count)
        )
        usable, reference = self._choose(count, power)
        pairs = usable[:, :, None] & usable[:, None, :]
        sums, power, total = (np.where(pairs, a, 0) for a in (sums, power, total))
        gains, iterations = np.where(usable, 1 + 0j, 0), np.zeros(problems, np.int64)
        for k in np.flatnonzero(usable.any(1)):  # the phases on baselines to the reference, where there are any
            start = sums[k, :, reference[k]]
            gains[k] = np.where(usable[k] & (start != 0), start / np.where(start == 0, 1, abs(start)), gains[k])
        phase_only = self.scheme.calmode == "p"
        stefcal.solve(sums, power, phase_only, self.scheme.tolerance, self.scheme.most, gains, iterations)
        gains = _refer(gains, gains[np.arange(problems), reference])
        left, right = gains[:, :, None], gains[:, None, :]
        square = total - 2 * (left.conj() * right * sums).real + abs(left * right) ** 2 * power
        variance = self._variance(np.maximum(square, 0).sum((1, 2)) / 2, np.where(pairs, count, 0), usable)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(variance[:, None] / (power * abs(right) ** 2).sum(2))
        flag = self._flag(usable, iterations, abs(gains), error)

        def shaped(values):
            values = np.moveaxis(values.reshape(blocks, feeds, stations), 2, 0)
            return values if self.scheme.gaintype == "G" else values[..., 0]

        iterations = iterations.reshape(blocks, feeds)
        return shaped(gains), shaped(flag), shaped(error), iterations if feeds == 2 else iterations[:, 0]

    def _solve_full(self):
        blocks, stations = self.sums.shape[:2]
        strength = np.einsum("zpqiaia->zpq", self.power).real
        usable, reference = self._choose(self.count, strength)
        pairs = usable[:, :, None] & usable[:, None, :]
        sums, power = (np.where(pairs[..., None, None, None, None], a, 0) for a in (self.sums, self.power))
        jones, iterations = self._diagonal(sums, power, usable, reference), np.zeros(blocks, np.int64)
        stefcal.solve_full(sums, power, self.scheme.tolerance, self.scheme.most, jones, iterations)
        jones = _refer(jones, jones[np.arange(blocks), reference, 0, 0])
        fit = np.einsum("zpik,zqac,zpqiakc->zpq", jones.conj(), jones, sums, optimize=True).real
        gram = np.einsum("zpia,zpic->zpac", jones.conj(), jones)
        size = np.einsum("zpki,zqac,zpqiakc->zpq", gram, gram, power, optimize=True).real
        square = np.maximum(np.where(pairs, self.total, 0) - 2 * fit + size, 0)
        variance = self._variance(square.sum((1, 2)) / 2, np.where(pairs, self.count, 0), usable, parameters=4)
        normal = np.einsum("zqac,zpqiakc->zpik", gram, power)
        undone, singular = inverse(normal, axes=2)
        error = np.sqrt(variance[:, None] * np.einsum("zpii->zp", undone).real / 2)
        error[singular] = np.nan
        magnitude = np.sqrt((abs(jones) ** 2).sum((2, 3)) / 2)
        flag = self._flag(usable, iterations, magnitude, error)
        return np.moveaxis(jones, 1, 0), flag.T, error.T, iterations

    def _diagonal(self, sums, power, usable, reference) -> np.ndarray:
        """Matrices to start from: the gains of the feeds, and the phase between these from the cross hands."""
        jones, iterations = np.zeros((*usable.shape, 2, 2), complex), np.zeros(len(usable), np.int64)
        for i in range(2):
            gains = np.where(usable, 1 + 0j, 0)
            own = np.ascontiguousarray(sums[..., i, i, i, i]), np.ascontiguousarray(power[..., i, i, i, i].real)
            stefcal.solve(*own, False, self.scheme.tolerance, self.scheme.most, gains, iterations)
            jones[..., i, i] = _refer(gains, gains[np.arange(len(gains)), reference])
        first, second = jones[..., 0, 0], jones[..., 1, 1]
        between = np.einsum("zp,zq,zpq->z", first.conj(), second, sums[..., 0, 1, 0, 1])
        jones[..., 1, 1] *= np.where(between == 0, 1, between.conj() / np.where(between == 0, 1, abs(between)))[:, None]
        return jones

    def _choose(self, count, power) -> tuple[np.ndarray, np.ndarray]:
        """Stations (problem, station) that can be solved for, and the reference (problem,) among them."""
        usable, reference = np.zeros(count.shape[:2], bool), np.zeros(len(count), np.int64)
        for k in range(len(count)):
            linked = (count[k] > 0) & (power[k] > 0)
            usable[k], reference[k] = solvable(linked, self.scheme.minblperant, self.scheme.references)
        return usable, reference

    def _variance(self, square, count, usable, parameters=1) -> np.ndarray:
        """Of a sample of weight 1: the sum of squared residuals over the degrees of freedom."""
        unknowns = usable.sum(1) * parameters * (1 if self.scheme.calmode == "p" else 2) - 1
        return square / np.maximum(count.sum((1, 2)) - unknowns, 1)  # counted for both p q and q p: real, imaginary

    def _flag(self, usable, iterations, magnitude, error) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            weak = ~(magnitude > self.scheme.minsnr * error)
        return ~usable | (iterations <= 0)[:, None] | weak


def _refer(gains: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The same gains (problem, …) with phases counted from those of the reference (problem,)."""
    size = abs(reference)
    turn = np.where(size > 0, reference.conj() / np.where(size > 0, size, 1), 1)
    return gains * turn.reshape(len(turn), *(1,) * (gains.ndim - 1))


def solvable(linked: np.ndarray, least: int, references: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Stations (station,) with at least `least` baselines among each other, all linked to the reference, and that.

    linked (station, station): whether a baseline has samples. The reference is the first of `references` that has
    enough baselines, else the station with most.
    """
    usable = np.ones(len(linked), bool)
    while True:
        enough = usable & ((linked & usable).sum(1) >= max(least, 1))
        if (enough == usable).all():
            break
        usable = enough
    if not usable.any():
        return usable, 0
    found = [r for r in references if usable[r]]
    reference = found[0] if found else int(np.argmax(np.where(usable, (linked & usable).sum(1), -1)))
    reached = np.arange(len(linked)) == reference
    while True:
        further = usable & (reached | linked[:, reached].any(1))
        if (further == reached).all():
            return reached, reference
        reached = further


def refer(table: GainTable, references) -> GainTable:
    """The same with phases counted from one station: the first of `references` (names) without a flag in an interval.

    Where all of these are flagged it is the one with most solutions of all, then the next.
    """
    good = sum((~window.flag.reshape(len(table.stations), -1)).sum(1) for window in table.windows)
    named = [table.stations.index(name) for name in references]
    order = np.array([*named, *(i for i in np.argsort(-good, kind="stable").tolist() if i not in named)])

    def turned(window: Gains) -> Gains:
        first = order[np.argmax(~window.flag[order], axis=0)]
        gain = window.gain[..., 0, 0] if window.gain.ndim == 5 else window.gain
        turn = np.take_along_axis(gain, first[None], 0).conj()
        size = abs(turn)
        turn = np.where(size > 0, turn / np.where(size > 0, size, 1), 1)
        return replace(window, gain=window.gain * turn.reshape(turn.shape + (1,) * (window.gain.ndim - turn.ndim)))

    used = order[np.argmax(good[order] > 0)]  # one without any solution is the reference of none
    return replace(table, windows=tuple(map(turned, table.windows)), refant=table.stations[used])


def normalise(gains: Gains) -> Gains:
    """The same with a mean power of 1 over stations, in each interval and block: the flux scale is left alone."""
    power = abs(gains.usable) ** 2
    if gains.gain.ndim == 5:
        power = power.sum((3, 4), keepdims=True) / 2
    have = np.isfinite(power)
    mean = np.where(have, power, 0).sum(0) / np.maximum(have.sum(0), 1)
    scale = np.sqrt(np.where(mean > 0, mean, 1))
    return replace(gains, gain=gains.gain / scale, error=gains.error / scale.reshape(1, *gains.error.shape[1:]))


def gains_of(table: GainTable, stations) -> GainTable:
    """The solutions of these stations, in this order; flagged where there are none."""
    place = np.array([table.stations.index(s) if s in table.stations else -1 for s in map(str, stations)], int)

    def taken(window: Gains) -> Gains:
        flag = window.flag[place]
        flag[place < 0] = True
        return replace(window, gain=window.gain[place], flag=flag, error=window.error[place])

    return replace(table, stations=tuple(map(str, stations)), windows=tuple(map(taken, table.windows)))


def at(table: GainTable, time: np.ndarray, freq: np.ndarray, interpolation: str) -> tuple[np.ndarray, np.ndarray]:
    """The gains at `time` (t,) MJD s, (station, t, block, …), and the block (chan,) of each of `freq` Hz.

    A channel has those of the block nearest to it, a time those of its interval or of the nearest one, or, linear,
    between these and the next: amplitude and phase (matrices: their entries). NaN where the interval is flagged; where
    only the next one is, there is nothing between.
    """
    edges = [(window, b) for window in range(len(table.windows)) for b in range(len(table.windows[window].freq))]
    low, high, centre = (
        np.array([getattr(table.windows[window], name)[b] for window, b in edges]) for name in ("low", "high", "freq")
    )
    outside = np.maximum(np.maximum(low - freq[:, None], freq[:, None] - high), 0)
    # Of blocks that hold it, the one whose middle is nearest.
    nearest = np.argmin(outside + 1e-9 * abs(freq[:, None] - centre), axis=1)
    used, block = np.unique(nearest, return_inverse=True)
    values = {window: _in_time(table.windows[window], time, interpolation) for window in {edges[k][0] for k in used}}
    return np.stack([values[edges[k][0]][:, :, edges[k][1]] for k in used], axis=2), block


def _in_time(window: Gains, time: np.ndarray, interpolation: str) -> np.ndarray:
    values, last = window.usable, len(window.time) - 1
    own = np.clip(np.searchsorted(window.begin, time, "right") - 1, 0, last)
    after = np.minimum(own + 1, last)
    closer = abs(window.time[after] - time) < abs(window.time[own] - time)
    own = np.where((time > window.end[own]) & closer, after, own)
    found = values[:, own]
    if interpolation == "nearest" or last == 0:
        return found
    other = np.clip(own + np.where(time >= window.time[own], 1, -1), 0, last)
    apart = window.time[other] - window.time[own]
    part = np.where(apart == 0, 0, (time - window.time[own]) / np.where(apart == 0, 1, apart))
    part = part.reshape(-1, *(1,) * (values.ndim - 2))
    beside = values[:, other]
    if values.ndim == 5:
        between = found + part * (beside - found)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(found == 0, 1, beside / np.where(found == 0, 1, found))
            between = found * abs(ratio) ** part * np.exp(1j * part * np.angle(ratio))
    return np.where(np.isfinite(between), between, found)


def correct(vis, flag, weight, gains, antenna1, antenna2, time, block, correlations, feeds) -> int:
    """Divide samples (row, chan, corr) by their gains in place; weight likewise, for the noise that is left.

    gains (station, t, block, …) with time (row,) and block (chan,) into them: `at`. Flags those without gains and
    returns how many. The arrays are contiguous, and weight has all channels.
    """
    antenna1, antenna2, time, block = (np.asarray(index, np.int64) for index in (antenna1, antenna2, time, block))
    if gains.ndim == 5:
        return _correct_full(vis, flag, weight, gains, antenna1, antenna2, time, block)
    if gains.ndim == 3:
        gains = np.repeat(gains[..., None], 2, axis=3)
    feed1, feed2 = (np.array([feeds.index(c[i]) for c in correlations]) for i in range(2))
    return stefcal.divide(vis, flag, weight, np.ascontiguousarray(gains), antenna1, antenna2, time, block, feed1, feed2)


def _correct_full(vis, flag, weight, jones, antenna1, antenna2, time, block) -> int:
    undo, singular = inverse(jones, axes=3)
    size = 1 / np.sqrt(abs(np.linalg.det(undo)))
    lost = 0
    for start in range(0, len(vis), 1024):
        rows = slice(start, start + 1024)
        p, q = (antenna1[rows], time[rows]), (antenna2[rows], time[rows])
        seen = vis[rows].reshape(*vis[rows].shape[:2], 2, 2)
        right = np.conj(np.swapaxes(undo[q][:, block], 2, 3))
        vis[rows] = (undo[p][:, block] @ seen @ right).reshape(vis[rows].shape)
        weight[rows] *= ((size[p] * size[q]) ** 2)[:, block, None]
        none = (singular[p] | singular[q])[:, block, None] & ~flag[rows]
        flag[rows] |= none
        lost += int(none.sum())
    return lost
