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


class PointSubtractor:
    """Subtracts point components times a psf (ny, nx) from images of its shape: the psf is transformed once.

    psf peaks at [ny//2, nx//2] and ends at its edges. The transforms are in single precision where `single`: errors
    1e-7 of the largest value. Their size is the smallest at which nothing that wraps comes back into the image.
    """

    def __init__(self, psf: np.ndarray, single: bool = False):
        self.dtype = np.float32 if single else np.float64
        self.shape = psf.shape
        self.size = [fourier.next_fast_len(n + (n + 1) // 2, real=True) for n in psf.shape]
        self.spectrum = fourier.rfft2(psf.astype(self.dtype), self.size)

    def __call__(self, residual, components, fluxes, out, keep=None) -> None:
        """out = residual less the components, except where `keep`. components (n, 3): scale (ignored), y, x."""
        points = np.zeros(self.shape, self.dtype)
        np.add.at(points, (components[:, 1], components[:, 2]), fluxes.astype(self.dtype))
        spectrum = fourier.rfft2(points, self.size)
        spectrum *= self.spectrum
        spread = fourier.irfft2(spectrum, self.size)
        y, x = (n // 2 for n in self.shape)
        updated = residual - spread[y : y + self.shape[0], x : x + self.shape[1]]
        np.copyto(out, updated.astype(out.dtype, copy=False), where=True if keep is None else ~keep)
