"""Hogbom clean (Hogbom 1974, A&AS 15, 417): a fraction of the highest peak at a time, psf at full size."""

from __future__ import annotations

import numpy as np

from imaging.algorithms.convolving import PointSubtractor
from imaging.deconvolution.planes import NO_SCALES, PlaneJob, clean_bright_pixels, clean_planes, run_kernel
from imaging.kernels import clean as kernel

DEPTH = 0.1  # of the peak, to which one round of bright pixels goes
CASA_CHUNK, CASA_CHUNK_FROM = 2000, 5000


def deconvolve(residual, model, psf, meta) -> dict:
    """Clean every plane on its own; contract in `imaging.contracts.Deconvolver`.

    Fainter pixels wait for the end of a round of bright ones (`clean_bright_pixels`). With compat "casa" none does,
    a plane that stops at its iteration limit has one more component than it reports, and a limit
    of 5000 or more is worked off in portions of 2000, each with such a component.
    """
    return clean_planes(residual, model, psf, meta, _clean_plane)


def _clean_plane(job: PlaneJob) -> int:
    if job.compat != "casa":
        return clean_bright_pixels(job, job.psf, DEPTH)
    portion = job.max_iterations if job.max_iterations < CASA_CHUNK_FROM else CASA_CHUNK
    done = 0
    while done < job.max_iterations:
        found = min(_portion(job, portion + 1), portion)
        done += found
        if found < portion:
            break
    return done


def _portion(job: PlaneJob, limit: int) -> int:
    before = job.residual.copy()
    one = np.ones(1)
    components, fluxes, _, _ = run_kernel(
        job.residual[None], job.psf[None, None], one, one, job.mask[None], job.gain, job.threshold, limit, (np.inf, 0.0)
    )
    kernel.add_components(job.model, NO_SCALES.astype(job.model.dtype), components, fluxes)
    if not job.mask.all():
        PointSubtractor(job.psf)(before, components, fluxes, out=job.residual, keep=job.mask)
    return len(fluxes)
