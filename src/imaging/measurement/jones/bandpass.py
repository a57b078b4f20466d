"""Bandpasses of stations: a Station Jones module."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np

from imaging.algorithms import fluctuations
from imaging.config_base import Angle, Duration, Fraction, Frequency
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayJones
from imaging.measurement.jones.gains import time_and_band


@dataclass
class Bandpass:
    """B(nu) = R (1 + a P(f)) exp(i (p P'(f) + 2 pi tau (nu - nu0))), of each station and feed, constant in time.

    P and P' are random smooth functions of f, which goes from -1 to 1 over the band, nu0 is the band's middle and R,
    the edges' roll-off, the same for all.
    """

    amplitude: float = 0.0
    """Size a of the relative amplitudes' changes."""
    phase: Angle = 0.0
    """Size p of the phases' changes."""
    delay: Duration = 0.0
    """Deviation of the delays tau."""
    shape: Literal["polynomial", "spline"] = "polynomial"
    """P: a polynomial of rms 1, or a cubic spline through normal numbers."""
    order: int = 5
    """Order of the polynomials, or number of the splines' knots, evenly spaced."""
    edge: Fraction = 0.0
    """Part of the band, at either end, over which the amplitude falls as a cosine."""
    edge_level: Fraction = 0.5
    """Amplitude at the very edge, if there is roll-off."""
    band: tuple[Frequency, Frequency] = (0.0, 0.0)
    """From where to where the functions go; the channels that are there where it is 0."""
    feeds: Literal["apart", "together"] = "apart"
    """Whether the two feeds of a station have their own bandpasses."""
    solvable = False

    def __post_init__(self):
        if self.order < (2 if self.shape == "spline" else 1) or self.band[0] > self.band[1] or self.edge > 0.5:
            raise ImagingError("There is no such bandpass.",
                               got=f"order {self.order}, band {self.band}, edge {self.edge:g}",
                               expected="an order of 1 or more (knots: 2), a band upwards, edges of at most 0.5",
                               next_step="correct the options of Bandpass")  # fmt: skip

    def compute_jones(self, Jones, stations=None, context=None, **kw) -> ArrayJones:
        rng = np.random.default_rng(random.getrandbits(64))
        shape = (len(context.stations), 2 if self.feeds == "apart" else 1)
        make = fluctuations.splines if self.shape == "spline" else fluctuations.polynomials
        size, phase = make(rng, shape, self.order), make(rng, shape, self.order)
        tau = self.delay * rng.standard_normal(shape)[:, None]
        if self.band[1] > 0:
            middle, half = sum(self.band) / 2, (self.band[1] - self.band[0]) / 2 or 1.0
        else:
            _, middle, half = time_and_band(context)

        def bandpass(tile):
            f = (tile.freq - middle) / half
            turn = self.phase * phase(f) + 2 * np.pi * tau * (tile.freq - middle)[:, None]
            values = self.roll_off(f)[:, None] * (1 + self.amplitude * size(f)) * np.exp(1j * turn)
            return np.broadcast_to(values[:, None], (values.shape[0], 1, len(f), 2))

        return ArrayJones(bandpass, "diagonal", name=Jones.name)

    def roll_off(self, f) -> np.ndarray:
        """1, falling as a cosine to `edge_level` over the outermost `edge` of the band; f from -1 to 1."""
        if not self.edge:
            return np.ones(len(f))
        within = np.clip((1 - np.abs(f)) / (2 * self.edge), 0, 1)
        return self.edge_level + (1 - self.edge_level) * (1 - np.cos(np.pi * within)) / 2
