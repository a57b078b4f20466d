"""Leakage between the feeds of a station: a Station Jones module."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np

from imaging.algorithms import fluctuations
from imaging.measurement.contracts import ArrayJones
from imaging.measurement.jones.gains import time_and_band


@dataclass
class Leakage:
    """D = [[1, d], [-d, 1]] (Hamaker, Bregman & Sault 1996, A&AS 117, 137), with complex d for each station."""

    leakage: float = 0.0
    """Real part of d, of all stations."""
    rms: float = 0.0
    """Deviation of normal errors of the stations' d, in each of the real and imaginary parts."""
    imaginary: float = 0.0
    """Imaginary part of d, of all stations."""
    ripple: float = 0.0
    """Size of what d changes by over the band: polynomials of rms 1, in each of the real and imaginary parts."""
    order: int = 3
    """Of these polynomials."""
    feeds: Literal["apart", "together"] = "together"
    """Apart: [[1, d], [-d', 1]] with errors of their own."""
    solvable = False

    def compute_jones(self, Jones, stations=None, context=None, **kw) -> ArrayJones | None:
        if self.leakage == self.imaginary == self.rms == self.ripple == 0:
            return None
        rng = np.random.default_rng(random.getrandbits(64))
        shape = (len(context.stations), 2 if self.feeds == "apart" else 1)
        constant = self.leakage + 1j * self.imaginary + self.rms * (rng.normal(size=(*shape, 2)) @ [1, 1j])
        real, imaginary = (fluctuations.polynomials(rng, shape, self.order) for _ in range(2))
        _, middle, half = time_and_band(context)

        def leakage(tile):
            d = constant[:, None]
            if self.ripple:
                f = (tile.freq - middle) / half
                d = d + self.ripple * (real(f) + 1j * imaginary(f))
            matrix = np.ones((*d.shape[:2], 2, 2), complex)
            matrix[..., 0, 1], matrix[..., 1, 0] = d[..., 0], -d[..., -1]
            return matrix[:, None]

        return ArrayJones(leakage, "full", name=Jones.name)
