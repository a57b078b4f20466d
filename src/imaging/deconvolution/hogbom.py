"""Hogbom clean (Hogbom 1974, A&AS 15, 417): a fraction of the highest peak at a time, psf at full size."""

from __future__ import annotations

import numpy as np

from imaging.algorithms.convolving import PointSubtractor
from imaging.deconvolution.planes import GROWTH, NO_SCALES, PlaneJob, Search, clean_planes
from imaging.kernels import clean as kernel

CASA_CHUNK, CASA_CHUNK_FROM = 2000, 5000
NO_GROWTH = (np.inf, 0.0)


def deconvolve(residual, model, psf, meta) -> dict:
    """Clean every plane on its own; contract in `imaging.contracts.Deconvolver`.

    A clean that diverges goes back to its best component and stops. With compat "casa" it does not; a plane that stops
    at its iteration limit has one more component than it reports, and a limit of 5000 or more is worked off in
    portions of 2000, each with such a component.
    """
    return clean_planes(residual, model, psf, meta, _clean_plane)


def _clean_plane(job: PlaneJob) -> int:
    if job.compat != "casa":
        return _portion(job, job.max_iterations, GROWTH)
    portion = job.max_iterations if job.max_iterations < CASA_CHUNK_FROM else CASA_CHUNK
    done = 0
    while done < job.max_iterations:
        found = min(_portion(job, portion + 1, NO_GROWTH), portion)
        done += found
        if found < portion:
            break
    return done


def _portion(job: PlaneJob, limit: int, growth: tuple[float, float]) -> int:
    one = np.ones(1)
    search = Search(job.residual[None].copy(), job.psf[None, None], job.mask[None])
    components, fluxes, _ = search(one, one, job.gain, job.threshold, limit, growth)
    kernel.add_components(job.model, NO_SCALES.astype(job.model.dtype), components, fluxes)
    PointSubtractor(job.psf, job.residual.dtype == np.float32)(job.residual, components, fluxes, out=job.residual)
    return len(fluxes)
