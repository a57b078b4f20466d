"""Hogbom clean (Hogbom 1974, A&AS 15, 417): a fraction of the highest peak at a time, psf at full size."""

from __future__ import annotations

import numpy as np

from imaging.algorithms.convolving import subtract_components
from imaging.deconvolution.planes import PlaneJob, clean_planes, run_kernel
from imaging.kernels import clean as kernel

NO_SCALES = np.ones((1, 1, 1))
CASA_CHUNK, CASA_CHUNK_FROM = 2000, 5000


def deconvolve(residual, model, psf, meta) -> dict:
    """Clean every plane on its own; contract in `imaging.contracts.Deconvolver`.

    With compat "casa" a plane that stops at its iteration limit has one more component than it reports, and a limit
    of 5000 or more is worked off in portions of 2000, each with such a component.
    """
    return clean_planes(residual, model, psf, meta, _clean_plane)


def _clean_plane(job: PlaneJob) -> int:
    if job.compat != "casa":
        return _portion(job, job.max_iterations, (4.0, 1.0))
    portion = job.max_iterations if job.max_iterations < CASA_CHUNK_FROM else CASA_CHUNK
    done = 0
    while done < job.max_iterations:
        found = min(_portion(job, portion + 1, (np.inf, 0.0)), portion)
        done += found
        if found < portion:
            break
    return done


def _portion(job: PlaneJob, limit: int, growth: tuple[float, float]) -> int:
    before = job.residual.copy()
    one = np.ones(1)
    components, fluxes, history, code = run_kernel(
        job.residual[None], job.psf[None, None], one, one, job.mask[None], job.gain, job.threshold, limit, growth
    )
    if code == kernel.DIVERGING:
        best = int(np.argmin(history))
        components, fluxes = components[:best], fluxes[:best]
    kernel.add_components(job.model, NO_SCALES.astype(job.model.dtype), components, fluxes)
    exact = job.mask if code != kernel.DIVERGING else np.zeros_like(job.mask)
    if not exact.all():
        subtract_components(before, job.psf, components, fluxes, out=job.residual, keep=exact)
    return len(fluxes)
