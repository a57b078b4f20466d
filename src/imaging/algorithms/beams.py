"""Elliptical Gaussian beams as matrices: area, convolution, deconvolution, the beam common to several."""

from __future__ import annotations

import math

import numpy as np

from imaging.image import Beam

FOUR_LN2 = 4 * math.log(2)
CUTOFF = 20.0  # exponent beyond which a Gaussian counts as zero (2e-9)


def covariance(beam: Beam) -> np.ndarray:
    """FWHM^2 as a 2x2 matrix in pixel directions (x towards west, y north); convolution adds these matrices."""
    c, s = math.cos(beam.pa), math.sin(beam.pa)
    along, across = np.array([-s, c]), np.array([c, s])
    return beam.major**2 * np.outer(along, along) + beam.minor**2 * np.outer(across, across)


def from_covariance(matrix: np.ndarray) -> Beam:
    """The beam of a matrix; PA in (-90, 90] degrees. Eigenvalues below zero count as zero."""
    values, vectors = np.linalg.eigh(matrix)
    x, y = vectors[:, 1]
    return Beam(math.sqrt(max(values[1], 0.0)), math.sqrt(max(values[0], 0.0)), fold(math.atan2(-x, y)))


def fold(pa: float) -> float:
    """The same position angle in (-90, 90] degrees; rad."""
    return pa - math.pi * math.ceil(pa / math.pi - 0.5)


def area(beam: Beam) -> float:
    """Solid angle of the Gaussian in sr: pi bmaj bmin / (4 ln 2)."""
    return math.pi * beam.major * beam.minor / FOUR_LN2


def area_pixels(beam: Beam, cell: tuple[float, float]) -> float:
    """Solid angle of the Gaussian in pixels of `cell` (x, y) rad."""
    return area(beam) / (cell[0] * cell[1])


def gaussian(beam: Beam, cell: tuple[float, float], shape: tuple[int, int]) -> np.ndarray:
    """Gaussian of peak 1 at pixel (ny//2, nx//2) of `shape` (ny, nx), zero where 4 ln2 r^2 > 20; float64."""
    inverse = np.linalg.inv(covariance(beam))
    y = (np.arange(shape[0]) - shape[0] // 2)[:, None] * cell[1]
    x = (np.arange(shape[1]) - shape[1] // 2)[None, :] * cell[0]
    exponent = FOUR_LN2 * (inverse[0, 0] * x * x + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y * y)
    return np.where(exponent <= CUTOFF, np.exp(-np.minimum(exponent, CUTOFF)), 0.0)


def gaussian_patch(beam: Beam, cell: tuple[float, float]) -> np.ndarray:
    """The Gaussian on the smallest odd-sized array that holds all of it."""
    extent = np.sqrt(np.diag(covariance(beam)) * CUTOFF / FOUR_LN2)
    nx, ny = (2 * math.ceil(e / c) + 1 for e, c in zip(extent, cell, strict=True))
    return gaussian(beam, cell, (ny, nx))


def convolve_beams(first: Beam, second: Beam) -> Beam:
    """Beam of the convolution of two Gaussians (Wild 1970, Aust. J. Phys. 23, 113)."""
    return from_covariance(covariance(first) + covariance(second))


def deconvolve_beam(target: Beam, source: Beam) -> Beam | None:
    """The Gaussian that convolves `source` to `target` (Wild 1970); None where there is none.

    Equal axes leave a kernel of zero width (tolerance 1e-9 of the target's major axis squared).
    """
    difference = covariance(target) - covariance(source)
    if np.linalg.eigvalsh(difference)[0] < -1e-9 * target.major**2:
        return None
    return from_covariance(difference)


def common_beam(beams: list[Beam], compat: str = "") -> Beam:
    """A small beam to which every one of `beams` can be convolved.

    The largest by area where that will do. Otherwise it is replaced, for a beam it cannot be made from, by the
    ellipse that encloses both: in the frame where the larger is a circle, aligned with the other's axes; then 0.1 %
    larger until both fit; and the search starts again. With compat "casa" the last such beam instead of the first is
    taken, beams at right angles are enclosed by their major axes unseen, and angles beyond 90 degrees are mirrored
    (all of which can only give a larger beam).
    """
    beams = [Beam(b.major, b.minor, fold(b.pa)) for b in beams]
    fits, enclose = (_fits_casa, _enclose_casa) if compat == "casa" else (_fits, _enclose)
    while True:
        largest = max(range(len(beams)), key=lambda k: area(beams[k]))
        target = beams[largest]
        problems = [b for b in beams if b != target and not fits(target, b)]
        if not problems:
            return target
        problem = problems[-1 if compat == "casa" else 0]
        if compat == "casa" and abs(problem.pa - target.pa) == math.pi / 2:
            upper, lower = (target, problem) if target.major >= problem.major else (problem, target)
            return Beam(upper.major, lower.major, upper.pa)
        enclosing = enclose(target, problem)
        while not (fits(enclosing, target) and fits(enclosing, problem)):
            enclosing = Beam(1.001 * enclosing.major, 1.001 * enclosing.minor, enclosing.pa)
        beams[largest] = enclosing


def _fits(target: Beam, source: Beam) -> bool:
    return deconvolve_beam(target, source) is not None


def _fits_casa(target: Beam, source: Beam) -> bool:
    """A kernel of zero width does not count (in CASA rounding has it so)."""
    return bool(np.linalg.eigvalsh(covariance(target) - covariance(source))[0] > 1e-12 * target.major**2)


def _enclose(target: Beam, problem: Beam) -> Beam:
    values, vectors = np.linalg.eigh(covariance(target))
    to_circle = vectors @ np.diag(values**-0.5) @ vectors.T
    back = np.linalg.inv(to_circle)
    sizes, axes = np.linalg.eigh(to_circle @ covariance(problem) @ to_circle)
    return from_covariance(back @ axes @ np.diag(np.maximum(sizes, 1.0)) @ axes.T @ back)


def _enclose_casa(target: Beam, problem: Beam) -> Beam:
    squeeze = math.sqrt(target.minor / target.major)
    major, _, angle = _scaled(problem.major, problem.minor, problem.pa - target.pa, squeeze)
    major, minor, angle = _scaled(major, math.sqrt(target.major * target.minor), angle, 1 / squeeze)
    return Beam(major, minor, fold(angle + target.pa))


def _scaled(major: float, minor: float, angle: float, squeeze: float) -> tuple[float, float, float]:
    """An ellipse at `angle` from x after scaling x by `squeeze` and y by its inverse; angle folded into a quadrant."""
    along, across = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    scale = np.diag([squeeze, 1 / squeeze])
    matrix = scale @ (major**2 * np.outer(along, along) + minor**2 * np.outer(across, across)) @ scale
    values, vectors = np.linalg.eigh(matrix)
    return math.sqrt(values[1]), math.sqrt(values[0]), math.copysign(math.acos(min(1.0, abs(vectors[0, 1]))), angle)
