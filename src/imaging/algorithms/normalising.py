"""From sums over visibilities to images, and between the models that one cleans and those that one predicts.

With W the weight image (the mean of the squared primary beam over the data; mosaics have one) and P = sqrt(max W) of
each plane, as tclean has them: flatnoise divides a residual by sqrt(W) P, pbsquare by P^2, flatsky by W, after the sum
of weights. Without a weight image only the sum of weights counts.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

NO_WEIGHT = 1e-7
NORMTYPES = ("flatnoise", "flatsky", "pbsquare")


def gather(parts: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of images (chan, pol, y, x), float64, in their order."""
    total = None
    for part in parts:
        total = part.astype(np.float64) if total is None else total + part
    return total


def divide_by_peak(psf: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """psf (chan, pol, y, x) over `peak` (chan, pol, 1, 1), float32; planes without a peak stay 0."""
    return np.divide(psf, peak, out=np.zeros(psf.shape), where=peak > 0).astype(np.float32)


def divide_by_sumwt(sums: np.ndarray, sumwt: np.ndarray) -> np.ndarray:
    """sums (chan, pol, y, x) / sumwt (chan, 1 or pol, 1, 1), float64, 0 where there is no weight."""
    return np.divide(sums, sumwt, out=np.zeros(sums.shape), where=sumwt > NO_WEIGHT)


def divide_residual(residual: np.ndarray, weight: np.ndarray | None, normtype: str, pblimit: float) -> np.ndarray:
    """The residual (chan, pol, y, x), already over the sum of weights, over what `normtype` says; 0 below pblimit."""
    if weight is None:
        return residual
    weight, peak = np.broadcast_to(weight, residual.shape), _peak(weight)
    divisor, smallest = {
        "flatnoise": (np.sqrt(np.abs(weight)) * peak, abs(pblimit) * peak**2),
        "flatsky": (weight, pblimit**2 * peak**2),
        "pbsquare": (np.broadcast_to(peak**2, residual.shape), 0.0),
    }[normtype]
    return np.divide(residual, divisor, out=np.zeros(residual.shape), where=divisor > smallest)


def model_factor(weight: np.ndarray | None, normtype: str, pblimit: float) -> np.ndarray | None:
    """What a cleaned model is divided by to be the one that is predicted, 0 for nothing there; None for 1."""
    if weight is None or normtype == "flatsky":
        return None
    peak = _peak(weight)
    level = np.sqrt(np.abs(weight)) / peak if normtype == "flatnoise" else weight / peak**2
    return np.where(np.sqrt(np.abs(weight)) / peak > abs(pblimit), level, 0.0)


def divide_model(model: np.ndarray, factor: np.ndarray | None) -> np.ndarray:
    """The model (chan, pol, y, x) over `factor`, 0 where that is 0."""
    if factor is None:
        return model
    return np.divide(model, factor, out=np.zeros(model.shape), where=np.broadcast_to(factor > 0, model.shape))


def _peak(weight: np.ndarray) -> np.ndarray:
    return np.sqrt(weight.max(axis=(2, 3), keepdims=True))
