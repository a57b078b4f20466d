"""Multi-scale clean (Cornwell 2008, IEEE JSTSP 2, 793): components are tapered discs of several radii."""

from __future__ import annotations

import numpy as np

from imaging.algorithms.convolving import convolve_patch, convolve_periodic
from imaging.deconvolution.planes import GROWTH, PlaneJob, Search, clean_planes
from imaging.kernels import clean as kernel

MASK_SHARE = 0.9  # of a component that must lie inside the mask
BORDER = 1.5  # radii kept clear of the image's edge
CASA_GROWTH = (1.5, 0.0)  # strength, against the first

# Schwab's rational approximation of the prolate spheroidal function, m = 6, alpha = 1 (VLA Sci. Memo 132):
# numerator and denominator in nu^2 - end^2, for nu below 0.75 and up to 1.
SPHEROIDAL = (
    (0.75, (8.203343e-2, -3.644705e-1, 6.278660e-1, -5.335581e-1, 2.312756e-1), (1.0, 8.212018e-1, 2.078043e-1)),
    (1.0, (4.028559e-3, -3.697768e-2, 1.021332e-1, -1.201436e-1, 6.412774e-2), (1.0, 9.599102e-1, 2.918724e-1)),
)


def deconvolve(residual, model, psf, meta) -> dict:
    """Clean every plane on its own; contract in `imaging.contracts.Deconvolver`.

    meta.options: `scales` radii in pixels (0 a point), `smallscalebias` in [-1, 1]. A clean that diverges (figure of
    merit four times the smallest so far) goes back to its best component and stops. With compat "casa" it stops
    instead when a component's strength is 1.5 times the first one's, whatever the scales, and keeps all.
    """
    return clean_planes(residual, model, psf, meta, _clean_plane)


def spheroidal(nu: np.ndarray) -> np.ndarray:
    """The taper of a component, 1 at nu = 0 and 0 from nu = 1 on."""
    value = np.zeros_like(nu)
    for low, (end, top, bottom) in zip((0.0, 0.75), SPHEROIDAL, strict=True):
        part = (nu > 0) & (nu >= low) & (nu < end)
        square = nu[part] ** 2 - end**2
        value[part] = np.polyval(top[::-1], square) / np.polyval(bottom[::-1], square)
    return np.where(nu == 0, 1.0, value)


def scale_patch(scale: float, radius: int) -> np.ndarray:
    """Component of radius `scale` pixels and unit sum, (1 - r^2) times the spheroidal, on (2 radius + 1)^2 pixels."""
    r = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) / max(scale, 1e-9)
    patch = np.where(r < 1, (1 - r**2) * spheroidal(np.minimum(r, 1.0)), 0.0)
    return patch / patch.sum()


def scale_mask(mask: np.ndarray, patch: np.ndarray, scale: float, convolve, share=MASK_SHARE, margin=0) -> np.ndarray:
    """Where the centre of a component may be: with more than `share` inside, and off the edge by `margin` more."""
    inside = convolve(mask, patch) > share
    border = int(BORDER * scale) + margin
    if border:
        inside[:border] = inside[-border:] = False
        inside[:, :border] = inside[:, -border:] = False
    return inside


def span(flags: np.ndarray) -> slice:
    used = np.flatnonzero(flags)
    return slice(used[0], used[-1] + 1)


def central(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The middle of `image`, centre at [n//2], no larger than `shape`."""
    parts = []
    for n, want in zip(image.shape, shape, strict=True):
        size = min(n, want)
        start = n // 2 - size // 2
        parts.append(slice(start, start + size))
    return image[tuple(parts)]


def _clean_plane(job: PlaneJob) -> int:
    casa = job.compat == "casa"
    convolve = convolve_periodic if casa else convolve_patch
    scales = sorted(float(s) for s in job.options.get("scales") or [0.0])
    radius = int(np.ceil(scales[-1]))
    patches = np.stack([scale_patch(s, radius) for s in scales])
    masks = np.stack([scale_mask(job.mask, p, s, convolve) for p, s in zip(patches, scales, strict=True)])
    if not masks.any():
        return 0
    box = span(masks.any((0, 2))), span(masks.any((0, 1)))
    reach = job.psf.shape if casa else tuple(2 * (s.stop - s.start) + 1 for s in box)
    images = np.stack([convolve(job.residual, p)[box] for p in patches]).astype(job.residual.dtype)
    # The psf's own edges are spread by the scales; CASA cuts them off.
    whole = job.psf if casa else np.pad(job.psf, 2 * radius)
    psfs = cross_psfs(whole, patches, reach, convolve).astype(job.residual.dtype)
    volumes = np.array([np.abs(psfs[a, a]).max() for a in range(len(scales))])
    bias = job.options.get("smallscalebias", 0.0)
    biases = 1 - bias * np.array(scales) / scales[-1] if scales[-1] else np.ones(len(scales))
    search = Search(images, psfs, masks[:, *box])
    growth = CASA_GROWTH if casa else GROWTH
    components, fluxes, code = search(volumes, biases, job.gain, job.threshold, job.max_iterations, growth)
    components[:, 1:] += [box[0].start, box[1].start]
    change = np.zeros(job.model.shape)
    kernel.add_components(change, patches, components, fluxes.astype(np.float64))
    kernel.add_components(job.model, patches.astype(job.model.dtype), components, fluxes)
    job.residual[...] -= convolve(change, job.psf).astype(job.residual.dtype)
    # CASA counts the look that found nothing above the threshold as an iteration.
    return len(fluxes) + (casa and code != kernel.GOING_ON)


def cross_psfs(psf: np.ndarray, patches: np.ndarray, reach: tuple[int, int], convolve) -> np.ndarray:
    """psf convolved with every pair of scales: (scale, scale, py, px), no larger than `reach`."""
    n, radius = len(patches), patches.shape[1] // 2
    part = central(psf, tuple(r + 4 * radius + 1 for r in reach))
    once = [convolve(part, p) for p in patches]
    out = None
    for a in range(n):
        for b in range(a, n):
            both = central(convolve(once[a], patches[b]), reach)
            out = np.empty((n, n, *both.shape)) if out is None else out
            out[a, b] = out[b, a] = both
    return out
