"""Gains that were solved for, read from a file: a Station Jones module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from imaging.errors import ImagingError
from imaging.log import logger
from imaging.measurement.contracts import ArrayJones, name_of


@dataclass
class Solutions:
    """G of stations by name from `file` (solve, selfcal), at the nearest time or linear between two, nearest outside.

    A station without a solution has the matrix 0: correction flags its data, and counts them.
    """

    file: str = ""
    """What solve or selfcal wrote."""
    interpolation: Literal["nearest", "linear"] = "linear"
    """Between the solutions' times."""
    solvable = False

    def __post_init__(self):
        if not self.file:
            raise ImagingError("No solutions are named.", got="file: ''", expected="a file that solve wrote",
                               next_step="set the option file of Solutions")  # fmt: skip

    def compute_jones(self, Jones, stations=None, **kw) -> ArrayJones:
        from imaging.algorithms.calibration import at, gains_of
        from imaging.io.solutions import load_solutions

        table = load_solutions(self.file)
        names = [name_of(p) for p in stations]
        missing = [name for name in names if name not in table.stations]
        if len(missing) == len(names):
            raise ImagingError(f"The solutions in {self.file} are of other stations.",
                               got=", ".join(table.stations), expected=", ".join(names),
                               next_step="check the option file of Solutions")  # fmt: skip
        if missing:
            logger.warning("%s has no solutions of %s", self.file, ", ".join(missing))

        def gains(tile):
            if table.kind != "scalar" and (set(table.feeds) == {"R", "L"}) != (tile.feeds == "circular"):
                raise ImagingError(f"The solutions in {self.file} are of other feeds.", got=" and ".join(table.feeds),
                                   expected=f"{tile.feeds} ones", next_step="check the option file of Solutions"
                                   )  # fmt: skip
            values, block = at(gains_of(table, tile.stations), tile.time, tile.freq, self.interpolation)
            return np.nan_to_num(values)[:, :, block]

        return ArrayJones(gains, table.kind, name=Jones.name)
