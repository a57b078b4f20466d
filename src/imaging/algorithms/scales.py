"""Scales of multi-scale clean after Offringa & Smirnov (2017, MNRAS 471, 301): sizes, shapes and biases."""

from __future__ import annotations

import math

import numpy as np

from imaging.algorithms import fourier

SCALE_FACTOR = 4.0  # of the beam: the first scale after the point
GAUSSIAN_SIGMA = 3 / 16  # of the scale: a Gaussian of the width of the tapered quadratic function


def automatic_scales(beam: float, shape: tuple[int, int]) -> list[float]:
    """0, 4 b, 8 b, 16 b, ... pixels below half the image; `beam` b is the FWHM in pixels."""
    scales, size = [0.0], SCALE_FACTOR * beam
    while size < min(shape) / 2:
        scales.append(size)
        size *= 2
    return scales


def scale_biases(scales, beam: float, bias: float) -> np.ndarray:
    """What the peak of each scale is multiplied by before they are compared: beta^(-log2(a / 2b)), and 1 for points.

    The paper's beta^(-1 - log2(a / a0)) (eq. 6) with a0 = 4b for the first scale.
    """
    return np.array([bias ** -math.log2(a / (2 * beam)) if a > 0 else 1.0 for a in scales])


def scale_radius(scale: float, shape: str = "tapered-quadratic") -> int:
    """Pixels on each side of the centre that are not zero."""
    return math.ceil(scale / 2) if shape == "tapered-quadratic" else math.ceil(6 * GAUSSIAN_SIGMA * scale)


def scale_kernel(scale: float, shape: str = "tapered-quadratic") -> np.ndarray:
    """A component of `scale` pixels and unit sum, on (2 radius + 1)^2 pixels.

    Hann(r) (1 - (r/a)^2) with Hann(r) = (1 + cos(2 pi r / (n + 1))) / 2, n = 2 ceil(a/2) + 1 (eq. 4 and 5), or a
    Gaussian of sigma 3a/16.
    """
    radius = scale_radius(scale, shape)
    r = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1])
    if scale == 0:
        return np.ones((1, 1))
    if shape == "gaussian":
        kernel = np.exp(-0.5 * (r / (GAUSSIAN_SIGMA * scale)) ** 2)
    else:
        width = 2 * radius + 2
        hann = np.where(2 * r < width, 0.5 + 0.5 * np.cos(2 * np.pi * r / width), 0.0)
        kernel = hann * np.maximum(0.0, 1 - (r / scale) ** 2)
    return kernel / kernel.sum()


class ScaleConvolver:
    """Convolves planes (ny, nx) with scale kernels and psfs; nothing that wraps comes back into the plane.

    psfs : (channel, ny, nx), peak at [ny//2, nx//2]. All is in the dtype of the planes. What was transformed is kept up
    to `memory` bytes.
    """

    def __init__(self, psfs: np.ndarray, scales, shape: str = "tapered-quadratic", memory: float = 1e9):
        self.psfs, self.shape, self.dtype, self.left = psfs, psfs.shape[1:], psfs.dtype, memory
        self.kernels = [scale_kernel(scale, shape) for scale in scales]
        radius = max(len(kernel) // 2 for kernel in self.kernels)
        self.narrow = tuple(fourier.next_fast_len(n + radius, real=True) for n in self.shape)
        self.wide = tuple(fourier.next_fast_len(n + (n + 1) // 2 + radius, real=True) for n in self.shape)
        self.kept: dict = {}

    def _keep(self, key, make):
        if key in self.kept:
            return self.kept[key]
        made = make()
        if made.nbytes <= self.left:
            self.left -= made.nbytes
            self.kept[key] = made
        return made

    def _kernel(self, scale: int, size: tuple[int, int]) -> np.ndarray:
        """The transform of a kernel centred on pixel [0, 0], which is real."""

        def make():
            kernel = self.kernels[scale]
            plane = np.zeros(size, self.dtype)
            r = len(kernel) // 2
            plane[: len(kernel), : len(kernel)] = kernel
            return fourier.rfft2(np.roll(plane, (-r, -r), (0, 1)), size).real.copy()

        return self._keep(("kernel", scale, size), make)

    def _psf(self, chan: int) -> np.ndarray:
        """The transform of a psf centred on pixel [0, 0]."""

        def make():
            plane = np.zeros(self.wide, self.dtype)
            ny, nx = self.shape
            plane[:ny, :nx] = self.psfs[chan]
            return fourier.rfft2(np.roll(plane, (-(ny // 2), -(nx // 2)), (0, 1)), self.wide)

        return self._keep(("psf", chan), make)

    def transform(self, plane: np.ndarray) -> np.ndarray:
        """The transform of a plane, for `scaled`."""
        return fourier.rfft2(plane, self.narrow)

    def scaled(self, transform: np.ndarray, scale: int) -> np.ndarray:
        """The plane of this transform convolved with a scale."""
        out = fourier.irfft2(transform * self._kernel(scale, self.narrow), self.narrow)
        return np.ascontiguousarray(out[: self.shape[0], : self.shape[1]])

    def convolve_scale(self, plane: np.ndarray, scale: int) -> np.ndarray:
        """A plane convolved with a scale."""
        return plane if len(self.kernels[scale]) == 1 else self.scaled(self.transform(plane), scale)

    def convolve_psf(self, plane: np.ndarray, chan: int, scale: int) -> np.ndarray:
        """A plane convolved with a scale and a psf."""
        transform = fourier.rfft2(plane, self.wide)
        transform *= self._psf(chan)
        if len(self.kernels[scale]) > 1:
            transform *= self._kernel(scale, self.wide)
        return fourier.irfft2(transform, self.wide)[: self.shape[0], : self.shape[1]]

    def scaled_psf(self, chan: int, scale: int, times: int, reach: tuple[int, int]) -> np.ndarray:
        """A psf convolved with a scale so many times, cut to `reach` pixels on each side of its peak."""
        if len(self.kernels[scale]) == 1:
            return _centre(self.psfs[chan], tuple(min(r, n // 2) for r, n in zip(reach, self.shape, strict=True)))
        spectrum = self._psf(chan) * self._kernel(scale, self.wide) ** times
        half = tuple(min(r, n // 2 - 1) for r, n in zip(reach, self.wide, strict=True))
        return np.roll(fourier.irfft2(spectrum, self.wide), half, (0, 1))[: 2 * half[0] + 1, : 2 * half[1] + 1].copy()

    def peak(self, psf: np.ndarray, scale: int) -> float:
        """The peak of a psf (ny, nx) convolved with a scale."""
        radius = len(self.kernels[scale]) // 2
        return float((_centre(psf, (radius, radius)).astype(np.float64) * self.kernels[scale]).sum())


def _centre(psf: np.ndarray, reach: tuple[int, int]) -> np.ndarray:
    """The middle of a psf, `reach` pixels on each side of its peak at [n//2]; zero beyond its edges."""
    out = np.zeros([2 * r + 1 for r in reach], psf.dtype)
    target, source = [], []
    for r, n in zip(reach, psf.shape, strict=True):
        first, last = max(n // 2 - r, 0), min(n // 2 + r + 1, n)
        source.append(slice(first, last))
        target.append(slice(first - n // 2 + r, last - n // 2 + r))
    out[tuple(target)] = psf[tuple(source)]
    return out
