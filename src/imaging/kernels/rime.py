"""The measurement equation's inner loops: sums over sources of J_p K_p B K_q^H J_q^H (Smirnov 2011, A&A 527, A106).

LANES samples (time, channel), numbered time by time, go together: a group. A group is summed over all sources by
itself, so that no result depends on how groups are shared among threads. Arrays are flat float64, of complex ones:

jones, light : the matrices and the brightness. That of source s, station p, time t and channel f begins at
    s steps[0] + p steps[1] + t steps[2] + f steps[3] and has as many floats as the tuple `size`: 2 a scalar, 4 a
    diagonal, 8 a full matrix. Light is scalar for kinds of 1 and 2 products (rime_lanes.PATTERNS), full for 4 and 8.
vis : (row, chan, 2, 2).
stations, starts : the stations q that p makes pairs with are stations[starts[p] : starts[p + 1]].
rows : (pair, time), where a pair is in vis, or -1.
lmn1 : (source, 3), l, m, n - 1. turns (chan,) : nu/c; a length in m times it is in turns.
"""

import numpy as np

from imaging.kernels._jit import njit
from imaging.kernels.gridding_taps import prefetch
from imaging.kernels.rime_lanes import (
    LANES,
    add_products,
    entries,
    give,
    sources_at_once,
    stride,
    take,
    turn_x,
    turn_y,
    with_light,
)
from imaging.kernels.rime_waves import average, cis, dot, gaussian, scale

AHEAD = 8  # sources whose matrices are called for before they are needed
OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**OPTIONS)
def samples(group, ntime, nchan, time, chan):
    """Time and channel of a group's samples, and their number; beyond the end the last one is repeated."""
    last = ntime * nchan - 1
    for lane in range(LANES):
        at = min(group * LANES + lane, last)
        time[lane], chan[lane] = at // nchan, at % nchan
    return min(LANES, last + 1 - group * LANES)


@njit(**OPTIONS)
def places(rows, nchan, time, chan, number, at):
    """Where each pair's samples are in vis, (pair LANES + lane), or -1."""
    for pair in range(len(rows)):
        for lane in range(LANES):
            row = rows[pair, time[lane]] if lane < number else -1
            at[pair * LANES + lane] = (row * nchan + chan[lane]) * 8 if row >= 0 else -1


@njit(**OPTIONS)
def matrices(kind, size, source, first, steps, time, chan, count, at, out, to):
    """`count` sources' matrices, from `first` of the flat `source` on, to lanes at out[to:]."""
    for lane in range(LANES):
        at[lane] = time[lane] * steps[2] + chan[lane] * steps[3]
    for i in range(count):
        for lane in range(0, LANES, max(8 // len(size), 1)):
            prefetch(source, first + (i + AHEAD) * steps[0] + at[lane])
        take(size, source, first + i * steps[0], at, out, to + i * stride(kind))


@njit(**OPTIONS)
def add_stations(kind, size, light_size, vis, jones, steps, light, light_steps, lmn1, place, turns, stations, starts,
                 rows, first, last):  # fmt: skip
    """Add to vis points, with baselines that are differences of stations' coordinates place (time, station, 3) m.

    For the groups `first` <= g < `last`. V_pq = sum over sources of x_p y_q^H with y = J K and x = y B.
    """
    ntime, nstation, nchan, nsource = len(place), place.shape[1], len(turns), len(lmn1)
    block = sources_at_once(kind)
    apart, wide, long = block * LANES, 2 * entries(kind)[1] * LANES, block * stride(kind) + LANES
    x, b, y = np.empty(long), np.empty(long), np.empty(nstation * long)
    phase, c, s, waves = np.empty(apart), np.empty(apart), np.empty(apart), np.empty((3, LANES))
    time, chan, at = np.empty(LANES, np.int64), np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    total, where = np.empty(len(stations) * wide), np.empty(len(stations) * LANES, np.int64)
    for group in range(first, last):
        number = samples(group, ntime, nchan, time, chan)
        total[:] = 0
        for source in range(0, nsource, block):
            count = min(block, nsource - source)
            n = count * LANES
            matrices(kind, light_size, light, source * light_steps[0], light_steps, time, chan, count, at, b, 0)
            for p in range(nstation):
                for lane in range(LANES):
                    for k in range(3):
                        waves[k, lane] = place[time[lane], p, k] * turns[chan[lane]]
                dot(lmn1, source, count, waves, phase, LANES)
                cis(phase[:n], c[:n], s[:n])
                matrices(kind, size, jones, source * steps[0] + p * steps[1], steps, time, chan, count, at, y, p * long)
                if len(kind) == 4 and len(size) == 2:  # a scalar is a diagonal of twice itself
                    matrices(kind, size, jones, source * steps[0] + p * steps[1], steps, time, chan, count, at, y,
                             p * long + 2 * LANES)  # fmt: skip
                turn_y(kind, y, p * long, c, s, count, y, p * long)
            for p in range(nstation):
                pair, end = starts[p], starts[p + 1]
                if end > pair:
                    with_light(kind, y, p * long, b, count, x)
                while pair + 2 <= end:
                    add_products(kind, x, y, (stations[pair] * long, stations[pair + 1] * long), count, total,
                                 (pair * wide, (pair + 1) * wide))  # fmt: skip
                    pair += 2
                if pair < end:
                    add_products(kind, x, y, (stations[pair] * long,), count, total, (pair * wide,))
        places(rows, nchan, time, chan, number, where)
        for pair in range(len(stations)):
            give(kind, total, pair * wide, vis, where, pair * LANES)


@njit(**OPTIONS)
def add_rows(kind, size, light_size, vis, jones, steps, light, light_steps, lmn1, uvw, turns, stations, starts, rows,
             shape, motion, width, first, last):  # fmt: skip
    """Add to vis any sources, on rows with any uvw (row, 3) m.

    shape (source, 3): second moments ll, lm, mm of Gaussians in rad^2. motion (row, 3): the change of uvw during the
    integration, width (chan,) = dnu/c: averaging over both multiplies by sinc(phase change / 2). Length 0: none.
    """
    ntime, nstation, nchan, nsource = rows.shape[1], len(starts) - 1, len(turns), len(lmn1)
    block = sources_at_once(kind)
    apart, wide, long = block * LANES, 2 * entries(kind)[1] * LANES, block * stride(kind) + LANES
    x, b, y, turned = np.empty(long), np.empty(long), np.empty(nstation * long), np.empty(long)
    phase, c, s, factor = np.empty(apart), np.empty(apart), np.empty(apart), np.empty(apart)
    bits, waves, change = np.empty(apart, np.int64), np.empty((3, LANES)), np.empty((3, LANES))
    time, chan, at = np.empty(LANES, np.int64), np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    total, where = np.empty(len(stations) * wide), np.empty(len(stations) * LANES, np.int64)
    for group in range(first, last):
        number = samples(group, ntime, nchan, time, chan)
        places(rows, nchan, time, chan, number, where)
        total[:] = 0
        for source in range(0, nsource, block):
            count = min(block, nsource - source)
            n = count * LANES
            matrices(kind, light_size, light, source * light_steps[0], light_steps, time, chan, count, at, b, 0)
            for p in range(nstation):
                matrices(kind, size, jones, source * steps[0] + p * steps[1], steps, time, chan, count, at, y, p * long)
                if len(kind) == 4 and len(size) == 2:  # a scalar is a diagonal of twice itself
                    matrices(kind, size, jones, source * steps[0] + p * steps[1], steps, time, chan, count, at, y,
                             p * long + 2 * LANES)  # fmt: skip
            for p in range(nstation):
                if starts[p + 1] > starts[p]:
                    with_light(kind, y, p * long, b, count, x)
                for pair in range(starts[p], starts[p + 1]):
                    used = False
                    for lane in range(LANES):
                        row, nu = max(rows[pair, time[lane]], 0), turns[chan[lane]]
                        used |= where[pair * LANES + lane] >= 0
                        for k in range(3):
                            waves[k, lane] = uvw[row, k] * nu
                    if not used:
                        continue
                    dot(lmn1, source, count, waves, phase, LANES)
                    cis(phase[:n], c[:n], s[:n])
                    if len(shape) + len(width) + len(motion) > 0:
                        factor[:n] = 1
                        if len(shape) > 0:
                            gaussian(shape, source, count, waves, factor, phase, bits, LANES)
                        if len(width) > 0:
                            for lane in range(LANES):
                                row, nu = max(rows[pair, time[lane]], 0), width[chan[lane]]
                                for k in range(3):
                                    change[k, lane] = uvw[row, k] * nu
                            dot(lmn1, source, count, change, phase, LANES)
                            average(phase[:n], factor[:n])
                        if len(motion) > 0:
                            for lane in range(LANES):
                                row, nu = max(rows[pair, time[lane]], 0), turns[chan[lane]]
                                for k in range(3):
                                    change[k, lane] = motion[row, k] * nu
                            dot(lmn1, source, count, change, phase, LANES)
                            average(phase[:n], factor[:n])
                        scale(c[:n], factor)
                        scale(s[:n], factor)
                    turn_x(kind, x, 0, c, s, count, turned, 0)
                    add_products(kind, turned, y, (stations[pair] * long,), count, total, (pair * wide,))
        for pair in range(len(stations)):
            give(kind, total, pair * wide, vis, where, pair * LANES)


@njit(**OPTIONS)
def apply_stations(vis, jones, antenna1, antenna2, time):
    """vis (row, chan, 2, 2) becomes J_p vis J_q^H in place; jones (station, time, chan) and nothing, (2,) or (2, 2)."""
    stations, tj, fj = jones.shape[0] > 1, jones.shape[1] > 1, jones.shape[2] > 1
    for i in range(vis.shape[0]):
        p, q, t = antenna1[i] * stations, antenna2[i] * stations, time[i] * tj
        for f in range(vis.shape[1]):
            x = vis[i, f]
            if jones.ndim == 3:
                gain = jones[p, t, f * fj] * np.conj(jones[q, t, f * fj])
                for k in range(2):
                    x[k, 0] *= gain
                    x[k, 1] *= gain
            elif jones.ndim == 4:
                left, right = jones[p, t, f * fj], jones[q, t, f * fj]
                for k in range(2):
                    x[k, 0] *= left[k] * np.conj(right[0])
                    x[k, 1] *= left[k] * np.conj(right[1])
            else:
                left, right = jones[p, t, f * fj], jones[q, t, f * fj]
                a = left[0, 0] * x[0, 0] + left[0, 1] * x[1, 0]
                b = left[0, 0] * x[0, 1] + left[0, 1] * x[1, 1]
                c = left[1, 0] * x[0, 0] + left[1, 1] * x[1, 0]
                d = left[1, 0] * x[0, 1] + left[1, 1] * x[1, 1]
                x[0, 0] = a * np.conj(right[0, 0]) + b * np.conj(right[0, 1])
                x[0, 1] = a * np.conj(right[1, 0]) + b * np.conj(right[1, 1])
                x[1, 0] = c * np.conj(right[0, 0]) + d * np.conj(right[0, 1])
                x[1, 1] = c * np.conj(right[1, 0]) + d * np.conj(right[1, 1])
