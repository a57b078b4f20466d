"""The restoring beam: an elliptical Gaussian fitted to the main lobe of the psf, as CASA (CAS-13022) does it.

CASA takes for the main lobe every first stretch above the cutoff of the rows around the peak, sidelobes that only stand
beside it included; here, unless `compat` is "casa", the lobe is what is connected to the peak.
"""

from __future__ import annotations

import math

import numpy as np

from imaging.algorithms.beams import FOUR_LN2, area, from_covariance
from imaging.image import Beam

REACH = 20  # rows and columns from the peak that are searched for the main lobe
BORDER = 5  # pixels kept around the lobe when it is resampled
TARGET_POINTS = 3001
RETRY = 1.5  # by which the cutoff is lowered when the fit does not converge
LOWEST_CUTOFF = 0.009
MAX_STEPS = 1000


def _main_lobe(psf: np.ndarray, peak: tuple[int, int], cutoff: float, reach: int, compat: str) -> np.ndarray:
    """Pixels (n, 2) of y, x above `cutoff`: along each half row from the peak's column out, the first stretch.

    Unless `compat` is "casa", only those that are connected to the peak, side by side, through others of them.
    """
    y0, x0 = peak
    rows = np.arange(max(0, y0 - reach), min(psf.shape[0], y0 + reach + 1))
    found = []
    for step in (-1, 1):
        stop = max(0, x0 - reach) - 1 if step < 0 else min(psf.shape[1], x0 + reach + 1)
        columns = np.arange(x0, stop if stop >= 0 else -1, step)
        half = psf[np.ix_(rows, columns)]
        above = half > cutoff
        entered = np.logical_or.accumulate(above, axis=1)
        left = np.logical_or.accumulate(entered & (half < cutoff), axis=1)
        y, x = np.nonzero(above & ~left)
        found.append(np.stack([rows[y], columns[x]], axis=1)[columns[x] != x0] if step > 0 else
                     np.stack([rows[y], columns[x]], axis=1))  # fmt: skip
    points = np.concatenate(found)
    return points if compat == "casa" else points[_connected(points, peak)]


def _connected(points: np.ndarray, peak: tuple[int, int]) -> np.ndarray:
    """Which of `points` (n, 2) belong to the patch that `peak`, one of them, is in."""
    from scipy.ndimage import label

    low = points.min(axis=0)
    member = np.zeros(points.max(axis=0) - low + 1, dtype=bool)
    member[tuple((points - low).T)] = True
    patches, _ = label(member)
    return patches[tuple((points - low).T)] == patches[tuple(peak - low)]


def _window(points: np.ndarray, peak: tuple[int, int], shape: tuple[int, int]) -> tuple[slice, slice]:
    """The square around the lobe, equally far from the peak in y and x, and a border, cut at the psf's edges."""
    low, high = (points - peak).min() - BORDER, (points - peak).max() + BORDER
    return tuple(slice(max(0, p + low), min(n, p + high + 1)) for p, n in zip(peak, shape, strict=True))


def _keys_weights(n: int, oversampling: int) -> np.ndarray:
    """Matrix (m, n) that interpolates n samples at m = (n-1) * oversampling + 1 points.

    Cubic convolution with a = -1/2 (Keys 1981, IEEE Trans. ASSP 29, 1153): central differences as derivatives.
    """
    m = (n - 1) * oversampling + 1
    at = np.arange(m) / oversampling
    left = np.minimum(at.astype(int), n - 2)
    t = at - left
    weights = np.zeros((m, n + 2))
    taps = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3)
    for k, tap in enumerate(taps):
        weights[np.arange(m), left + k] += tap / 2
    return weights[:, 1:-1]


def _linear_weights(n: int, oversampling: int) -> np.ndarray:
    at = np.arange((n - 1) * oversampling + 1) / oversampling
    return np.maximum(1 - np.abs(at[:, None] - np.arange(n)[None, :]), 0.0)


def _resample(image: np.ndarray, oversampling: int) -> np.ndarray:
    """`image` on a grid `oversampling` times finer: bicubic, bilinear in the outermost pixels."""
    ny, nx = image.shape
    fine = _keys_weights(ny, oversampling) @ image @ _keys_weights(nx, oversampling).T
    coarse = _linear_weights(ny, oversampling) @ image @ _linear_weights(nx, oversampling).T
    y, x = (np.arange((n - 1) * oversampling + 1) // oversampling for n in (ny, nx))
    inner = ((y > 0) & (y < ny - 2))[:, None] & ((x > 0) & (x < nx - 2))[None, :]
    return np.where(inner, fine, coarse)


def _fit_gaussian(x: np.ndarray, y: np.ndarray, values: np.ndarray, start: float) -> np.ndarray | None:
    """Least squares of exp(-(a x^2 + 2 b x y + c y^2)) to `values`: the matrix [[a, b], [b, c]], or None.

    Levenberg-Marquardt from a circle of FWHM `start` (same unit as x and y). In these parameters a round beam is no
    special case, and the minimum is that of widths and angle.
    """
    terms = np.stack([x * x, 2 * x * y, y * y])
    q = np.array([FOUR_LN2 / start**2, 0.0, FOUR_LN2 / start**2])
    damping = 1e-3
    model = np.exp(-q @ terms)
    error = ((values - model) ** 2).sum()
    for _ in range(MAX_STEPS):
        slope = -terms * model
        normal, right = slope @ slope.T, slope @ (values - model)
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), right)
        with np.errstate(over="ignore", invalid="ignore"):
            trial = np.exp(-(q + step) @ terms)
            trial_error = ((values - trial) ** 2).sum()
        if trial_error <= error:
            converged = error - trial_error <= 1e-12 * error or np.abs(step).max() <= 1e-12 * np.abs(q).max()
            q, model, error, damping = q + step, trial, trial_error, damping / 10
            if converged:
                matrix = np.array([[q[0], q[1]], [q[1], q[2]]])
                return matrix if np.linalg.eigvalsh(matrix)[0] > 0 else None
        elif damping > 1e12:
            return None
        else:
            damping *= 10
    return None


def fit_beam(psf: np.ndarray, cell: tuple[float, float], psfcutoff: float = 0.35, compat: str = "") -> Beam | None:
    """Beam of one psf plane (ny, nx); `cell` (x, y) rad. None where the plane is blank or no fit converges.

    The pixels of the main lobe above `psfcutoff` of the peak, resampled to about 3001 points, unit weights, height
    and centre fixed; the cutoff is lowered by 1.5 (to 0.009) until the fit converges.
    """
    finite = np.where(np.isfinite(psf), psf, 0.0).astype(np.float64)
    peak = np.unravel_index(int(np.argmax(finite)), psf.shape)
    inner = all(n / 4 <= p <= 3 * n / 4 for p, n in zip(peak, psf.shape, strict=True))
    if finite[peak] < 1e-7 or not inner:
        return None
    finite /= finite[peak]
    cutoff = psfcutoff
    while cutoff > LOWEST_CUTOFF:
        beam = _fit_above(finite, peak, cell, cutoff, compat)
        if beam is not None:
            return beam
        cutoff /= RETRY
    return None


def _fit_above(psf, peak, cell, cutoff, compat) -> Beam | None:
    window = psf[_window(_main_lobe(psf, peak, cutoff, REACH, compat), np.array(peak), psf.shape)]
    oversampling = max(1, int(math.sqrt(TARGET_POINTS // window.size)))
    fine = _resample(window, oversampling)
    fine /= fine.max()
    centre = np.unravel_index(int(np.argmax(fine)), fine.shape)
    points = _main_lobe(fine, centre, cutoff, (oversampling * min(window.shape) - 1) // 2, compat)
    unit = cell[0]
    y, x = ((points[:, k] - centre[k]) * cell[1 - k] / (unit * oversampling) for k in (0, 1))
    try:
        matrix = _fit_gaussian(x, y, fine[points[:, 0], points[:, 1]], start=2.5)
    except np.linalg.LinAlgError:
        return None
    return None if matrix is None else from_covariance(FOUR_LN2 * unit**2 * np.linalg.inv(matrix))


def fit_beams(psf: np.ndarray, cell: tuple[float, float], psfcutoff: float = 0.35, compat: str = "") -> list[Beam]:
    """Beam of each channel of `psf` (chan, y, x) or (chan, pol, y, x: the first polarisation).

    Channels without one get the beam of the largest area; the list is empty where no channel has any.
    """
    planes = psf if psf.ndim == 3 else psf[:, 0]
    fitted = [fit_beam(plane, cell, psfcutoff, compat) for plane in planes]
    largest = max((b for b in fitted if b is not None), key=area, default=None)
    return [] if largest is None else [largest if b is None else b for b in fitted]


def beam_at_peak(psf: np.ndarray, cell: tuple[float, float]) -> Beam | None:
    """The Gaussian that has the curvature of one psf plane (ny, nx) at its peak; None where that is no maximum.

    Where it is far from the fitted beam, the psf is no Gaussian with sidelobes: a narrow core on a plateau, say.
    """
    y, x = np.unravel_index(int(np.nanargmax(psf)), psf.shape)
    around = psf[y - 1 : y + 2, x - 1 : x + 2].astype(np.float64) / psf[y, x]
    if around.shape != (3, 3) or not (around > 0).all():
        return None
    q = -np.log(around)
    xx, yy = (q[1, 0] + q[1, 2]) / 2, (q[0, 1] + q[2, 1]) / 2
    xy = (q[0, 0] + q[2, 2] - q[0, 2] - q[2, 0]) / 8
    matrix = np.array([[xx / cell[0] ** 2, xy / (cell[0] * cell[1])], [0.0, yy / cell[1] ** 2]])
    matrix[1, 0] = matrix[0, 1]
    return from_covariance(FOUR_LN2 * np.linalg.inv(matrix)) if np.linalg.eigvalsh(matrix)[0] > 0 else None
