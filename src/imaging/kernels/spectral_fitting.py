"""Spectra of single components: projection onto a polynomial, or a logarithmic polynomial by Levenberg-Marquardt.

The latter is S(nu) = c0 10^(c1 L + c2 L^2 + ...), L = log10(nu/nu0): least squares in S itself, so that values that
scatter about zero count as what they are.
"""

import math

import numpy as np

from imaging.kernels._jit import njit

NONE, LINEAR, LOGARITHMIC = 0, 1, 2
TRIES, ENOUGH = 60, 1e-12
LARGEST_EXPONENT = 30.0  # decades; keeps a wild spectrum from overflowing


@njit(cache=True, nogil=True)
def evaluate_log_polynomial(coefficients, logs, out):
    """out[k] = c0 10^(c1 L_k + c2 L_k^2 + ...)."""
    for k in range(logs.size):
        exponent = 0.0
        for i in range(coefficients.size - 1, 0, -1):
            exponent = (exponent + coefficients[i]) * logs[k]
        out[k] = coefficients[0] * 10.0 ** min(max(exponent, -LARGEST_EXPONENT), LARGEST_EXPONENT)


@njit(cache=True, nogil=True)
def _solve(matrix, vector, damping, out):
    """out = (matrix + damping diag(matrix))^-1 vector by Cholesky; False where that is not positive definite."""
    n = vector.size
    lower = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j] * (1.0 + damping if i == j else 1.0)
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                lower[i, i] = math.sqrt(total)
            else:
                lower[i, j] = total / lower[j, j]
    for i in range(n):
        out[i] = vector[i]
        for k in range(i):
            out[i] -= lower[i, k] * out[k]
        out[i] /= lower[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            out[i] -= lower[k, i] * out[k]
        out[i] /= lower[i, i]
    return True


@njit(cache=True, nogil=True)
def _start(values, logs, coefficients):
    """A straight line through log |values| of the sign that dominates, weighted with their squares."""
    total = values.sum()
    coefficients[:] = 0.0
    coefficients[0] = total / values.size
    weight, x, y, xx, xy, used = 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for k in range(values.size):
        if values[k] * total > 0.0:
            w, log = values[k] ** 2, math.log10(abs(values[k]))
            weight += w
            x += w * logs[k]
            y += w * log
            xx += w * logs[k] ** 2
            xy += w * logs[k] * log
            used += 1
    spread = weight * xx - x * x
    if used == values.size and coefficients.size > 1 and spread > 1e-12 * weight * xx:
        coefficients[1] = (weight * xy - x * y) / spread
        coefficients[0] = math.copysign(10.0 ** ((y - coefficients[1] * x) / weight), total)


@njit(cache=True, nogil=True)
def fit_log_polynomial(values, logs, coefficients):
    """Fill `coefficients` (nterms,) for `values` at `logs` = log10(nu/nu0), both float64 (n,). Returns converged."""
    n = coefficients.size
    _start(values, logs, coefficients)
    if coefficients[0] == 0.0:
        return True
    model, trial, step = np.empty(values.size), coefficients.copy(), np.empty(n)
    matrix, vector, row = np.empty((n, n)), np.empty(n), np.empty(n)
    evaluate_log_polynomial(coefficients, logs, model)
    error, damping = ((values - model) ** 2).sum(), 1e-3
    for _ in range(TRIES):
        matrix[:], vector[:] = 0.0, 0.0
        for k in range(values.size):
            row[0] = model[k] / coefficients[0]
            power = model[k] * math.log(10.0)
            for i in range(1, n):
                power *= logs[k]
                row[i] = power
            for i in range(n):
                vector[i] += row[i] * (values[k] - model[k])
                for j in range(n):
                    matrix[i, j] += row[i] * row[j]
        while True:
            if _solve(matrix, vector, damping, step):
                trial[:] = coefficients + step
                evaluate_log_polynomial(trial, logs, model)
                new = ((values - model) ** 2).sum()
                if new <= error and trial[0] != 0.0:
                    break
            damping *= 10.0
            if damping > 1e12:
                return True  # no step makes it smaller: the minimum, to rounding
        coefficients[:] = trial
        change, error, damping = error - new, new, max(damping * 0.1, 1e-12)
        if change <= ENOUGH * error:
            return True
    return False


@njit(cache=True, nogil=True)
def fit_spectrum(kind, smoothing, logs, valid, nterms, values, work):
    """Replace `values` (chan,) float64 by its fitted spectrum: nothing, a linear projection, or logarithmic.

    smoothing : (chan, chan), used where `kind` is LINEAR. valid : indices of the channels that are fitted. work : (2,
    chan) scratch.
    """
    if kind == LINEAR:
        for k in range(values.size):
            work[0, k] = values[k]
        for k in range(values.size):
            total = 0.0
            for j in valid:
                total += smoothing[k, j] * work[0, j]
            values[k] = total
    elif kind == LOGARITHMIC:
        n = valid.size
        for k in range(n):
            work[0, k] = values[valid[k]]
            work[1, k] = logs[valid[k]]
        coefficients = np.empty(nterms)
        fit_log_polynomial(work[0, :n], work[1, :n], coefficients)
        evaluate_log_polynomial(coefficients, logs, values)
