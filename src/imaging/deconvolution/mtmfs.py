"""Multi-term multi-scale clean (Rau and Cornwell 2011, A&A 532, A71): components with a spectrum.

The planes are Taylor terms: the residuals are those of terms 0 to n - 1, the psfs of 0 to 2n - 2, because term s of the
sky appears in term t of the dirty image with psf s + t.
"""

from __future__ import annotations

import numpy as np

from imaging.algorithms.convolving import convolve_patch, convolve_periodic
from imaging.algorithms.cycle_control import plane_stop
from imaging.algorithms.taylor import invert_hessian
from imaging.contracts import Meta
from imaging.deconvolution.multiscale import cross_psfs, scale_mask, scale_patch, span
from imaging.deconvolution.planes import CHUNK, GROWTH, PlaneJob, peak
from imaging.errors import ImagingError
from imaging.kernels import clean as kernel
from imaging.kernels import multiterm
from imaging.state import PlaneResult, PlaneStop

MOST_TERMS = 3
MASK_SHARE = 0.1  # of a component that must lie inside the mask
MARGIN = 1  # pixels kept clear of the image's edge, besides 1.5 radii; points may be anywhere
LOBE, LOBES = 4.0, 20.0  # CASA subtracts the psf within so many main lobes of so many pixels, widened by the scale
MEMORY = 2**30  # bytes for the psfs of all scales and terms; where they need more they are cut to CASA's size


def deconvolve(residual, model, psf, meta) -> dict:
    """Clean every polarisation; contract in `imaging.contracts.Deconvolver`, with Taylor terms for channels.

    residual, model (term, pol, y, x), psf (2 term - 1, y, x), peak 1 in the first; meta.mask (1, pol, y, x).
    meta.options: `scales` radii in pixels (0 a point), `smallscalebias` in [-1, 1]. The threshold is on the residual of
    the first term. A clean that diverges goes back to its best component and stops. With compat "casa" it does not, and
    within a minor cycle a component is subtracted from its surroundings only (`support`). Raises ImagingError where the
    planes are no Taylor terms or the psfs cannot tell them apart.
    """
    if len(psf) != 2 * len(residual) - 1 or len(residual) > MOST_TERMS:
        raise ImagingError("These planes are no Taylor terms.", got=f"{len(residual)} residuals, {len(psf)} psfs",
                           expected="1, 2 or 3 residuals and 1, 3 or 5 psfs",
                           next_step="use mtmfs with image.specmode: mfs")  # fmt: skip
    residual, model = np.ascontiguousarray(residual), np.ascontiguousarray(model)
    psf = np.ascontiguousarray(psf, residual.dtype)
    budget = meta.max_iterations - meta.iteration_number
    level, proceed = 0.0, False
    for pol in range(residual.shape[1]):
        result = _clean_one(residual[:, pol], model[:, pol], psf, meta, pol, budget)
        meta.plane_results.append(result)
        meta.iteration_number += result.iterations
        level = max(level, result.peak_after or 0.0)
        proceed |= result.iterations > 0 and (result.peak_after or 0.0) > meta.final_threshold
    return {"residual": residual, "model": model, "level": level, "continue": bool(proceed)}


def _clean_one(residual, model, psf, meta: Meta, pol: int, budget: int) -> PlaneResult:
    """One polarisation: residual, model (term, y, x), changed in place."""
    finite = np.isfinite(residual).all(axis=0)
    mask = finite if meta.mask is None else meta.mask[0, pol] & finite
    before = peak(residual[0], mask)
    if before is None or not psf[0].any():
        return PlaneResult(0, pol, 0, before, before, float(model[0][finite].sum()), PlaneStop.SKIPPED)
    cycle = max(meta.major_iter_threshold, meta.final_threshold)
    if meta.major_iter_threshold == 0 and meta.mgain < 1:
        cycle = max(cycle, before * (1 - meta.mgain))
    nsigma = 0.0 if meta.plane_thresholds is None else float(meta.plane_thresholds[0, pol])
    threshold = max(cycle, nsigma)
    job = PlaneJob(residual, model, psf, mask, meta.gain, threshold, budget, meta.options, meta.compat)
    done = _clean_terms(job) if budget > 0 and before > threshold else 0
    after = peak(residual[0], mask)
    flux = float(model[0][finite].sum(dtype=np.float64))
    stop = plane_stop(done, budget, before, after, cycle, nsigma)
    return PlaneResult(0, pol, done, before, after, flux, stop, peak(residual[0], finite))


def support(largest_scale: float, shape: tuple[int, int]) -> int:
    """Side in pixels (even) of the square in which CASA subtracts a component."""
    side = int(np.hypot(LOBE, largest_scale) * LOBES)
    side = min(side, *shape)
    return side - side % 2


def _reach(box: tuple[slice, slice], scales: list[float], job: PlaneJob) -> tuple[int, int]:
    """Size of the psfs of the search: across all that is searched, unless that is too much to hold."""
    least = support(scales[-1], job.mask.shape)
    if job.compat == "casa":
        return least, least
    planes = len(scales) ** 2 * len(job.psf) * job.residual.itemsize
    most = max(least, int((MEMORY / planes) ** 0.5))
    return tuple(min(most, 2 * (span.stop - span.start) + 1) for span in box)


def _clean_terms(job: PlaneJob) -> int:
    """Clean images (term, y, x) together; the number of iterations."""
    casa, nterms, dtype = job.compat == "casa", len(job.residual), job.residual.dtype
    convolve = convolve_periodic if casa else convolve_patch
    scales = sorted(float(s) for s in job.options.get("scales") or [0.0])
    patches = np.stack([scale_patch(s, int(np.ceil(scales[-1]))) for s in scales])
    masks = np.stack([
        scale_mask(job.mask, patch, scale, convolve, MASK_SHARE, MARGIN * (scale > 0))
        for patch, scale in zip(patches, scales, strict=True)
    ])  # fmt: skip
    if not masks.any():
        return 0
    box = span(masks.any((0, 2))), span(masks.any((0, 1)))
    images = np.stack([[convolve(term, p)[box] for term in job.residual] for p in patches]).astype(dtype)
    # The psf's own edges are spread by the scales; CASA cuts them off.
    margin, reach = 0 if casa else 2 * (patches.shape[1] // 2), _reach(box, scales, job)
    spectral = [cross_psfs(np.pad(plane, margin), patches, reach, convolve).astype(dtype) for plane in job.psf]
    psfs = np.stack(spectral, axis=2)
    hankel = np.add.outer(np.arange(nterms), np.arange(nterms))
    middle = psfs[..., psfs.shape[3] // 2, psfs.shape[4] // 2].astype(np.float64)
    hessians = np.stack([middle[a, a][hankel] for a in range(len(scales))])
    bias = job.options.get("smallscalebias", 0.0)
    biases = 1 - bias * np.array(scales) / scales[-1] if scales[-1] else np.ones(len(scales))
    search = TermSearch(images, psfs, hessians, np.ascontiguousarray(masks[:, *box]))
    components, fluxes = search(biases, job.gain, job.threshold, job.max_iterations, np.inf if casa else GROWTH[0])
    components[:, 1:] += [box[0].start, box[1].start]
    change = np.zeros((nterms, *job.mask.shape))
    for term in range(nterms):
        kernel.add_components(change[term], patches, components, fluxes[:, term].astype(np.float64))
        kernel.add_components(job.model[term], patches.astype(dtype), components, fluxes[:, term].copy())
    for s, t in np.ndindex(nterms, nterms):
        job.residual[s] -= convolve(change[t], job.psf[s + t]).astype(dtype)
    return len(fluxes)


def trace_norms(psfs: np.ndarray, roots: np.ndarray, a: int, b: int) -> np.ndarray:
    """(py, px): how large, at most, the trace in scale b of a component of scale a and norm 1 is.

    Norms are sqrt(c . A c) of coefficients and sqrt(R . A^-1 R) of residuals. roots (scale, term, term): Cholesky's L
    of each A. The bound is the smaller of the Frobenius norm and sqrt(largest row sum * largest column sum).
    """
    nterms = roots.shape[1]
    left, right = np.linalg.inv(roots[b]), np.linalg.inv(roots[a]).T
    flat = psfs[a, b].reshape(2 * nterms - 1, -1)
    matrix = np.zeros((nterms, nterms, flat.shape[1]))
    for s, t in np.ndindex(nterms, nterms):
        matrix += np.multiply.outer(np.outer(left[:, s], right[t]), flat[s + t])
    sizes = np.abs(matrix)
    rows, columns = sizes.sum(axis=1).max(axis=0), sizes.sum(axis=0).max(axis=0)
    norms = np.minimum(np.sqrt(np.square(matrix).sum(axis=(0, 1))), np.sqrt(rows * columns))
    return norms.reshape(psfs.shape[3:])


class TermSearch:
    """The component search of `kernels.multiterm` on images (scale, term, ny, nx) with masks (scale, ny, nx).

    psfs (scale, scale, 2 term - 1, py, px), hessians (scale, term, term). All arithmetic of the search is in
    the dtype of `images`, which is brought up to date only where needed.
    """

    def __init__(self, images, psfs, hessians, masks):
        self.images, self.bits = images, images.view(f"i{images.itemsize}")
        self.psfs, self.hessians = psfs.astype(images.dtype, copy=False), hessians
        self.inverses = np.stack([invert_hessian(hessian) for hessian in hessians])
        roots, scales = np.linalg.cholesky(hessians), range(len(images))
        norms = [[kernel.psf_bounds(trace_norms(psfs, roots, a, b), *images.shape[2:]) for b in scales] for a in scales]
        self.reach = np.array(norms)
        found = [kernel.find_runs(mask) for mask in masks]
        before = np.cumsum([0] + [len(runs) for runs, _ in found])
        self.starts = np.cumsum([0] + [len(tiles) for _, tiles in found])
        self.runs = np.concatenate([runs for runs, _ in found])
        self.tiles = np.concatenate([tiles for _, tiles in found])
        for a, n in enumerate(before[:-1]):
            self.tiles[self.starts[a] : self.starts[a + 1], :2] += n
        self.bounds, self.applied = np.empty(len(self.tiles)), np.zeros(len(self.tiles), np.int64)

    def __call__(self, biases, gain, threshold, limit, growth):
        """Components (n, 3) and fluxes (n, term); n is `limit` at most.

        What comes after the smallest figure of merit is left out where it grew `growth` times above that.
        """
        nterms, dtype = self.images.shape[1], self.images.dtype
        real, tops = dtype.type, np.empty(len(self.tiles))
        merits = np.empty(multiterm.TILE_X, dtype)
        room = np.empty((0, 3), np.int64), np.empty((0, nterms), dtype), np.empty(0), np.empty(0, np.int64)
        done, code = 0, kernel.GOING_ON
        while done < limit and code == kernel.GOING_ON:
            size = min(limit, max(CHUNK, 2 * done))
            room = tuple(np.concatenate([f, np.empty((size - done, *f.shape[1:]), f.dtype)]) for f in room)
            done, code = multiterm.clean(
                self.images, self.bits, self.psfs, self.reach, self.hessians, self.inverses.astype(dtype),
                biases.astype(dtype), self.runs, self.tiles, self.starts, real(gain), real(threshold), growth, *room,
                done, self.bounds, tops, self.applied, merits, merits.view(self.bits.dtype),
            )  # fmt: skip
        if code == kernel.DIVERGING:
            done = int(np.argmin(room[2][:done]))
        return room[0][:done], room[1][:done]
