"""The exponential-of-semicircle kernel: how wide it must be, its taps as polynomials, its Fourier transform.

phi(x) = exp(beta W (sqrt(1 - (2 x / W)^2) - 1)) for |x| < W / 2 cells (Barnett, Magland and af Klinteberg 2019, SIAM
J. Sci. Comput. 41, C479). A sample between cells, spread by phi and transformed, gives at image frequency f (cycles per
cell) its fringe times phi^(f), plus aliases phi^(f + k). What remains after division by phi^(f) has the relative
rms sqrt(sum over k != 0 of phi^(f + k)^2) / phi^(f); the error of a kernel is the rms of that over the image, which
fills |f| < 1 / (2 oversampling). Computed here, not tabulated.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from imaging.kernels.gridding_taps import degree, padded

CORRECTION_DEGREE = 16
SUPPORTS = {"single": (4, 6, 8), "double": (4, 6, 8, 10, 12, 14, 16)}
OVERSAMPLING = {4: (1.25, 2.5), 6: (1.25, 2.5), 8: (1.25, 2.5)}  # (least, greatest) of a support
WIDE = (1.4, 2.5)  # of all others: below, the correction at the image's edge would magnify rounding errors


@dataclass(frozen=True)
class Kernel:
    """A kernel good for `error` (relative rms, per dimension) at an oversampling of at least `oversampling`."""

    support: int
    beta: float
    oversampling: float
    error: float


def semicircle(x, support, beta):
    """phi at x cells from the middle, |x| <= support / 2."""
    return np.exp(beta * support * (np.sqrt(np.maximum(1 - (2 * x / support) ** 2, 0)) - 1))


def alias_error(support: int, beta: np.ndarray, oversampling: float) -> np.ndarray:
    """Relative rms of the aliases over the image, for one dimension and each beta, of the kernel as polynomials."""
    known, nodes, weights, interpolate = _nodes(degree(support) + 1)
    distance = np.arange(support // 2)  # half the taps: phi is even
    values = semicircle(distance + (known[:, None] + 1) / 2, support, beta[:, None, None])
    values = (weights[:, None] * (interpolate @ values)).reshape(len(beta), -1)
    x = (distance + (nodes[:, None] + 1) / 2).ravel()
    f = np.linspace(0, 0.5 / oversampling, 61)  # the aliases have deep zeros: sample them well
    waves = np.cos(2 * np.pi * x[:, None] * (f[:, None] + np.array([0, -2, -1, 1, 2])).ravel())
    alias = (values @ waves).reshape(len(beta), len(f), 5)
    ratio = (alias[..., 1:] ** 2).sum(axis=-1) / alias[..., 0] ** 2
    return np.sqrt(np.trapezoid(ratio, f, axis=-1) / f[-1])


@lru_cache
def _nodes(terms: int):
    """Where the taps' polynomials are fitted, where and how they are integrated, and the way between the two."""
    known = np.cos(np.pi * (np.arange(terms) + 0.5) / terms)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    basis = np.polynomial.chebyshev.chebvander
    return known, nodes, weights, basis(nodes, terms - 1) @ np.linalg.inv(basis(known, terms - 1))


def best_kernel(support: int, oversampling: float) -> Kernel:
    """The beta of least error; it lies a little below the theory's pi (1 - 1 / (2 oversampling))."""
    betas = np.pi * (1 - 0.5 / oversampling) * np.linspace(0.88, 1.0, 25)
    errors = alias_error(support, betas, oversampling)
    best = int(np.argmin(errors))
    return Kernel(support, float(betas[best]), oversampling, float(errors[best]))


@lru_cache(maxsize=256)
def find_kernel(support: int, error: float) -> Kernel | None:
    """The kernel of this width that reaches an error with the least oversampling, if there is one."""
    low, high = OVERSAMPLING.get(support, WIDE)
    found = best_kernel(support, high)
    if found.error > error:
        return None
    while high - low > 0.01:
        middle = (low + high) / 2
        kernel = best_kernel(support, middle)
        if kernel.error <= error:
            high, found = middle, kernel
        else:
            low = middle
    return found


def tap_polynomials(kernel: Kernel, dtype) -> np.ndarray:
    """Coefficients (degree + 1, padded support), highest first, of tap i in z = 2 distance - 1.

    `distance` is how far the first cell above a sample is; tap i belongs to the cell i - support / 2 further.
    """
    terms, support = degree(kernel.support) + 1, kernel.support
    z = np.cos(np.pi * (np.arange(terms) + 0.5) / terms)
    values = semicircle((z[:, None] + 1) / 2 - support / 2 + np.arange(support), support, kernel.beta)
    series = np.polynomial.chebyshev.chebfit(z, values, terms - 1)
    coefficients = np.zeros((terms, padded(support)), dtype)
    for i in range(support):
        coefficients[::-1, i] = np.polynomial.chebyshev.cheb2poly(series[:, i])
    return coefficients


def transform(coefficients: np.ndarray, support: int, f: np.ndarray) -> np.ndarray:
    """phi^(f) of the kernel that the polynomials stand for; f in cycles per cell."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    taps = np.vander(nodes, len(coefficients)) @ coefficients[:, :support].astype(float)
    x = (nodes[:, None] + 1) / 2 - support / 2 + np.arange(support)
    return np.cos(2 * np.pi * np.outer(f, x)) @ (taps * weights[:, None] / 2).ravel()


def transform_polynomial(coefficients: np.ndarray, support: int, f_max: float) -> np.ndarray:
    """phi^(f) for |f| <= f_max as a polynomial in 2 (f / f_max)^2 - 1, highest degree first."""
    terms = CORRECTION_DEGREE + 1
    q = np.cos(np.pi * (np.arange(terms) + 0.5) / terms)
    values = transform(coefficients, support, f_max * np.sqrt((q + 1) / 2))
    series = np.polynomial.chebyshev.chebfit(q, values, terms - 1)
    return np.polynomial.chebyshev.cheb2poly(series)[::-1].copy()
