"""Columns of visibilities that are written to MeasurementSets: of copies, or of the user's own where he asks for it."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
from casacore import tables

from imaging.errors import ImagingError
from imaging.io.ms import Metadata, first_line, open_table


class Column:
    """A column of cells (chan, corr) of one MeasurementSet, open for writing; made where there is none, all zero.

    A new CORRECTED_DATA begins as DATA: what is not corrected is as it was.

    `setting` is what the user may change where the set must not be written to.
    """

    def __init__(self, meta: Metadata, name: str = "MODEL_DATA", setting: str = "clean.savemodel: none"):
        self.meta, self.name, self.setting = meta, name, setting
        try:
            # Of the ways to lock, the one that goes with a reader in this process that holds no lock.
            self.table = tables.table(meta.path, readonly=False, ack=False, lockoptions="auto")
        except RuntimeError as error:
            raise self._refused(error) from None
        if name not in self.table.colnames():
            self._create()

    def __enter__(self) -> Column:
        return self

    def __exit__(self, *_) -> None:
        self.table.close()

    def put(self, rows: np.ndarray, channels: np.ndarray, values: np.ndarray) -> None:
        """values (row, chan, corr) to these rows and channels."""
        chosen = self.table.selectrows(rows)
        values = np.ascontiguousarray(values, bool if self.name == "FLAG" else np.complex64)
        last = values.shape[2] - 1
        breaks = np.flatnonzero(np.diff(channels) != 1) + 1
        for run in np.split(np.arange(len(channels)), breaks):
            first, end = int(channels[run[0]]), int(channels[run[-1]])
            try:
                chosen.putcolslice(self.name, np.ascontiguousarray(values[:, run]), [first, 0], [end, last], [1, 1])
            except RuntimeError as error:
                raise self._refused(error) from None
        chosen.close()

    def _create(self) -> None:
        """A value in every row: readers take undefined cells for a damaged set."""
        name = self.name
        old = "DATA" if name == "CORRECTED_DATA" and "DATA" in self.table.colnames() else ""
        description = tables.makearrcoldesc(name, 0, valuetype="complex", ndim=2, datamanagertype="TiledShapeStMan",
                                            datamanagergroup=name)  # fmt: skip
        tile = {"TYPE": "TiledShapeStMan", "NAME": name, "SPEC": {"DEFAULTTILESHAPE": [4, 64, 1024]}}
        try:
            self.table.addcols(tables.maketabdesc([description]), tile)
            for start in range(0, self.table.nrows(), 4096):
                ddid = self.table.getcol("DATA_DESC_ID", start, min(4096, self.table.nrows() - start))
                for one in np.unique(ddid).tolist():
                    rows = start + np.flatnonzero(ddid == one)
                    shape = (len(rows), len(self.meta.window(one).freq), len(self.meta.correlations(one)))
                    some = self.table.selectrows(rows)
                    there = old and all(some.iscelldefined(old, i) for i in range(len(rows)))
                    some.putcol(name, some.getcol(old) if there else np.zeros(shape, np.complex64))
        except RuntimeError as error:
            raise self._refused(error) from None

    def _refused(self, error: RuntimeError) -> ImagingError:
        return ImagingError(f"{self.name} of {self.meta.path} cannot be written.", got=first_line(error),
                            expected="a MeasurementSet that may be written to, and room for the column",
                            next_step=f"mend its permissions, or set {self.setting}")  # fmt: skip


def model_beside(meta: Metadata, path: str | os.PathLike) -> Column:
    """MODEL_DATA, all zero, of the rows of a set in a table of its own: the set stays as it is."""
    with open_table(meta.path) as main:
        main.select("DATA_DESC_ID").copy(str(path), deep=True).close()
    return Column(replace(meta, path=str(path)), setting="another folder")


def copy_ms(path: str | os.PathLike, to: str | os.PathLike) -> None:
    """A whole copy that may be written to. Raises ImagingError where `path` is no MeasurementSet."""
    open_table(str(path)).close()
    shutil.copytree(path, to)
    for entry in (Path(to), *Path(to).rglob("*")):
        entry.chmod(entry.stat().st_mode | stat.S_IWUSR)
