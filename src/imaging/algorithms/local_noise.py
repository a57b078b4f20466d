"""Noise of a residual: from the median absolute deviation, and from place to place."""

from __future__ import annotations

import numpy as np

from imaging.algorithms import fourier

MAD_TO_SIGMA = 1.482602218505602
MINIMUM_SHARE = 0.3  # of the deepest negative value nearby that the noise is at least


def median_and_sigma(image: np.ndarray) -> tuple[float, float]:
    """Median and noise (1.4826 times the median absolute deviation) of the finite pixels; zeros where none are."""
    values = image[np.isfinite(image)]
    if values.size == 0:
        return 0.0, 0.0
    median = np.median(values)
    return float(median), MAD_TO_SIGMA * float(np.median(np.abs(values - median)))


def local_rms(image: np.ndarray, window: float, with_minimum: bool = False) -> np.ndarray:
    """The root of the mean square about each pixel (ny, nx), weighted with a Gaussian of FWHM `window` pixels.

    Beyond the edges there is nothing, neither in the sum nor in its weight. with_minimum: at least 0.3 times the
    depth of the lowest value within half a window, which tells of artefacts around bright sources.
    """
    finite = np.isfinite(image)
    square = np.where(finite, np.nan_to_num(image).astype(np.float64) ** 2, 0.0)
    sigma = window / 2.3548200450309493
    size = [fourier.next_fast_len(n + int(4 * sigma) + 1, real=True) for n in image.shape]
    frequency = [np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None, :]]
    gaussian = np.exp(-2 * (np.pi * sigma) ** 2 * (frequency[0] ** 2 + frequency[1] ** 2))
    total, weight = (
        fourier.irfft2(fourier.rfft2(plane, size) * gaussian, size)[: image.shape[0], : image.shape[1]]
        for plane in (square, finite.astype(np.float64))
    )
    rms = np.sqrt(np.maximum(total, 0) / np.maximum(weight, 1e-12))
    if with_minimum:
        from scipy.ndimage import minimum_filter

        lowest = minimum_filter(np.where(finite, image, np.inf), max(int(window), 1), mode="nearest")
        rms = np.maximum(rms, MINIMUM_SHARE * np.abs(np.where(np.isfinite(lowest), lowest, 0.0)))
    return rms


def noise_factor(rms: np.ndarray, strength: float = 1.0) -> tuple[np.ndarray, float]:
    """(lowest noise / noise)^strength, by which peaks are weighed, and the lowest noise."""
    lowest = float(rms[rms > 0].min(initial=np.inf))
    if not np.isfinite(lowest):
        return np.ones_like(rms), 0.0
    return np.where(rms > 0, lowest / np.maximum(rms, lowest), 1.0) ** strength, lowest
