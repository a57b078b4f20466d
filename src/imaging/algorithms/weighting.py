"""Imaging weights from the weights of the samples (Briggs 1995, section 3; the formulas and cells are tclean's).

With w a sample's weight and G the density in its cell:
natural w; radial w |uv|; uniform and superuniform w/G; briggs w/(G f² + 1), f² = (5 10^-robust)² / (sum G² / sum w);
briggsabs w/(G robust² + 2 noise²). A taper multiplies afterwards. CASA's `.sumwt` of Stokes I counts both hands:
it is twice the sum of these weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from imaging.units import SPEED_OF_LIGHT


@dataclass(frozen=True)
class Taper:
    """A Gaussian taper exp(-(a ru² + b rv²)), u and v in wavelengths, ru along the position angle (rad)."""

    a: float
    b: float
    angle: float = 0.0

    @classmethod
    def of_image(cls, major: float, minor: float, angle: float) -> Taper:
        """The transform of an image-plane Gaussian of FWHM `major`, `minor` (rad)."""
        factor = np.pi**2 / (4 * np.log(2))
        return cls(factor * major**2, factor * minor**2, angle)

    @classmethod
    def of_uv(cls, major: float, minor: float, angle: float) -> Taper:
        """Half-widths at half maximum `major`, `minor` in wavelengths."""
        return cls(np.log(2) / major**2, np.log(2) / minor**2, angle)

    def __call__(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        along = np.sin(self.angle) * u + np.cos(self.angle) * v
        across = -np.cos(self.angle) * u + np.sin(self.angle) * v
        return np.exp(-(self.a * along**2 + self.b * across**2))


@dataclass(frozen=True)
class Scheme:
    """A weighting as `config.Weighting` names it; noise in Jy."""

    weighting: str = "natural"
    robust: float = 0.5
    noise: float = 1.0
    npixels: int = 0
    taper: Taper | None = None

    @property
    def needs_density(self) -> bool:
        return self.weighting not in ("natural", "radial")

    @property
    def box(self) -> int:
        """Cells on each side over which superuniform spreads a sample."""
        return (self.npixels or 3) if self.weighting == "superuniform" else 0


class Density:
    """Weight density of image channels: cells of 1/(N cell) wavelengths, N the image's size.

    `cell` (x, y) rad, `shape` (nx, ny). With npixels (other than superuniform's) the field of view that sets the
    cells is npixels pixels. `per_channel`: cells are centred on multiples of the cell, as CASA does for cubes,
    instead of beginning there.
    """

    def __init__(self, scheme: Scheme, cell, shape, planes: int = 1, per_channel: bool = False, kernel=None):
        if kernel is None:
            from imaging.kernels import weighting as kernel
        if scheme.npixels and scheme.weighting != "superuniform":
            shape = (scheme.npixels, scheme.npixels)
        self.kernel, self.scheme = kernel, scheme
        self.grid = np.zeros((planes, shape[1], shape[0]))
        self.gridded = np.zeros(planes)
        self.cells = (shape[0] * cell[0], shape[1] * cell[1], 0.5 if per_channel else 0.0)

    def add(self, uvw: np.ndarray, weight: np.ndarray, freq: np.ndarray, plane: np.ndarray):
        """Add samples: uvw (row, 3) m, weight (row, chan), freq (chan,) Hz, plane (chan,) or negative."""
        self.kernel.add_density(self.grid, self.gridded, uvw, weight, freq / SPEED_OF_LIGHT, plane, *self.cells,
                                self.scheme.box)  # fmt: skip

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """(a, b), one a plane, of the imaging weight w/(a G + b)."""
        one = np.ones(len(self.grid))
        if self.scheme.weighting == "briggs":
            squares = np.einsum("pyx,pyx->p", self.grid, self.grid)
            mean = np.divide(squares, self.gridded, out=one.copy(), where=self.gridded > 0)
            return (5 * 10.0**-self.scheme.robust) ** 2 / mean, one
        if self.scheme.weighting == "briggsabs":
            return one * self.scheme.robust**2, one * 2 * self.scheme.noise**2
        return one, 0 * one

    def weigh(self, uvw: np.ndarray, weight: np.ndarray, freq: np.ndarray, plane: np.ndarray) -> np.ndarray:
        """Imaging weights (row, chan) float64 of samples, when all have been added; 0 outside the grid."""
        density = np.empty(weight.shape)
        self.kernel.density_at(density, self.grid, uvw, freq / SPEED_OF_LIGHT, plane, *self.cells)
        a, b = (factor[np.maximum(plane, 0)] for factor in self.factors())
        return np.divide(weight, a * density + b, out=np.zeros(weight.shape), where=density > 0)


def imaging_weight(
    scheme: Scheme, density: Density | None, uvw: np.ndarray, weight: np.ndarray, freq: np.ndarray, plane: np.ndarray
) -> np.ndarray:
    """Imaging weights (row, chan) float32 of samples; `density` holds all of them where the scheme needs it.

    Samples of weight 0, of no plane, or outside the grid of the density have weight 0.
    """
    wavenumber = np.asarray(freq) / SPEED_OF_LIGHT
    if density is not None:
        made = density.weigh(uvw, weight, freq, plane)
    else:
        made = np.where(plane >= 0, weight, 0).astype(np.float64)
        if scheme.weighting == "radial":
            made *= np.hypot(uvw[:, 0], uvw[:, 1])[:, None] * wavenumber
    if scheme.taper is not None:
        made *= scheme.taper(uvw[:, :1] * wavenumber, uvw[:, 1:2] * wavenumber)
    return made.astype(np.float32)


def row_chunks(rows: int, channels: int, size: int = 2**22) -> Iterable[slice]:
    """Slices of rows that hold about `size` samples each."""
    step = max(size // max(channels, 1), 1)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
