"""Visibilities of many sources through Jones matrices, by the faster of two ways that are both exact.

V_pq = sum_s J_ps K_ps B_s K_qs^H J_qs^H (Smirnov 2011, A&A 527, A106). For points the sum is a product of matrices,
X Y^H at each time and frequency with Y_ps = J_ps K_ps and X_ps = Y_ps B_s, so that fringes and Jones matrices cost what
stations do, not baselines, as in matvis (Kittiwisit et al. 2025). Gaussians, smeared sources and baselines whose uvw
are not differences of stations' go row by row.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np

from imaging.algorithms import jones as algebra
from imaging.units import SPEED_OF_LIGHT

PARTS = 16  # into which times and channels are divided for threads
CONSISTENT = 1e-6  # m: uvw this near to differences of stations' coordinates are such differences


def brightness(stokes, feeds: str = "linear") -> np.ndarray:
    """Matrices (…, 2, 2) of stokes (…, 4) I, Q, U, V: XX = I + Q, XY = U + iV; RR = I + V, RL = Q + iU."""
    i, q, u, v = np.moveaxis(np.asarray(stokes), -1, 0)
    if feeds == "circular":
        q, u, v = v, q, u
    made = np.empty((*i.shape, 2, 2), complex)
    made[..., 0, 0], made[..., 1, 1] = i + q, i - q
    made[..., 0, 1], made[..., 1, 0] = u + 1j * v, u - 1j * v
    return made


def station_uvw(uvw, antenna1, antenna2, time, stations: int) -> tuple[np.ndarray, float]:
    """Coordinates (time, station, 3) m with uvw = those of antenna1 less those of antenna2, and the largest misfit.

    Least squares, time by time; each connected group of stations has its mean at 0. `time` (row,) counts from 0.
    """
    found, misfit, alike = np.zeros((int(time.max()) + 1 if len(time) else 0, stations, 3)), 0.0, {}
    order = np.argsort(time, kind="stable")
    pair, starts = (antenna1 * stations + antenna2)[order], np.searchsorted(time[order], np.arange(len(found) + 1))
    for t in range(len(found)):
        alike.setdefault(pair[starts[t] : starts[t + 1]].tobytes(), []).append(t)
    for times in alike.values():  # of the same baselines
        rows = order[starts[times][:, None] + np.arange(starts[times[0] + 1] - starts[times[0]])]
        p, q = antenna1[rows[0]], antenna2[rows[0]]
        incidence = np.zeros((len(p), stations))
        incidence[np.arange(len(p)), p] += 1
        incidence[np.arange(len(p)), q] -= 1
        found[times] = np.linalg.pinv(incidence) @ uvw[rows]
        apart = found[times][:, p] - found[times][:, q] - uvw[rows]
        misfit = max(misfit, float(np.abs(apart).max(initial=0.0)))
    return found, misfit


@dataclass(frozen=True)
class Pairs:
    """The pairs of stations in some rows: station p makes them with stations[starts[p] : starts[p + 1]].

    rows (pair, time): which row a pair is at a time, -1 for none. A pair that is twice in a time is two pairs.
    """

    stations: np.ndarray
    starts: np.ndarray
    rows: np.ndarray


def find_pairs(antenna1, antenna2, time, stations: int, times: int) -> Pairs:
    """Of antenna1, antenna2 and time (row,), which count from 0."""
    pair, order = antenna1 * stations + antenna2, np.arange(len(time))
    there = time * stations**2 + pair
    if (np.diff(there) < 0).any():
        order = np.argsort(there, kind="stable")
        there = there[order]
    new = np.diff(there, prepend=-1) > 0
    again = np.arange(len(there)) - np.maximum.accumulate(np.where(new, np.arange(len(there)), 0))
    known, index = np.unique(pair[order] + stations**2 * again, return_inverse=True)
    sorting = np.argsort(known % stations**2, kind="stable")
    known = known[sorting] % stations**2
    rows = np.full((len(known), times), -1)
    rows[np.argsort(sorting)[index], time[order]] = order
    return Pairs(known % stations, np.searchsorted(known // stations, np.arange(stations + 1)), rows)


def add_sources(
    vis, lmn1, brightness, jones, *, antenna1, antenna2, time, uvw, freq,
    stations_uvw=None, shape=None, motion=None, width=None, pairs: Pairs | None = None, run=None,
):  # fmt: skip
    """Add to vis (row, chan, 2, 2) complex128 the visibilities of sources.

    lmn1 (source, 3): l, m, n - 1. brightness (source, time | 1, chan | 1, 2, 2) Jy. jones of any kind
    (`algorithms.jones`). antenna1, antenna2, time (row,): indices into the axes of jones. uvw (row, 3) m, freq (chan,)
    Hz. stations_uvw (time, station, 3) allows sums over stations; without it all goes by rows. shape (source, 3):
    second moments ll, lm, mm of Gaussians, rad^2. motion (row, 3) m and width (chan,) Hz: what is averaged over.
    pairs: of the rows, where they are known. run(function, list of arguments) calls compiled functions, which may be
    at the same time: the visibilities do not depend on it.
    """
    lmn1 = np.ascontiguousarray(lmn1, float)
    if not len(lmn1) or not vis.size:
        return
    if pairs is None:
        counts = (max(jones.shape[1], antenna1.max() + 1, antenna2.max() + 1), max(jones.shape[2], time.max() + 1))
        pairs = find_pairs(antenna1, antenna2, time, *(counts if stations_uvw is None else stations_uvw.shape[1::-1]))
    if not vis.flags.c_contiguous:
        raise ValueError("vis has to be in C order: it is added to in place")
    light, extended = np.asarray(brightness, complex), np.zeros(len(lmn1), bool)
    if shape is not None:
        extended = np.asarray(shape).any(1)
    by_rows = extended | (motion is not None or width is not None or stations_uvw is None)
    scalar = np.zeros(len(lmn1), bool)
    if algebra.kind_of(jones) != "full":
        scalar = ((light[..., 0, 1] == 0) & (light[..., 1, 0] == 0) & (light[..., 0, 0] == light[..., 1, 1])).all(
            (1, 2)
        )
    work = _Work(vis, pairs, np.asarray(freq, float) / SPEED_OF_LIGHT, run or _one_by_one)
    for which, unpolarised in itertools.product((False, True), (False, True)):
        some = (by_rows == which) & (scalar == unpolarised)
        if not some.any():
            continue
        matrices = algebra.some_sources(jones, some)
        brightness = light[some][..., 0, 0] if unpolarised else light[some]
        if which:
            moments = np.zeros((0, 3)) if shape is None or not extended[some].any() else np.asarray(shape, float)[some]
            work.add_rows(lmn1[some], brightness, matrices, uvw, moments, motion, width)
        else:
            work.add_stations(lmn1[some], brightness, matrices, stations_uvw)


@dataclass(frozen=True)
class _Work:
    """What the kernels are given besides sources."""

    vis: np.ndarray
    pairs: Pairs
    turns: np.ndarray
    run: Callable

    def add_stations(self, lmn1, light, jones, stations_uvw):
        from imaging.kernels import rime

        self._in_parts(rime.add_stations, lmn1, light, jones, stations_uvw)

    def add_rows(self, lmn1, light, jones, uvw, shape, motion, width):
        from imaging.kernels import rime

        motion = np.zeros((0, 3)) if motion is None else np.ascontiguousarray(motion, float)
        width = np.zeros(0) if width is None else np.asarray(width, float) / SPEED_OF_LIGHT
        self._in_parts(rime.add_rows, lmn1, light, jones, uvw, shape, motion, width)

    def _in_parts(self, kernel, lmn1, light, jones, uvw, *more):
        from imaging.kernels.rime_lanes import LANES

        jones, light = _flat(jones, 4), _flat(light[:, None], 4)
        products = 8 if len(jones[0]) == 8 else 4 if len(light[0]) == 8 else len(jones[0]) // 2
        vis = self.vis.view(float).reshape(-1)
        groups = -(-self.pairs.rows.shape[1] * len(self.turns) // LANES)
        common = ((0.0,) * products, jones[0], light[0], vis, *jones[1:], *light[1:], lmn1,
                  np.ascontiguousarray(uvw, float), self.turns, *astuple(self.pairs), *more)  # fmt: skip
        size = -(-groups // PARTS)
        self.run(kernel, [(*common, first, min(first + size, groups)) for first in range(0, groups, size)])


def _one_by_one(function, items):
    for item in items:
        function(*item)


def _flat(array, axes):
    """A tuple as long as a matrix has floats, all of them flat, and the steps of the first axes, 0 where it is 1."""
    array = np.require(array, complex, ["C", "W"])
    steps = [step // 8 if length > 1 else 0 for step, length in zip(array.strides, array.shape[:axes], strict=False)]
    return (0.0,) * (2 * math.prod(array.shape[axes:])), array.reshape(-1).view(float), np.array(steps)
