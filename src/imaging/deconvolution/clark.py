"""Clark's clean (Clark 1980, A&A 89, 377): few bright pixels and the psf's middle, then all pixels by FFT."""

from __future__ import annotations

import numpy as np

from imaging.deconvolution.planes import PlaneJob, clean_bright_pixels, clean_planes

PATCH = 51  # pixels across the middle of the psf, at least


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
    return clean_bright_pixels(job, patch, sidelobe)
