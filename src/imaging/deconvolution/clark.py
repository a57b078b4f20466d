"""Clark's clean (Clark 1980, A&A 89, 377): few bright pixels and the psf's middle, then all pixels by FFT."""

from __future__ import annotations

import numpy as np

from imaging.algorithms.convolving import subtract_components
from imaging.deconvolution.planes import PlaneJob, clean_planes, peak, run_kernel
from imaging.kernels import clean as kernel

PATCH = 51  # pixels across the middle of the psf, at least
GROWTH = (4.0, 1.0)
NO_SCALES = np.ones((1, 1, 1))


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
    one = np.ones(1)
    done, lowest = 0, np.inf
    while done < job.max_iterations:
        highest = peak(job.residual, job.mask)
        if highest < job.threshold or highest > 2 * lowest:
            break
        lowest = min(lowest, highest)
        # Below this level the psf outside the patch may matter as much as what is left.
        level = max(job.threshold, sidelobe * highest, (1 - job.gain) * highest if sidelobe >= 1 else 0.0)
        active = job.mask & (np.abs(job.residual) >= min(level, highest))
        components, fluxes, _, code = run_kernel(
            job.residual[None].copy(), patch[None, None], one, one, active[None], job.gain, level,
            job.max_iterations - done, GROWTH,
        )  # fmt: skip
        if len(fluxes) == 0:
            break
        kernel.add_components(job.model, NO_SCALES.astype(job.model.dtype), components, fluxes)
        subtract_components(job.residual.copy(), job.psf, components, fluxes, out=job.residual)
        done += len(fluxes)
    return done
