"""Complex gains of stations that vary with time and, as delays, with frequency: a Station Jones module."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from imaging.measurement.contracts import ArrayJones


@dataclass
class ComplexGains:
    """g(t, nu) = (1 + a sin(2 pi t/T + x)) exp(i (p + q sin(2 pi t/T' + x') + 2 pi tau (nu - nu0))).

    The numbers are drawn once for each station and feed: a, p and q normal with the deviations `amplitude`, `phase`
    (rad) and `wander` (rad), tau with `delay` (s), T and T' evenly between `period` (s), x and x' evenly. t counts
    from the first time of the observation, nu0 is its middle frequency.
    """

    amplitude: float = 0.1
    phase: float = 0.5
    wander: float = 0.0
    delay: float = 0.0
    period: tuple[float, float] = (3600.0, 7200.0)
    solvable = False

    def compute_jones(self, Jones, stations=None, context=None, **kw) -> ArrayJones:
        rng = np.random.default_rng(random.getrandbits(64))
        shape = (len(stations), 1, 1, 2)
        a, p, q, tau = rng.normal(size=(4, *shape)) * np.reshape(
            [self.amplitude, self.phase, self.wander, self.delay], (4, 1, 1, 1, 1)
        )
        rate = 2 * np.pi / rng.uniform(*self.period, (2, *shape))
        x = rng.uniform(0, 2 * np.pi, (2, *shape))
        start, middle = float(np.min(context.time)), float(np.mean(context.freq))

        def gains(tile):
            t, nu = (tile.t - start)[..., None], tile.nu[:, None]
            size = 1 + a * np.sin(rate[0] * t + x[0])
            return size * np.exp(1j * (p + q * np.sin(rate[1] * t + x[1]) + 2 * np.pi * tau * (nu - middle)))

        return ArrayJones(gains, "diagonal", name=Jones.name)
