"""What solve consists of: the solution intervals of a spectral window, which samples count, what is no result."""

from __future__ import annotations

from collections import Counter

import numpy as np

from imaging.algorithms.calibration import PARALLEL, Gains, Scheme, Solver, intervals
from imaging.errors import ImagingError
from imaging.io.ms_reader import Chunk, Reader
from imaging.log import logger

FEEDS = {"linear": ("X", "Y"), "circular": ("R", "L")}
SAMPLES = ("flagged", "without weight", "not finite", "without model", "used")


class Window:
    """One spectral window: its solution intervals, each solved when the last of its rows has come."""

    def __init__(self, reader: Reader, ddid: int, wishes, stations: int, scheme: Scheme):
        window, channels = reader.meta.window(ddid), reader.channels(ddid)
        self.freq, width = window.freq[channels], abs(window.width[channels])
        each = wishes.channels or len(channels)
        self.block = np.arange(len(channels)) // each
        starts = np.arange(0, len(channels), each)
        self.low = np.minimum.reduceat(self.freq - width / 2, starts)
        self.high = np.maximum.reduceat(self.freq + width / 2, starts)
        self.wishes, self.scheme, self.stations = wishes, scheme, stations
        self.entries: dict[tuple, list] = {}
        self.open: dict[int, Solver] = {}
        self.solved: dict[int, tuple] = {}
        self.known: set[str] = set()

    @staticmethod
    def key(reader: Reader, ddid: int) -> tuple:
        return tuple(reader.meta.window(ddid).freq[reader.channels(ddid)].tolist())

    def expect(self, number: int, time: float, scan: int, length: float, rows: int) -> None:
        """So many rows of an integration in a set."""
        entry = self.entries.setdefault((number, scan, time), [length, 0])
        entry[0], entry[1] = max(entry[0], length), entry[1] + rows

    def plan(self) -> None:
        """Divide the integrations that are expected into intervals."""
        keys = list(self.entries)
        time, length = np.array([key[2] for key in keys]), np.array([self.entries[key][0] for key in keys])
        solint = {"inf": np.inf, "int": 0.0}.get(self.wishes.solint, self.wishes.solint)
        if 0 < solint < length.min() * (1 - 1e-6):
            raise ImagingError("The solution interval is shorter than an integration.",
                               got=f"selfcal.solint: {solint:g}s, integrations of {length.min():g} s",
                               expected=f"int, inf, or at least {length.min():g}s",
                               next_step="set selfcal.solint: int for a solution each integration")  # fmt: skip
        scans = {key[:2]: n for n, key in enumerate(sorted({key[:2] for key in keys}))}
        scan = np.array([0 if self.wishes.combine == "scan" else scans[key[:2]] for key in keys])
        index, self.begin, self.end = intervals(time, length, scan, solint)
        order = np.argsort(self.begin, kind="stable")
        index, self.begin, self.end = np.argsort(order)[index], self.begin[order], self.end[order]
        self.interval = dict(zip(keys, index.tolist(), strict=True))
        self.pending = Counter()
        for key, k in self.interval.items():
            self.pending[k] += self.entries[key][1]
        bounds = [(time[index == k].min(), time[index == k].max()) for k in range(len(self.begin))]
        self.time = np.array(bounds).mean(1)

    def take(self, number: int, chunk: Chunk, weight, place, correlations: list[str]) -> None:
        """Samples with their weights; `place` of the set's antennas among the stations."""
        self.known.update(correlations)
        k_of_row = np.array([
            self.interval[number, scan, time]
            for scan, time in zip(chunk.scan.tolist(), chunk.time.tolist(), strict=True)
        ])  # fmt: skip
        p, q = place[chunk.antenna1], place[chunk.antenna2]
        for k in np.unique(k_of_row).tolist():
            rows = np.flatnonzero(k_of_row == k)
            if k not in self.open:
                self.open[k] = Solver(self.stations, len(self.low), self.scheme)
            self.open[k].add(
                chunk.vis[rows], chunk.model[rows], weight[rows], p[rows], q[rows], self.block, correlations
            )
            self.pending[k] -= len(rows)
            if not self.pending[k]:
                self.solved[k] = self.open.pop(k).solve()

    @property
    def gains(self) -> Gains:
        """All of them; a feed that is not in the data keeps gains of 1."""
        gain, flag, error = (np.stack([self.solved[k][i] for k in sorted(self.solved)], 1) for i in range(3))
        iterations = np.stack([self.solved[k][3] for k in sorted(self.solved)])
        if self.scheme.gaintype == "G":
            absent = [f for f in range(2) if f not in {PARALLEL.get(c) for c in self.known}]
            gain[..., absent], flag[..., absent], error[..., absent] = 1, False, 0
        return Gains(self.time, self.begin, self.end, (self.low + self.high) / 2, self.low, self.high,
                     gain, flag, error, iterations)  # fmt: skip


def windows_of(readers: list[Reader], wishes, stations: tuple[str, ...]) -> dict[tuple, Window]:
    """The spectral windows of all sets, by `Window.key`, with their solution intervals."""
    scheme, windows = scheme_of(wishes, stations), {}
    for number, reader in enumerate(readers):
        for ddid, *integration in reader.schedule():
            key = Window.key(reader, ddid)
            if key not in windows:
                windows[key] = Window(reader, ddid, wishes, len(stations), scheme)
            windows[key].expect(number, *integration)
    for window in windows.values():
        window.plan()
    return windows


def stations_of(readers: list[Reader]) -> tuple[str, ...]:
    """Names of the antennas of all sets, each once."""
    for reader in readers:
        twice = [name for name, count in Counter(reader.meta.antennas).items() if count > 1]
        if twice:
            raise ImagingError(f"Antennas of {reader.meta.path} share a name.", got=twice[0],
                               expected="a name of its own for each: solutions go by name",
                               next_step="rename them in the ANTENNA subtable")  # fmt: skip
    return tuple(dict.fromkeys(name for reader in readers for name in reader.meta.antennas))


def feeds_of(readers: list[Reader], gaintype: str) -> tuple[str, str]:
    """Names of the feeds of all sets. Raises ImagingError where the correlations are not of feeds, or not enough."""
    found = [reader.meta.correlations(ddid) for reader in readers for ddid in reader.survey.rows]
    kinds = {kind for correlations in found for kind, names in FEEDS.items()
             if any(c in (2 * names[0], 2 * names[1]) for c in correlations)}  # fmt: skip
    if len(kinds) != 1:
        raise ImagingError("Gains need the correlations of feeds.", got="; ".join(", ".join(c) for c in found),
                           expected="XX and YY, or RR and LL, in all sets",
                           next_step="select data of one kind of feeds")  # fmt: skip
    if gaintype == "J" and any(len(c) != 4 for c in found):
        raise ImagingError("Jones matrices need all four correlations.", got=", ".join(min(found, key=len)),
                           expected="the parallel hands and the cross hands",
                           next_step="set selfcal.gaintype: G")  # fmt: skip
    return FEEDS[kinds.pop()]


def places_of(correlations: tuple[str, ...], gaintype: str) -> list[int]:
    """Which correlations to read: the parallel hands, or all."""
    return [i for i, name in enumerate(correlations) if gaintype == "J" or name in PARALLEL]


def scheme_of(wishes, stations: tuple[str, ...]) -> Scheme:
    """How to solve, with reference antennas by name. Raises ImagingError where there is no such antenna."""
    check_refant(wishes.refant, stations)
    # What an unpolarised model leaves open in a matrix, a weakly polarised one settles slowly.
    more = {"tolerance": 1e-5, "most": 5000} if wishes.gaintype == "J" else {}
    return Scheme(wishes.gaintype, wishes.calmode, tuple(stations.index(name) for name in wishes.refant),
                  wishes.minblperant, wishes.minsnr, **more)  # fmt: skip


def check_refant(refant, stations) -> None:
    unknown = [name for name in refant if name not in stations]
    if unknown:
        raise ImagingError("There is no such reference antenna.", got=f"selfcal.refant: {unknown[0]}",
                           expected=", ".join(stations), next_step="name one of these, or leave selfcal.refant empty"
                           )  # fmt: skip


def usable_weight(chunk: Chunk, counts: Counter) -> np.ndarray:
    """Weights (row, chan, corr), 0 where a sample is not to be used; `counts` learns why."""
    weight = np.broadcast_to(chunk.weight, chunk.vis.shape).copy()
    left = ~chunk.flag
    counts["flagged"] += int(chunk.flag.sum())
    for why, bad in (
        ("not finite", ~(np.isfinite(chunk.vis) & np.isfinite(weight) & np.isfinite(chunk.model))),
        ("without weight", ~(weight > 0)),
        ("without model", chunk.model == 0),
    ):
        counts[why] += int((left & bad).sum())
        left &= ~bad
    counts["used"] += int(left.sum())
    weight[~left] = 0
    return weight


def check_result(windows: list[Gains], counts: Counter, stations: int, wishes) -> None:
    """Raise ImagingError where there is no solution at all; say how many there are. `stations` had data."""
    flags = [window.flag for window in windows]
    total, lost = sum(flag.size for flag in flags), sum(int(flag.sum()) for flag in flags)
    told = ", ".join(f"{counts[why]} {why}" for why in SAMPLES if counts[why])
    if not counts["used"]:
        model = counts["without model"]
        raise ImagingError("There is nothing to solve for." if model else "All samples are flagged.",
                           got=f"samples: {told}", expected="unflagged samples, and a model that is not 0",
                           next_step="look whether the mask is empty (section mask), else clean deeper: clean.niter,"
                           " clean.nsigma, clean.threshold" if model
                           else "check FLAG and the weights of data.vis")  # fmt: skip
    check_number(stations, "with data", wishes)
    signal = [float(np.median(_snr(window))) for window in windows]
    logger.info("%d solutions, %d flagged; median signal to noise %.3g; samples: %s", total, lost,
                float(np.median(signal)), told)  # fmt: skip
    if lost == total:
        raise ImagingError("No solution is good enough.", got=f"{total} solutions, all flagged; median signal to noise"
                           f" {np.median(signal):.3g}",
                           expected=f"selfcal.minsnr: {wishes.minsnr:g}, and {wishes.minblperant} baselines each",
                           next_step="set a longer selfcal.solint, selfcal.combine: scan or selfcal.gaintype: T, or a"
                           " lower selfcal.minsnr")  # fmt: skip
    if lost > 0.2 * total:
        logger.warning("%d of %d solutions are flagged, and the data with them", lost, total)


def check_number(stations: int, which: str, wishes) -> None:
    """Raise ImagingError where so many stations are too few for the baselines that each needs."""
    if stations <= wishes.minblperant:
        raise ImagingError("There are too few antennas for solutions.", got=f"{stations} {which}",
                           expected=f"at least {wishes.minblperant + 1}, by selfcal.minblperant:"
                           f" {wishes.minblperant}",
                           next_step="select more antennas, or lower selfcal.minblperant (2 antennas give phases,"
                           " 3 amplitudes)")  # fmt: skip


def _snr(window: Gains) -> np.ndarray:
    size = np.sqrt((abs(window.gain) ** 2).sum((3, 4)) / 2) if window.gain.ndim == 5 else abs(window.gain)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = size / window.error
    return ratio[np.isfinite(ratio)] if np.isfinite(ratio).any() else np.zeros(1)
