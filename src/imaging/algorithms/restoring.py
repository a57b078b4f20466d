"""The final image: the model seen with the restoring beam, plus the residual in the same units."""

from __future__ import annotations

import math

import numpy as np

from imaging.algorithms.beams import area, area_pixels, deconvolve_beam, gaussian_patch
from imaging.algorithms.convolving import convolve_patch, convolve_periodic
from imaging.image import Beam


def rescale_residual(
    residual: np.ndarray, beam: Beam, target: Beam, cell: tuple[float, float], compat: str = ""
) -> np.ndarray:
    """One residual plane (ny, nx) from Jy per `beam` to Jy per `target` beam.

    Convolved with the Gaussian that takes the one beam to the other and multiplied by the ratio of their areas. Where
    there is no such Gaussian, or it is narrower than a thousandth of a pixel, only multiplied. With compat "casa"
    the plane stays as it is unless that Gaussian's minor axis exceeds the diagonal of a pixel.
    """
    if beam == target:
        return residual
    kernel = deconvolve_beam(target, beam)
    if compat == "casa" and (kernel is None or kernel.minor <= math.hypot(*cell)):
        return residual
    ratio = area(target) / area(beam)
    if kernel is None or kernel.major < 1e-3 * min(cell):
        return (residual * ratio).astype(residual.dtype)
    known = np.isfinite(residual)
    smooth = _convolution(compat)(np.where(known, residual, 0), _unit_gaussian(kernel, cell))
    return np.where(known, smooth * ratio, residual).astype(residual.dtype)


def _convolution(compat: str):
    """CASA's convolutions bring what leaves the image at one edge back at the other."""
    return convolve_periodic if compat == "casa" else convolve_patch


def _unit_gaussian(beam: Beam, cell: tuple[float, float]) -> np.ndarray:
    """Gaussian of unit volume; an axis below what a pixel can hold is widened to a tenth of a pixel."""
    smallest = 0.1 * min(cell)
    widened = Beam(max(beam.major, smallest), max(beam.minor, smallest), beam.pa)
    patch = gaussian_patch(widened, cell)
    return patch / (patch.sum() if widened.minor < 2 * max(cell) else area_pixels(widened, cell))


def restore(
    model: np.ndarray,
    residual: np.ndarray,
    beam: Beam,
    cell: tuple[float, float],
    psf_beam: Beam | None = None,
    compat: str = "",
) -> np.ndarray:
    """Restored plane (ny, nx) in Jy per `beam`: model (Jy/pixel) convolved with the beam (peak 1) plus residual.

    psf_beam : the beam the residual's units refer to, `beam` itself if not given. cell : (x, y) rad.
    """
    seen = _convolution(compat)(model, gaussian_patch(beam, cell))
    return (seen + rescale_residual(residual, psf_beam or beam, beam, cell, compat)).astype(residual.dtype)


def pbcor(image: np.ndarray, pb: np.ndarray) -> np.ndarray:
    """image / pb where pb > 0, else 0; same shapes."""
    return np.divide(image, pb, out=np.zeros_like(image), where=pb > 0)
