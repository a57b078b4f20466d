"""Convolution of planes by FFT."""

from __future__ import annotations

import numpy as np

from imaging.algorithms import fourier


def _occupied(plane: np.ndarray) -> tuple[slice, slice] | None:
    """The smallest box that holds all non-zero pixels."""
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    if rows.size == 0:
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def convolve_patch(plane: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """`plane` (ny, nx) convolved with `patch`, whose centre is (py//2, px//2); zero outside both, nothing wraps.

    In double precision whatever goes in; only the box that holds the plane's non-zero pixels is transformed. Values
    below the transforms' rounding (1e-15 of the largest) are not cleared.
    """
    out = np.zeros(plane.shape)
    box = _occupied(plane)
    if box is None:
        return out
    small = plane[box].astype(np.float64)
    full = [a + b - 1 for a, b in zip(small.shape, patch.shape, strict=True)]
    size = [fourier.next_fast_len(n, real=True) for n in full]
    spread = fourier.irfft2(fourier.rfft2(small, size) * fourier.rfft2(patch.astype(np.float64), size), size)
    target, source = [], []
    for span, half, n, limit in zip(box, (p // 2 for p in patch.shape), full, plane.shape, strict=True):
        start = span.start - half
        target.append(slice(max(0, start), min(limit, start + n)))
        source.append(slice(target[-1].start - start, target[-1].stop - start))
    out[tuple(target)] = spread[tuple(source)]
    return out


def convolve_periodic(plane: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """As `convolve_patch`, but what leaves the plane at one edge comes back at the other."""
    kernel = np.zeros(plane.shape)
    rows, columns = ((np.arange(p) - p // 2) % n for p, n in zip(patch.shape, plane.shape, strict=True))
    np.add.at(kernel, np.ix_(rows, columns), patch)
    spectrum = fourier.rfft2(plane.astype(np.float64), plane.shape) * fourier.rfft2(kernel, plane.shape)
    return fourier.irfft2(spectrum, plane.shape)


def subtract_components(
    residual: np.ndarray,
    psf: np.ndarray,
    components: np.ndarray,
    fluxes: np.ndarray,
    out: np.ndarray,
    keep: np.ndarray | None = None,
) -> None:
    """out = residual - psf convolved with point components, all (ny, nx), except where `keep`.

    components (n, 3): scale (ignored), y, x; fluxes (n,). psf peaks at [ny//2, nx//2] and ends at its edges.
    """
    points = np.zeros(residual.shape)
    np.add.at(points, (components[:, 1], components[:, 2]), fluxes.astype(np.float64))
    updated = residual - convolve_patch(points, psf)
    if keep is None:
        out[...] = updated
    else:
        np.copyto(out, updated.astype(out.dtype), where=~keep)
