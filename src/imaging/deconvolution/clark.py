"""Clark's clean (Clark 1980, A&A 89, 377): few bright pixels and the psf's middle, then all pixels by FFT."""

from __future__ import annotations

import numpy as np

from imaging.algorithms.convolving import PointSubtractor
from imaging.deconvolution.planes import GROWTH, NO_SCALES, PlaneJob, Search, clean_planes, peak
from imaging.kernels import clean as kernel

PATCH = 51  # pixels across the middle of the psf, at least
FEW = 500  # one pixel in so many is cleaned in a round that may be cut short for it:
SHALLOWEST = 0.7  # of the peak


def deconvolve(residual, model, psf, meta) -> dict:
    """Clean every plane on its own; contract in `imaging.contracts.Deconvolver`.

    meta.options: `psfpatch`, size in pixels of the part of the psf used between two updates by FFT (default 51).
    """
    return clean_planes(residual, model, psf, meta, _clean_plane)


def _patch(psf: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """The middle of the psf, and the largest sidelobe outside it."""
    parts = tuple(slice(max(0, n // 2 - size // 2), min(n, n // 2 + size // 2 + 1)) for n in psf.shape)
    outside = np.abs(psf)
    outside[parts] = 0
    return np.ascontiguousarray(psf[parts]), float(outside.max())


def _clean_plane(job: PlaneJob) -> int:
    patch, sidelobe = _patch(job.psf, int(job.options.get("psfpatch", PATCH)) | 1)
    # Below the sidelobe's share of the peak the psf outside the patch may matter as much as what is left.
    return _clean_bright_pixels(job, patch, sidelobe)


def _few(job: PlaneJob) -> float:
    """The |value| that about one pixel in FEW exceeds, from a sample."""
    sample = np.abs(job.residual[::5, ::7][job.mask[::5, ::7]])
    rank = len(sample) - 1 - len(sample) // FEW
    return float(np.partition(sample, rank)[rank]) if len(sample) > FEW else 0.0


def _clean_bright_pixels(job: PlaneJob, patch: np.ndarray, fraction: float) -> int:
    """Clean in rounds the brightest pixels, with `patch`: the psf or its middle; none below `fraction` of the peak.

    A round costs what its bright pixels cost. After it the psf at full size is subtracted from all of the image.
    """
    one = np.ones(1)
    subtract = PointSubtractor(job.psf, single=job.residual.dtype == np.float32)
    done, lowest = 0, np.inf
    while done < job.max_iterations:
        highest = peak(job.residual, job.mask)
        if highest < job.threshold or highest > 2 * lowest:
            break
        lowest = min(lowest, highest)
        level = max(job.threshold, fraction * highest, min(_few(job), SHALLOWEST * highest))
        active = job.mask & (np.abs(job.residual) >= min(level, highest))
        search = Search(job.residual[None].copy(), patch[None, None], active[None])
        components, fluxes, code = search(one, one, job.gain, level, job.max_iterations - done, GROWTH)
        if len(fluxes) == 0:
            break
        kernel.add_components(job.model, NO_SCALES.astype(job.model.dtype), components, fluxes)
        subtract(job.residual, components, fluxes, out=job.residual)
        done += len(fluxes)
        if code == kernel.DIVERGING:
            break
    return done
