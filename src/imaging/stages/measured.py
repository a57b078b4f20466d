"""What predict, corrupt and correct share: a MeasurementSet as observations in tiles, and where the result goes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.polarisation import as_matrices, feeds_of, from_matrices
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path
from imaging.io.ms_columns import Column, copy_ms
from imaging.io.ms_reader import Reader, open_readers
from imaging.log import logger
from imaging.measurement.tiles import Observation, Tile
from imaging.measurement.trees import Data
from imaging.settings import Settings
from imaging.stages.pointings import field_centre

SETTING = "measurement.write: new"
BYTES = 64 * 12
"""Of memory for each visibility matrix: itself and its copies on the way."""


@contextmanager
def written(ms: str, out: str, section) -> Iterator[str]:
    """The MeasurementSet to write columns of: a copy that becomes `out`, or `ms` itself, with `out` as a record."""
    with atomic_path(out) as unfinished:
        if section.write == "new":
            copy_ms(ms, unfinished)
            yield str(unfinished)
        else:
            yield ms
            unfinished.write_text(json.dumps({"path": ms, "measurement": vars(section)}, indent=1) + "\n")


@dataclass(frozen=True)
class Group:
    """The rows (numbers in the set) of one field and spectral window, as an Observation; `key` tells it from others."""

    key: str
    reader: Reader
    ddid: int
    rows: np.ndarray
    observation: Observation

    def tiles(self, memory: float) -> Iterator[tuple[np.ndarray, Tile]]:
        """(row numbers, tile) of as many times as `memory` (bytes) allows; the log tells how far it is."""
        times = max(1, len(np.unique(self.observation.time)))
        each = len(self.rows) / times * len(self.observation.freq) * BYTES
        done = told = 0
        for rows, tile in self.observation.tiles(times=max(1, int(memory / 2 / each))):
            yield self.rows[rows], tile
            done += len(rows)
            if done - told >= 0.05 * len(self.rows):
                logger.info("%.0f %% of %d rows", 100 * done / len(self.rows), len(self.rows))
                told = done

    def need(self, column: str) -> None:
        """Raises ImagingError where the set has no such column."""
        if column not in self.reader.meta.columns:
            raise ImagingError(f"The set has no column {column}.", got=", ".join(self.reader.meta.columns),
                               expected=column, next_step="let measurement.steps make it (predict: MODEL_DATA), or name"
                               " another set")  # fmt: skip

    def read(self, column: str, rows: np.ndarray) -> np.ndarray:
        """Visibilities (row, chan, 2, 2); raises ImagingError where the set has no such column."""
        meta = self.reader.meta
        self.need(column)
        values, defined = self.reader.cells(self.ddid, rows, column)
        if not defined.all():
            raise ImagingError(f"{column} of {meta.path} is not complete.", got=f"{np.sum(~defined)} rows without it",
                               expected="a value in every selected row", next_step="choose rows that have it in the"
                               " section data")  # fmt: skip
        return as_matrices(values, meta.correlations(self.ddid))

    def write(self, column: Column, rows: np.ndarray, vis: np.ndarray) -> None:
        """vis (row, chan, 2, 2), the correlations that the set has."""
        values = from_matrices(vis, self.reader.meta.correlations(self.ddid))
        column.put(rows, self.reader.channels(self.ddid), values)

    def flag(self, column: Column, rows: np.ndarray, flag: np.ndarray) -> None:
        """Add flags (row, chan) to those that are there, for all correlations."""
        if flag.any():
            there, _ = self.reader.cells(self.ddid, rows, "FLAG", bool)
            column.put(rows, self.reader.channels(self.ddid), there | flag[:, :, None])


def carry(group: Group, maker, make_tree, source: str, target: str, memory: float, seen):
    """Visibilities of the column `source` through a tree to `target`, and its flags; returns the tree.

    `make_tree` makes it of a tree of the visibilities; `seen` (inspected.Inspected) gathers what there is to look at.
    """
    here: dict = {}
    tree = make_tree(Data(lambda tile: here["vis"]))
    with Column(group.reader.meta, target, SETTING) as column, Column(group.reader.meta, "FLAG", SETTING) as flags:
        for rows, tile in group.tiles(memory):
            here["vis"] = group.read(source, rows)
            vis, flag = tree.evaluate(tile)
            group.write(column, rows, vis)
            group.flag(flags, rows, flag)
            seen.take(maker, tile, group.key)
    return tree


@contextmanager
def groups(path: str, data) -> Iterator[list[Group]]:
    """Those of the rows that `data` (config.Data) selects; raises ImagingError where there are none."""
    with ExitStack() as stack:
        (reader,) = open_readers([path], Settings(**vars(data) | {"datacolumn": "auto"}))
        stack.callback(reader.close)
        scalars = defaultdict(list)
        for ddid, rows, columns in reader.scalars():
            for field in np.unique(columns["FIELD_ID"]).tolist():
                own = columns["FIELD_ID"] == field
                scalars[ddid, field].append((rows[own], {key: values[own] for key, values in columns.items()}))
        several = len(scalars) > 1
        yield [_group(reader, *which, parts, several) for which, parts in sorted(scalars.items())]


def _names(antennas: list[str]) -> tuple[str, ...]:
    """Of the stations: their numbers, where any two share a name or one has none."""
    named = all(antennas) and len(set(antennas)) == len(antennas)
    return tuple(antennas) if named else tuple(map(str, range(len(antennas))))


def _group(reader: Reader, ddid: int, field: int, parts: list, several: bool) -> Group:
    meta, channels = reader.meta, reader.channels(ddid)
    window = meta.window(ddid)
    rows = np.concatenate([rows for rows, _ in parts])
    columns = {key: np.concatenate([part[key] for _, part in parts])
               for key in ("TIME", "INTERVAL", "UVW", "ANTENNA1", "ANTENNA2")}  # fmt: skip
    centre, _ = field_centre(meta, field, "FK5")
    interval = np.median(columns["INTERVAL"])
    logger.info("%s: field %s, %d rows, %d channels", meta.path, meta.fields[field], len(rows), len(channels))
    key = f" {meta.fields[field]} {meta.descriptions[ddid][0]}" if several else ""
    return Group(
        key, reader, ddid, rows, Observation(
        stations=_names(meta.antennas), antenna1=columns["ANTENNA1"], antenna2=columns["ANTENNA2"],
        time=columns["TIME"], uvw=columns["UVW"], freq=window.freq[channels], phase_centre=centre,
        width=np.abs(window.width[channels]), interval=float(interval), feeds=feeds_of(meta.correlations(ddid)),
        positions=meta.positions,
    ))  # fmt: skip
