"""MODEL_DATA, the one column that is written to a MeasurementSet of the user's, and only when asked to."""

from __future__ import annotations

import numpy as np
from casacore import tables

from imaging.errors import ImagingError
from imaging.io.ms import Metadata, first_line

NAME = "MODEL_DATA"


class ModelColumn:
    """MODEL_DATA of one MeasurementSet, open for writing; made, all zero, where there is none."""

    def __init__(self, meta: Metadata):
        self.meta = meta
        try:
            # Of the ways to lock, the one that goes with a reader in this process that holds no lock.
            self.table = tables.table(meta.path, readonly=False, ack=False, lockoptions="auto")
        except RuntimeError as error:
            raise self._refused(error) from None
        if NAME not in self.table.colnames():
            self._create()

    def __enter__(self) -> ModelColumn:
        return self

    def __exit__(self, *_) -> None:
        self.table.close()

    def put(self, rows: np.ndarray, channels: np.ndarray, vis: np.ndarray) -> None:
        """vis (row, chan, corr) to these rows and channels."""
        chosen = self.table.selectrows(rows)
        values = np.ascontiguousarray(vis, np.complex64)
        last = values.shape[2] - 1
        breaks = np.flatnonzero(np.diff(channels) != 1) + 1
        for run in np.split(np.arange(len(channels)), breaks):
            first, end = int(channels[run[0]]), int(channels[run[-1]])
            try:
                chosen.putcolslice(NAME, np.ascontiguousarray(values[:, run]), [first, 0], [end, last], [1, 1])
            except RuntimeError as error:
                raise self._refused(error) from None
        chosen.close()

    def _create(self) -> None:
        """A column with zeros in every row: readers take undefined cells for a damaged set."""
        description = tables.makearrcoldesc(NAME, 0, valuetype="complex", ndim=2, datamanagertype="TiledShapeStMan",
                                            datamanagergroup=NAME)  # fmt: skip
        tile = {"TYPE": "TiledShapeStMan", "NAME": NAME, "SPEC": {"DEFAULTTILESHAPE": [4, 64, 1024]}}
        try:
            self.table.addcols(tables.maketabdesc([description]), tile)
            for start in range(0, self.table.nrows(), 4096):
                ddid = self.table.getcol("DATA_DESC_ID", start, min(4096, self.table.nrows() - start))
                for one in np.unique(ddid).tolist():
                    rows = start + np.flatnonzero(ddid == one)
                    shape = (len(rows), len(self.meta.window(one).freq), len(self.meta.correlations(one)))
                    self.table.selectrows(rows).putcol(NAME, np.zeros(shape, np.complex64))
        except RuntimeError as error:
            raise self._refused(error) from None

    def _refused(self, error: RuntimeError) -> ImagingError:
        return ImagingError(f"MODEL_DATA of {self.meta.path} cannot be written.", got=first_line(error),
                            expected="a MeasurementSet that may be written to, and room for the column",
                            next_step="mend its permissions, or set clean.savemodel: none")  # fmt: skip
