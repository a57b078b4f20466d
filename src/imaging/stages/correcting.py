"""Visibilities corrected by solutions while they are read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imaging.errors import ImagingError
from imaging.io.ms_reader import Chunk, Reader
from imaging.log import logger


def load(path: str):
    """The solutions in a file, a GainTable; None where none is named. No numba for who has none."""
    if not path:
        return None
    from imaging.io.solutions import load_solutions

    return load_solutions(path)


class Corrector:
    """Divides chunks of one MeasurementSet by the gains of its antennas."""

    def __init__(self, reader: Reader, table, interpolation: str):
        from imaging.algorithms.calibration import gains_of

        self.reader, self.interpolation, self.lost, self.seen = reader, interpolation, 0, 0
        names = reader.meta.antennas
        there = {names[i] for i in reader.survey.antennas}
        missing = sorted(there - set(table.stations))
        if len(missing) == len(there):
            raise ImagingError("The solutions are of other antennas.", got=", ".join(table.stations),
                               expected=", ".join(sorted(there)), next_step="check data.solutions")  # fmt: skip
        if missing:
            logger.warning("%s: there are no solutions of %s: flagged", reader.meta.path, ", ".join(missing))
        self.table = gains_of(table, names)
        for ddid in reader.survey.rows:
            correlations = reader.meta.correlations(ddid)
            if table.kind == "full" and len(correlations) != 4 or not set("".join(correlations)) <= set(table.feeds):
                raise ImagingError("The solutions are of other feeds.", got=" and ".join(table.feeds),
                                   expected=f"gains for {', '.join(correlations)}",
                                   next_step="check data.solutions")  # fmt: skip

    def needed(self, ddid: int, used: list[int]) -> list[int]:
        """Which correlations to read: all of them where they are mixed by matrices."""
        return list(range(4)) if self.table.kind == "full" else used

    def __call__(self, chunk: Chunk, used: list[int]) -> Chunk:
        """The same samples, corrected, of the correlations that are used; those without gains are flagged."""
        from imaging.algorithms.calibration import at, correct

        freq = self.reader.meta.window(chunk.ddid).freq[self.reader.channels(chunk.ddid)]
        times, index = np.unique(chunk.time, return_inverse=True)
        gains, block = at(self.table, times, freq, self.interpolation)
        names = [self.reader.meta.correlations(chunk.ddid)[i] for i in self.needed(chunk.ddid, used)]
        vis, flag = np.ascontiguousarray(chunk.vis), np.ascontiguousarray(chunk.flag)
        weight = np.broadcast_to(chunk.weight, vis.shape).copy()
        self.seen += int((~flag).sum())
        self.lost += correct(vis, flag, weight, gains, chunk.antenna1, chunk.antenna2, index, block, names,
                             self.table.feeds)  # fmt: skip
        if self.table.kind == "full":
            vis, flag, weight = (values[..., used] for values in (vis, flag, weight))
        return replace(chunk, vis=vis, flag=flag, weight=weight)

    def tell(self) -> None:
        logger.info("%s: %d samples corrected, %d without solutions flagged", self.reader.meta.path,
                    self.seen - self.lost, self.lost)  # fmt: skip
        if self.lost > 0.2 * self.seen:
            logger.warning("%d of %d samples have no solutions: they are flagged", self.lost, self.seen)
