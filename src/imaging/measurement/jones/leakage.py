"""Leakage between the feeds of a station: a Station Jones module."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from imaging.measurement.contracts import ArrayJones


@dataclass
class Leakage:
    """D = [[1, d], [-d, 1]] with d the number `leakage` and, by station, complex normal errors of deviation `rms`."""

    leakage: complex = 0.0
    rms: float = 0.0
    solvable = False

    def compute_jones(self, Jones, stations=None, **kw) -> ArrayJones | None:
        if self.leakage == 0 and self.rms == 0:
            return None
        rng = np.random.default_rng(random.getrandbits(64))
        d = self.leakage + rng.normal(0, self.rms, (len(stations), 2)) @ [1, 1j]
        matrix = np.ones((len(stations), 1, 1, 2, 2), complex)
        matrix[:, 0, 0, 0, 1], matrix[:, 0, 0, 1, 0] = d, -d
        return ArrayJones(lambda tile: matrix, "full", name=Jones.name)
