"""Logarithmic polynomials by plain Gauss-Newton with halved steps: what `fit_log_polynomial` finds."""

import numpy as np


def evaluate_log_polynomial(coefficients, logs, out):
    """out = c0 10^(c1 L + c2 L^2 + ...)."""
    out[:] = coefficients[0] * 10 ** np.polyval([*coefficients[:0:-1], 0.0], logs)


def fit_log_polynomial(values, logs, coefficients):
    """Least squares in the values; from a flat spectrum, over twice as many terms at a time. Returns converged."""
    coefficients[:] = 0
    coefficients[0] = values.mean()
    model, n = np.empty_like(values), len(coefficients)
    for terms in range(1, n + 1):
        for _ in range(200):
            evaluate_log_polynomial(coefficients, logs, model)
            powers = [model / coefficients[0]] + [model * np.log(10) * logs**i for i in range(1, terms)]
            step = np.zeros(n)
            step[:terms] = np.linalg.lstsq(np.transpose(powers), values - model, rcond=None)[0]
            error = ((values - model) ** 2).sum()
            for _ in range(30):
                evaluate_log_polynomial(coefficients + step, logs, model)
                if ((values - model) ** 2).sum() <= error:
                    coefficients += step
                    break
                step /= 2
            if abs(step).max() < 1e-12 * abs(coefficients).max():
                break
    return True
