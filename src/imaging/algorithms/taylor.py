"""Taylor terms in frequency (Rau and Cornwell 2011, A&A 532, A71).

I(nu) = sum over t of I_t x^t with x = (nu - nu0) / nu0. The dirty image of term t weights each visibility by x^t
besides, as does the psf of term t; the dirty image of term s is the sum over t of psf_(s + t) convolved with I_t. All
are divided by the sum of weights of term 0. Of a curved power law I(nu) = I_0 (nu/nu0)^(alpha + beta ln(nu/nu0)) the
terms are I_1 = alpha I_0 and I_2 = (alpha (alpha - 1) / 2 + beta) I_0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imaging.errors import ImagingError

THRESHOLD = 0.1  # of the residual's peak: spectral indices are of what is brighter
BINS = 16  # groups of channels for which the primary beam is evaluated
DEPENDENT = 1e-4  # mean difference of the ratios of two rows of the Hessian below which they say the same


@dataclass(frozen=True, slots=True)
class Taylor:
    """`nterms` Taylor terms about the frequency `reference`, Hz."""

    nterms: int
    reference: float

    @property
    def npsf(self) -> int:
        """How many spectral psfs these terms need."""
        return 2 * self.nterms - 1

    def powers(self, freq: np.ndarray, count: int) -> np.ndarray:
        """x^t of channels (chan,) Hz for t below `count`: (count, chan)."""
        x = (np.asarray(freq, float) - self.reference) / self.reference
        return x ** np.arange(count)[:, None]


def invert_hessian(hessian: np.ndarray) -> np.ndarray:
    """Inverse of a Hessian's peak (term, term). Raises ImagingError where its terms cannot be told apart."""
    nterms = len(hessian)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = hessian[:-1] / hessian[1:]
    dependent = nterms > 1 and np.any(np.abs(np.diff(ratios, axis=1)).mean(axis=1) < DEPENDENT)
    try:
        if dependent or not np.isfinite(hessian).all():
            raise np.linalg.LinAlgError
        np.linalg.cholesky(hessian)
    except np.linalg.LinAlgError:
        raise ImagingError("The data do not constrain so many Taylor terms.",
                           got=f"{nterms} terms, Hessian {hessian.tolist()}",
                           expected="channels at more frequencies than there are terms, over a wider band",
                           next_step="set a smaller clean.nterms, or select more spectral windows in data.spw"
                           ) from None  # fmt: skip
    return np.linalg.inv(hessian)


def hessian_of(psfs: np.ndarray) -> np.ndarray:
    """The Hessian's peak (term, term) of spectral psfs (2 term - 1, ny, nx): their centres."""
    peaks = psfs[:, psfs.shape[1] // 2, psfs.shape[2] // 2].astype(np.float64)
    index = np.arange(len(peaks) // 2 + 1)
    return peaks[np.add.outer(index, index)]


def principal_solution(residual: np.ndarray, psfs: np.ndarray) -> np.ndarray:
    """Residuals (term, ..., ny, nx) as coefficients of a spectrum, pixel by pixel: A^-1 R with A of points."""
    inverse = invert_hessian(hessian_of(psfs))
    return np.tensordot(inverse.astype(residual.dtype), residual, axes=1)


def spectral_threshold(residual: np.ndarray, valid: np.ndarray) -> float:
    """The intensity above which spectral indices are given: a tenth of the largest `valid` residual of term 0."""
    values = residual[valid & np.isfinite(residual)]
    return THRESHOLD * float(values.max()) if values.size else np.inf


def spectral_index(image: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """alpha = I_1 / I_0 of images (term, ny, nx), and where I_0 is above `threshold` (bool); 0 elsewhere."""
    bright = image[0] > threshold
    return np.divide(image[1], image[0], out=np.zeros_like(image[0]), where=bright), bright


def spectral_index_error(image: np.ndarray, residual: np.ndarray, threshold: float) -> np.ndarray:
    """|alpha| sqrt((R_0 / I_0)^2 + (R_1 / I_1)^2), an empirical error; residual as the image has it; 0 elsewhere."""
    alpha, bright = spectral_index(image, threshold)
    nonzero = bright & (image[1] != 0)
    parts = [np.divide(residual[t], image[t], out=np.zeros_like(alpha), where=nonzero) for t in (0, 1)]
    return np.abs(alpha) * np.hypot(*parts)


def spectral_curvature(image: np.ndarray, threshold: float) -> np.ndarray:
    """beta = I_2 / I_0 - alpha (alpha - 1) / 2 of images (term, ny, nx); 0 where I_0 is not above `threshold`."""
    alpha, bright = spectral_index(image, threshold)
    second = np.divide(image[2], image[0], out=np.zeros_like(alpha), where=bright)
    return np.where(bright, second - 0.5 * alpha * (alpha - 1), 0).astype(image.dtype)


def fit_weights(freq: np.ndarray, weight: np.ndarray, taylor: Taylor) -> np.ndarray:
    """What to multiply values at `freq` (chan,) by: (term, chan).

    The sums are the coefficients of the Taylor polynomial nearest to the values, in weighted least squares.
    """
    powers, share = taylor.powers(freq, taylor.nterms), weight / weight.sum()
    return invert_hessian((powers * share) @ powers.T) @ (powers * share)


def fit_planes(beam, freq: np.ndarray, weight: np.ndarray, taylor: Taylor) -> np.ndarray:
    """Taylor terms (term, pol, y, x) float32 of what `beam` gives for samples [(freq, weight)] as (1, pol, y, x).

    The channels are taken in at most BINS groups, whose weighted mean counts.
    """
    groups = np.array_split(np.argsort(freq, kind="stable"), min(BINS, len(freq)))
    bins = [part for part in groups if weight[part].sum() > 0]
    middle = np.array([np.average(freq[part], weights=weight[part]) for part in bins])
    factors = fit_weights(middle, np.array([weight[part].sum() for part in bins]), taylor)
    total = 0.0
    for part, column in zip(bins, factors.T, strict=True):
        total = total + column[:, None, None, None] * beam([(freq[part], weight[part])])
    return total.astype(np.float32)


def divide_taylor(image: np.ndarray, pb: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Coefficients (term, ...) of the quotient of two Taylor polynomials, to the same order; 0 where not `valid`."""
    out = np.zeros_like(image)
    for t in range(len(image)):
        rest = image[t] - sum(out[s] * pb[t - s] for s in range(t))
        np.divide(rest, pb[0], out=out[t], where=valid)
    return out
