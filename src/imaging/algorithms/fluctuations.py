"""Random functions of time, frequency and place, the same wherever and in whatever pieces they are evaluated.

Functions of time and frequency belong to stations and components (feeds, or l and m): numbers (station, component).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

FEATURES = 64  # cosines that make a process


def draw(rng: np.random.Generator, shape, distribution: str = "normal") -> np.ndarray:
    """Normal numbers of deviation 1, or (`even`) numbers spread evenly between -1 and 1."""
    return rng.uniform(-1, 1, shape) if distribution == "even" else rng.standard_normal(shape)


def sines(rng: np.random.Generator, shape, period) -> Callable:
    """sin(2 pi t/T + x) of t (time,) s -> (station, time, component); T (s) and x even in `period` and a turn."""
    rate, phase = 2 * np.pi / rng.uniform(*period, shape), rng.uniform(0, 2 * np.pi, shape)
    return lambda t: np.sin(rate[:, None] * np.asarray(t, float)[:, None] + phase[:, None])


def processes(rng: np.random.Generator, shape, correlation: float) -> Callable:
    """Gaussian processes of t (time,) -> (station, time, component), of deviation 1.

    Their covariance is exp(-dt^2 / (2 correlation^2)): sums of FEATURES cosines of random rates (Rahimi & Recht 2007,
    Advances in Neural Information Processing Systems 20, algorithm 1).
    """
    rate, phase = rng.standard_normal((FEATURES, *shape)) / correlation, rng.uniform(0, 2 * np.pi, (FEATURES, *shape))

    def process(t):
        t, total = np.asarray(t, float)[:, None], 0.0
        for w, x in zip(rate, phase, strict=True):
            total = total + np.cos(w[:, None] * t + x[:, None])
        return math.sqrt(2 / FEATURES) * total

    return process


def polynomials(rng: np.random.Generator, shape, order: int) -> Callable:
    """Polynomials of x in [-1, 1] (chan,) -> (station, chan, component): Legendre's of 1 to `order`, rms 1 over x."""
    weights = rng.standard_normal((order, *shape)) * np.sqrt((2 * np.arange(1, order + 1) + 1) / order)[:, None, None]

    def polynomial(x):
        values = np.polynomial.legendre.legvander(np.asarray(x, float), order)[:, 1:]
        return np.einsum("fk,kac->afc", values, weights)

    return polynomial


def splines(rng: np.random.Generator, shape, knots: int) -> Callable:
    """Cubic splines of x in [-1, 1] (chan,) -> (station, chan, component) through normal numbers at even `knots`."""
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(np.linspace(-1, 1, knots), rng.standard_normal((knots, *shape)), bc_type="natural")
    return lambda x: np.moveaxis(spline(np.asarray(x, float)), 0, 1)


def von_karman(k, outer_scale: float) -> np.ndarray:
    """(k^2 + (2 pi / outer_scale)^2)^(-11/6): the shape of turbulence's spectrum in a plane, k in rad/m; 0 at 0 where
    there is no outer scale (0)."""
    k2 = np.asarray(k, float) ** 2 + ((2 * np.pi / outer_scale) ** 2 if outer_scale else 0.0)
    return np.where(k2 > 0, np.where(k2 > 0, k2, 1.0) ** (-11 / 6), 0.0)


def spectrum_of_scale(scale: float) -> float:
    """The factor of `von_karman` with which D(r) = (r/scale)^(5/3) for r far below the outer scale.

    D(r) = 4 pi C int k^(-8/3) (1 - J0(k r)) dk (Tatarskii 1961), an integral of Weber's.
    """
    integral = math.pi / (2 ** (8 / 3) * math.gamma(11 / 6) ** 2 * math.sin(5 * math.pi / 6))
    return scale ** (-5 / 3) / (4 * math.pi * integral)


def spectrum_of_rms(rms: float, outer_scale: float) -> float:
    """The factor of `von_karman` with which values have the deviation `rms`: rms^2 = (6 pi/5) C k0^(-5/3)."""
    return rms**2 * (2 * math.pi / outer_scale) ** (5 / 3) * 5 / (6 * math.pi)


def turbulence(rng: np.random.Generator, factor: float, outer_scale: float, pixel: float, size: int) -> np.ndarray:
    """A periodic screen (size, size), y and x every `pixel` m, of spectrum factor * von_karman."""
    from scipy import fft

    step = 2 * np.pi / (size * pixel)
    k = 2 * np.pi * np.fft.fftfreq(size, pixel)
    amplitude = np.sqrt(factor * von_karman(np.hypot(k[:, None], k), outer_scale)) * step
    noise = rng.standard_normal((2, size, size))
    return fft.ifft2(amplitude * (noise[0] + 1j * noise[1])).real * size**2


def at_places(screen: np.ndarray, x, y, pixel: float) -> np.ndarray:
    """A periodic screen at arrays x, y (m), bilinear between its pixels."""
    from scipy.ndimage import map_coordinates

    x, y = np.broadcast_arrays(np.atleast_1d(x), y)
    return map_coordinates(screen, np.stack([y, x]) / pixel, order=1, mode="grid-wrap")
