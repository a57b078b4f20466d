"""Fringes, Gaussians and averages of many sources and samples, as plain loops that compile to vectors.

Arrays are flat, (source, lane). Phases are in turns: taken modulo 1 they lose no digit. The series are Taylor's, as
long as double precision asks for on the intervals they are used on.
"""

import math

import numpy as np

from imaging.kernels._jit import njit

TURN = 2 * math.pi
LOG2E, LN2_HIGH, LN2_LOW = 1 / math.log(2), 0.693147180369123816490, 1.90821492927058770002e-10
S = tuple((-1) ** k * TURN ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(11))
C = tuple((-1) ** k * TURN ** (2 * k) / math.factorial(2 * k) for k in range(12))
E = tuple(1 / math.factorial(k) for k in range(14))
OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


@njit(**OPTIONS)
def dot(lmn1, first, count, waves, out, lanes):
    """out = l u + m v + (n - 1) w of the sources from `first` on; waves (3, lane)."""
    for i in range(count):
        l, m, n = lmn1[first + i, 0], lmn1[first + i, 1], lmn1[first + i, 2]
        some = out[i * lanes : (i + 1) * lanes]
        for lane in range(lanes):
            some[lane] = l * waves[0, lane] + m * waves[1, lane] + n * waves[2, lane]


@njit(**OPTIONS)
def cis(turns, c, s):
    """c + i s = exp(2 pi i turns)."""
    for i in range(len(turns)):
        k = np.rint(2 * turns[i])
        x = turns[i] - 0.5 * k
        sign = 1 - 4 * (0.5 * k - np.floor(0.5 * k))
        z = x * x
        a = S[9] + z * S[10]
        b = C[10] + z * C[11]
        a = S[8] + z * a
        b = C[9] + z * b
        a = S[7] + z * a
        b = C[8] + z * b
        a = S[6] + z * a
        b = C[7] + z * b
        a = S[5] + z * a
        b = C[6] + z * b
        a = S[4] + z * a
        b = C[5] + z * b
        a = S[3] + z * a
        b = C[4] + z * b
        a = S[2] + z * a
        b = C[3] + z * b
        a = S[1] + z * a
        b = C[2] + z * b
        a = S[0] + z * a
        b = C[1] + z * b
        b = C[0] + z * b
        s[i] = sign * x * a
        c[i] = sign * b


@njit(**OPTIONS)
def scale(values, factor):
    for i in range(len(values)):
        values[i] *= factor[i]


@njit(**OPTIONS)
def average(turns, factor):
    """factor *= sin(pi turns) / (pi turns)."""
    for i in range(len(turns)):
        k = np.rint(turns[i])
        x = 0.5 * (turns[i] - k)
        sign = 1 - 4 * (0.5 * k - np.floor(0.5 * k))
        z = x * x
        a = S[10]
        a = S[9] + z * a
        a = S[8] + z * a
        a = S[7] + z * a
        a = S[6] + z * a
        a = S[5] + z * a
        a = S[4] + z * a
        a = S[3] + z * a
        a = S[2] + z * a
        a = S[1] + z * a
        a = S[0] + z * a
        angle = 0.5 * TURN * turns[i]
        factor[i] *= 1.0 if abs(angle) < 1e-9 else sign * x * a / angle


@njit(**OPTIONS)
def gaussian(shape, first, count, waves, factor, power, bits, lanes):
    """factor *= exp(-2 pi^2 (ll u^2 + 2 lm u v + mm v^2)) of second moments shape (source, 3)."""
    for i in range(count):
        ll, lm, mm = shape[first + i, 0], 2 * shape[first + i, 1], shape[first + i, 2]
        some = power[i * lanes : (i + 1) * lanes]
        for lane in range(lanes):
            u, v = waves[0, lane], waves[1, lane]
            some[lane] = min(0.5 * TURN * TURN * (ll * u * u + lm * u * v + mm * v * v), 700.0)
    for i in range(count * lanes):
        k = np.rint(-power[i] * LOG2E)
        x = (-power[i] - k * LN2_HIGH) - k * LN2_LOW
        bits[i] = (np.int64(k) + 1023) << 52
        a = E[12] + x * E[13]
        a = E[11] + x * a
        a = E[10] + x * a
        a = E[9] + x * a
        a = E[8] + x * a
        a = E[7] + x * a
        a = E[6] + x * a
        a = E[5] + x * a
        a = E[4] + x * a
        a = E[3] + x * a
        a = E[2] + x * a
        a = E[1] + x * a
        factor[i] *= E[0] + x * a
    scale(factor[: count * lanes], bits.view(np.float64)[: count * lanes])
