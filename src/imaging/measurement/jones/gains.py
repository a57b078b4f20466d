"""Complex gains of stations that vary with time and frequency: a Station Jones module."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

import numpy as np

from imaging.algorithms import fluctuations
from imaging.config_base import Angle, Duration
from imaging.errors import ImagingError
from imaging.measurement.contracts import ArrayJones, name_of


@dataclass
class ComplexGains:
    """g = A exp(i phi) of each station and feed, the sizes and phases drawn once:

        A   = mean (1 + a + b sin(2 pi t/T + x) + c W(t) + e P(f))
        phi = mean_phase + p + q sin(2 pi t/T' + x') + r W'(t) + s P'(f) + 2 pi tau (nu - nu0)

    t counts from the first time of the observation, nu0 is its middle frequency, f goes from -1 to 1 over its band.
    W is a Gaussian process of deviation 1 and covariance exp(-dt^2 / 2 correlation^2), P a polynomial of rms 1. The
    numbers a to tau have the deviations that follow.
    """

    amplitude: float = 0.0
    """Of a: relative amplitudes of the stations."""
    phase: Angle = 0.0
    """Of p: phases of the stations."""
    wander: Angle = 0.0
    """Of q: how far phases swing as sines in time."""
    delay: Duration = 0.0
    """Of tau."""
    period: tuple[Duration, Duration] = (3600.0, 7200.0)
    """Shortest and longest period T of the sines."""
    amplitude_wander: float = 0.0
    """Of b: how far relative amplitudes swing as sines in time."""
    drift: Angle = 0.0
    """Of r: phases that drift as Gaussian processes in time."""
    amplitude_drift: float = 0.0
    """Of c: relative amplitudes that drift as Gaussian processes in time."""
    correlation: Duration = 600.0
    """Time in which the processes forget where they were."""
    ripple: Angle = 0.0
    """Of s: phases that are polynomials in frequency."""
    amplitude_ripple: float = 0.0
    """Of e: relative amplitudes that are polynomials in frequency."""
    order: int = 3
    """Of these polynomials."""
    mean: float = 1.0
    """Amplitude of all stations."""
    mean_phase: Angle = 0.0
    """Phase of all stations."""
    distribution: Literal["normal", "even"] = "normal"
    """Of the numbers that are drawn: normal of these deviations, or even from minus to plus these sizes."""
    feeds: Literal["apart", "together"] = "apart"
    """Whether the two feeds of a station have their own gains."""
    stations: tuple[str, ...] = ()
    """Those that have such gains, the others having 1; all where none is named."""
    solvable = False

    def __post_init__(self):
        if self.correlation <= 0 or self.order < 1 or not 0 < self.period[0] <= self.period[1]:
            raise ImagingError("ComplexGains cannot vary like this.", expected="times above 0, an order of 1 or more",
                               got=f"correlation {self.correlation:g} s, period {self.period}, order {self.order}",
                               next_step="correct the options of ComplexGains")  # fmt: skip

    def compute_jones(self, Jones, stations=None, context=None, **kw) -> ArrayJones:
        rng = np.random.default_rng(random.getrandbits(64))
        shape = (len(context.stations), 2 if self.feeds == "apart" else 1)
        start, middle, half = time_and_band(context)
        kinds = [(self.amplitude, self.amplitude_wander, self.amplitude_drift, self.amplitude_ripple),
                 (self.phase, self.wander, self.drift, self.ripple)]  # fmt: skip
        size, phase = (self._function(rng, shape, *sizes) for sizes in kinds)
        tau = self.delay * fluctuations.draw(rng, shape, self.distribution)[:, None, None]
        chosen = chosen_stations(self.stations, context.stations)[:, None, None, None]

        def gains(tile):
            t, f = tile.time - start, (tile.freq - middle) / half
            turn = self.mean_phase + phase(t, f) + 2 * np.pi * tau * (tile.freq - middle)[:, None]
            values = np.where(chosen, self.mean * (1 + size(t, f)) * np.exp(1j * turn), 1)
            return np.broadcast_to(values, (*values.shape[:3], 2))

        return ArrayJones(gains, "diagonal", name=Jones.name)

    def _function(self, rng, shape, constant, sine, process, polynomial):
        """(station, time | 1, chan | 1, component) of t (time,) s and f (chan,). What is used changes no numbers."""
        level = constant * fluctuations.draw(rng, shape, self.distribution)[:, None, None]
        swing = sine * fluctuations.draw(rng, shape, self.distribution)[:, None, None]
        wave = fluctuations.sines(rng, shape, self.period)
        drift = fluctuations.processes(rng, shape, self.correlation)
        curve = fluctuations.polynomials(rng, shape, self.order)

        def function(t, f):
            value = level + (swing * wave(t)[:, :, None] if sine else 0)
            value = value + (process * drift(t)[:, :, None] if process else 0)
            return value + (polynomial * curve(f)[:, None] if polynomial else 0)

        return function


def time_and_band(context) -> tuple[float, float, float]:
    """The first time (MJD s), and the middle and half the width (Hz) of the frequencies of an observation."""
    low, high = float(np.min(context.freq)), float(np.max(context.freq))
    return float(np.min(context.time)), (low + high) / 2, (high - low) / 2 or 1.0


def chosen_stations(names, stations) -> np.ndarray:
    """(station,) bool: which of `stations` are among `names`, all where none is named. Raises for unknown ones."""
    known = [name_of(p) for p in stations]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ImagingError(f"There is no station {unknown[0]}.", got=unknown[0], expected=", ".join(known),
                           next_step="correct the term's stations")  # fmt: skip
    return np.array([not names or name in names for name in known])
