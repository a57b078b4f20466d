"""Gains of stations by StefCal: Salvini and Wijnholds (2014, A&A 571, A97), algorithms 1 and, for matrices, 4.1.

All that a solution needs of the visibilities are sums over its samples, for each pair of stations: w V M*, w |M|^2. An
iteration then costs the square of the number of stations, however many samples there are.
"""

import numpy as np

from imaging.kernels._jit import njit


@njit(cache=True, nogil=True)
def accumulate(vis, model, weight, antenna1, antenna2, block, feed, sums, power, total, count):
    """Add samples of diagonal gains to the sums of one interval.

    vis, model, weight (row, chan, corr): those of weight 0 are left out, whatever they hold. block (chan,) and feed
    (corr,) say where a sample belongs, -1: nowhere. sums w V M*, power w |M|^2, total w |V|^2 and count (block, feed,
    station, station).
    """
    for row in range(vis.shape[0]):
        p, q = antenna1[row], antenna2[row]
        if p == q:
            continue
        for chan in range(vis.shape[1]):
            b = block[chan]
            if b < 0:
                continue
            for corr in range(vis.shape[2]):
                f = feed[corr]
                w = np.float64(weight[row, chan, corr])
                if f < 0 or not w > 0:
                    continue
                v, m = np.complex128(vis[row, chan, corr]), np.complex128(model[row, chan, corr])
                cross = w * v * np.conj(m)
                strength = w * (m.real**2 + m.imag**2)
                size = w * (v.real**2 + v.imag**2)
                sums[b, f, p, q] += cross
                sums[b, f, q, p] += np.conj(cross)
                power[b, f, p, q] += strength
                power[b, f, q, p] += strength
                total[b, f, p, q] += size
                total[b, f, q, p] += size
                count[b, f, p, q] += 1
                count[b, f, q, p] += 1


@njit(cache=True, nogil=True)
def accumulate_full(vis, model, weight, antenna1, antenna2, block, sums, power, total, count):
    """Add samples of full Jones matrices to the sums of one interval.

    vis, model (row, chan, 4), weight (row, chan). sums w V_ia M_kb* and power w M_ia M_kb* (block, station, station,
    i, a, k, b); total, count (block, station, station).
    """
    for row in range(vis.shape[0]):
        p, q = antenna1[row], antenna2[row]
        if p == q:
            continue
        for chan in range(vis.shape[1]):
            b, w = block[chan], np.float64(weight[row, chan])
            if b < 0 or not w > 0:
                continue
            for left in range(4):
                v, n = np.complex128(vis[row, chan, left]), np.complex128(model[row, chan, left])
                i, a = left // 2, left % 2
                total[b, p, q] += w * (v.real**2 + v.imag**2)
                total[b, q, p] += w * (v.real**2 + v.imag**2)
                for right in range(4):
                    k, c = right // 2, right % 2
                    m = np.conj(np.complex128(model[row, chan, right]))
                    sums[b, p, q, i, a, k, c] += w * v * m
                    sums[b, q, p, a, i, c, k] += np.conj(w * v * m)
                    power[b, p, q, i, a, k, c] += w * n * m
                    power[b, q, p, a, i, c, k] += np.conj(w * n * m)
            count[b, p, q] += 4
            count[b, q, p] += 4


@njit(cache=True, nogil=True)
def solve(sums, power, phase_only, tolerance, most, gains, iterations):
    """Gains of each problem, from where they are: V_pq = g_p M_pq g_q*.

    sums, power (problem, station, station), zero where a pair has no samples; gains (problem, station), 0 where a
    station has none. iterations (problem,): how many it took, negative where `most` were not enough.
    """
    stations = gains.shape[1]
    new = np.empty(stations, np.complex128)
    for problem in range(gains.shape[0]):
        old = gains[problem]
        iterations[problem] = -most
        for iteration in range(1, most + 1):
            change, size = 0.0, 0.0
            for p in range(stations):
                top, bottom = 0j, 0.0
                for q in range(stations):
                    g = old[q]
                    top += sums[problem, p, q] * g
                    bottom += power[problem, p, q] * (g.real**2 + g.imag**2)
                if phase_only:
                    bottom = abs(top)
                new[p] = top / bottom if bottom > 0 else 0
                change += abs(new[p] - old[p]) ** 2
                size += abs(new[p]) ** 2
            done = iteration % 2 == 0 and change <= tolerance**2 * size
            for p in range(stations):
                if iteration % 2 == 0 and not done:
                    new[p] = (new[p] + old[p]) / 2
                    if phase_only and abs(new[p]) > 0:
                        new[p] /= abs(new[p])
                old[p] = new[p]
            if done:
                iterations[problem] = iteration
                break


@njit(cache=True, nogil=True)
def solve_full(sums, power, tolerance, most, jones, iterations):
    """Jones matrices of each problem, from where they are: V_pq = J_p M_pq J_q^H.

    sums, power (problem, station, station, 2, 2, 2, 2), jones (problem, station, 2, 2), zero where there is nothing.
    """
    stations = jones.shape[1]
    new = np.empty((stations, 2, 2), np.complex128)
    top, bottom = np.empty((2, 2), np.complex128), np.empty((2, 2), np.complex128)
    for problem in range(jones.shape[0]):
        old = jones[problem]
        iterations[problem] = -most
        for iteration in range(1, most + 1):
            change, size = 0.0, 0.0
            for p in range(stations):
                top[:], bottom[:] = 0, 0
                for q in range(stations):
                    for a in range(2):
                        for b in range(2):
                            gram = np.conj(old[q, 0, a]) * old[q, 0, b] + np.conj(old[q, 1, a]) * old[q, 1, b]
                            for i in range(2):
                                for k in range(2):
                                    top[i, k] += sums[problem, p, q, i, a, k, b] * old[q, a, b]
                                    bottom[i, k] += power[problem, p, q, i, a, k, b] * gram
                determinant = bottom[0, 0] * bottom[1, 1] - bottom[0, 1] * bottom[1, 0]
                new[p] = 0
                if abs(determinant) > 0:
                    for i in range(2):
                        new[p, i, 0] = (top[i, 0] * bottom[1, 1] - top[i, 1] * bottom[1, 0]) / determinant
                        new[p, i, 1] = (top[i, 1] * bottom[0, 0] - top[i, 0] * bottom[0, 1]) / determinant
                for i in range(2):
                    for k in range(2):
                        change += abs(new[p, i, k] - old[p, i, k]) ** 2
                        size += abs(new[p, i, k]) ** 2
            done = iteration % 2 == 0 and change <= tolerance**2 * size
            for p in range(stations):
                for i in range(2):
                    for k in range(2):
                        mean = iteration % 2 == 0 and not done
                        old[p, i, k] = (new[p, i, k] + old[p, i, k]) / 2 if mean else new[p, i, k]
            if done:
                iterations[problem] = iteration
                break


@njit(cache=True, nogil=True)
def divide(vis, flag, weight, gain, antenna1, antenna2, time, block, feed1, feed2):
    """vis / (g_p g_q*) and weight |g_p g_q|^2 in place, flagged where one of the gains is not a number, or 0.

    vis, flag, weight (row, chan, corr); gain (station, time, block, feed); time (row,), block (chan,), feed1, feed2
    (corr,) index it. Returns how many samples were flagged by it.
    """
    lost = 0
    for row in range(vis.shape[0]):
        p, q, t = antenna1[row], antenna2[row], time[row]
        for chan in range(vis.shape[1]):
            for corr in range(vis.shape[2]):
                g = gain[p, t, block[chan], feed1[corr]] * np.conj(gain[q, t, block[chan], feed2[corr]])
                size = g.real**2 + g.imag**2
                if size > 0 and size < np.inf:
                    vis[row, chan, corr] /= g
                    weight[row, chan, corr] *= size
                elif not flag[row, chan, corr]:
                    flag[row, chan, corr] = True
                    lost += 1
    return lost
