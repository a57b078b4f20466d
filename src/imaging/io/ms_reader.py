"""The selected rows of a MeasurementSet, in chunks: memory does not depend on the size of the set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from imaging.errors import ImagingError
from imaging.io.ms import SCALARS, WEIGHTS, Metadata, data_column, first_line, open_table, read_metadata
from imaging.io.selection import Selection, parse_selection
from imaging.log import logger

CHUNK_BYTES = 48 * 2**20
"""Visibilities held at a time; the rest of a chunk's memory is a small multiple of it, whatever the set's size."""


@dataclass
class Survey:
    """What a selection takes: looked up in the scalar columns before any visibility is read."""

    rows: Counter = field(default_factory=Counter)
    """Selected rows by DATA_DESC_ID, without autocorrelations."""
    autocorrelations: Counter = field(default_factory=Counter)
    met: Counter = field(default_factory=Counter)
    """Rows that meet each criterion by itself."""
    fields: set[int] = field(default_factory=set)
    antennas: set[int] = field(default_factory=set)
    first_field: int | None = None
    longest: float = 0.0
    """Longest selected baseline, m."""
    reach: dict[int, float] = field(default_factory=dict)
    """Longest projected one (u, v) by DATA_DESC_ID, m."""
    begin: float = np.inf
    end: float = -np.inf


@dataclass
class Chunk:
    """Selected rows of one DATA_DESC_ID: `vis`, `flag`, `weight` (row, chan, corr); `undefined` rows lack cells.

    `model` as vis, zero where there is none, if it was asked for.
    """

    ddid: int
    uvw: np.ndarray
    time: np.ndarray
    antenna1: np.ndarray
    antenna2: np.ndarray
    field: np.ndarray
    vis: np.ndarray
    flag: np.ndarray
    weight: np.ndarray
    undefined: int
    scan: np.ndarray
    model: np.ndarray | None = None


class Reader:
    """The selected rows of one MeasurementSet. Autocorrelations are never among them."""

    def __init__(self, meta: Metadata, selection: Selection, taql: str = ""):
        self.meta, self.selection = meta, selection
        self.table = open_table(meta.path)
        # One number a row, the only thing held that grows with the data, and only when TaQL is asked for.
        self.matching = self._query(taql) if taql.strip() else None
        self.survey = self._survey()

    def close(self):
        self.table.close()

    def channels(self, ddid: int) -> np.ndarray:
        """Numbers of the selected channels."""
        spw = self.meta.descriptions[ddid][0]
        if self.selection.channels is None:
            return np.arange(len(self.meta.window(ddid).freq))
        return np.flatnonzero(self.selection.channels[spw])

    def _query(self, taql: str) -> np.ndarray:
        try:
            found = self.table.query(taql)
            return np.sort(np.asarray(found.rownumbers(), np.int64))
        except RuntimeError as error:
            raise ImagingError("data.taql is not understood.", got=f"{taql}: {first_line(error)}",
                               expected="a TaQL condition on the main table, such as 'ANTENNA1 != 3'",
                               next_step="correct data.taql") from None  # fmt: skip

    def _selected(self, step: int) -> Iterator[tuple[int, dict, np.ndarray, dict]]:
        """(first row, scalar columns, whether selected, criteria met) for blocks of rows."""
        meta = self.meta
        windows = np.array([spw for spw, _ in meta.descriptions] or [-1])
        centres = np.array([w.freq.mean() if len(w.freq) else 0.0 for w in meta.windows] or [0.0])
        for start in range(0, meta.rows, step):
            count = min(step, meta.rows - start)
            columns = {name: self.table.getcol(name, start, count) for name in SCALARS}
            ddid = columns["DATA_DESC_ID"]
            known = (ddid >= 0) & (ddid < len(windows))
            spw = np.where(known, windows[np.where(known, ddid, 0)], -1)
            frequency = centres[np.clip(spw, 0, len(centres) - 1)]
            met = self.selection.rows(columns, spw, frequency)
            if self.matching is not None:
                met["taql"] = np.zeros(count, bool)
                low, high = np.searchsorted(self.matching, (start, start + count))
                met["taql"][self.matching[low:high] - start] = True
            chosen = np.logical_and.reduce([np.ones(count, bool), *met.values()])
            yield start, columns, chosen, met

    def _survey(self) -> Survey:
        survey = Survey()
        for _, columns, chosen, met in self._selected(2**17):
            survey.met.update({name: int(mask.sum()) for name, mask in met.items()})
            cross = columns["ANTENNA1"] != columns["ANTENNA2"]
            survey.autocorrelations.update(columns["DATA_DESC_ID"][chosen & ~cross].tolist())
            rows = np.flatnonzero(chosen & cross)
            if not len(rows):
                continue
            survey.rows.update(columns["DATA_DESC_ID"][rows].tolist())
            survey.fields |= set(np.unique(columns["FIELD_ID"][rows]).tolist())
            survey.antennas |= set(np.unique([columns["ANTENNA1"][rows], columns["ANTENNA2"][rows]]).tolist())
            if survey.first_field is None:
                survey.first_field = int(columns["FIELD_ID"][rows[0]])
            lengths = np.linalg.norm(columns["UVW"][rows], axis=1)
            survey.longest = max(survey.longest, float(np.max(lengths, initial=0, where=np.isfinite(lengths))))
            distance = np.hypot(*columns["UVW"][rows, :2].T)
            for ddid in np.unique(columns["DATA_DESC_ID"][rows]).tolist():
                own = np.isfinite(distance) & (columns["DATA_DESC_ID"][rows] == ddid)
                survey.reach[ddid] = max(survey.reach.get(ddid, 0.0), float(np.max(distance, initial=0, where=own)))
            half = columns["INTERVAL"][rows] / 2
            survey.begin = min(survey.begin, float((columns["TIME"][rows] - half).min()))
            survey.end = max(survey.end, float((columns["TIME"][rows] + half).max()))
        return survey

    def chunks(self, column: str, correlations: dict[int, list[int]], model: str = "") -> Iterator[Chunk]:
        """The samples, by block of rows and DATA_DESC_ID in it, in the order of the rows.

        `correlations` names by DATA_DESC_ID which ones to read (row, chan, corr), in rising order; `model` the table
        with MODEL_DATA of the same rows.
        """
        beside = open_model(model) if model else None
        for ddid, start, rows, columns in self._blocks():
            yield self._chunk(ddid, start, rows, columns, column, correlations[ddid], beside)
        if beside is not None:
            beside.close()

    def schedule(self) -> Iterator[tuple[int, float, int, float, int]]:
        """(DATA_DESC_ID, time, scan, interval s, rows) of the selected integrations, each once for a block of rows."""
        for ddid, _, rows, columns in self._blocks():
            entries = np.stack([columns[name][rows] for name in ("TIME", "SCAN_NUMBER", "INTERVAL")])
            found, counts = np.unique(entries, axis=1, return_counts=True)
            for (time, scan, length), count in zip(found.T.tolist(), counts.tolist(), strict=True):
                yield ddid, time, int(scan), length, count

    def baselines(self) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """(DATA_DESC_ID, row numbers in the set, uvw (row, 3) m, field ids) of the selected rows, block by block."""
        for ddid, start, rows, columns in self._blocks():
            yield ddid, start + rows, columns["UVW"][rows], columns["FIELD_ID"][rows]

    def scalars(self) -> Iterator[tuple[int, np.ndarray, dict]]:
        """(DATA_DESC_ID, row numbers in the set, scalar columns of these) of the selected rows, block by block."""
        for ddid, start, rows, columns in self._blocks():
            yield ddid, start + rows, {name: values[rows] for name, values in columns.items()}

    def cells(self, ddid: int, rows: np.ndarray, column: str, dtype=np.complex64) -> tuple[np.ndarray, np.ndarray]:
        """A column (row, chan, corr) of any rows of one DATA_DESC_ID, its selected channels; and which rows have it."""
        part = self.table.selectrows(rows)
        wanted = list(range(len(self.meta.correlations(ddid))))
        read = _Cells(part, 0, -1, len(rows), self.channels(ddid), wanted, self.meta, ddid).read(column, dtype)
        part.close()
        return read

    def _blocks(self) -> Iterator[tuple[int, int, np.ndarray, dict]]:
        """(DATA_DESC_ID, first row, rows from there, scalar columns) of the selected rows, in their order."""
        sizes = [len(self.channels(d)) * len(self.meta.correlations(d)) for d in sorted(self.survey.rows)]
        step = int(np.clip(CHUNK_BYTES // (8 * max(sizes, default=1)), 1, 2**17))
        for start, columns, chosen, _ in self._selected(step):
            chosen &= columns["ANTENNA1"] != columns["ANTENNA2"]
            for ddid in np.unique(columns["DATA_DESC_ID"][chosen]).tolist():
                yield ddid, start, np.flatnonzero(chosen & (columns["DATA_DESC_ID"] == ddid)), columns

    def _chunk(self, ddid, start, rows, columns, column, wanted, beside=None) -> Chunk:
        contiguous = rows[-1] - rows[0] + 1 == len(rows)
        span = (int(start + rows[0]), len(rows)) if contiguous else (0, -1)
        part = self.table if contiguous else self.table.selectrows(rows + start)
        cells = _Cells(part, *span, len(rows), self.channels(ddid), wanted, self.meta, ddid)
        vis, has_vis = cells.read(column, np.complex64)
        flag, has_flag = cells.read("FLAG", bool)
        weight, has_weight = cells.weights()
        defined = has_vis & has_flag & has_weight
        flag |= (columns["FLAG_ROW"][rows] | ~defined)[:, None, None]
        if not contiguous:
            part.close()
        model = None if beside is None else self._model(beside, ddid, start + rows, contiguous, wanted)
        return Chunk(ddid, columns["UVW"][rows], columns["TIME"][rows], columns["ANTENNA1"][rows],
                     columns["ANTENNA2"][rows], columns["FIELD_ID"][rows], vis, flag, weight,
                     int(np.sum(~defined)), columns["SCAN_NUMBER"][rows], model)  # fmt: skip

    def _model(self, table, ddid, rows, contiguous, wanted) -> np.ndarray:
        part = table if contiguous else table.selectrows(rows)
        span = (int(rows[0]), len(rows)) if contiguous else (0, -1)
        cells = _Cells(part, *span, len(rows), self.channels(ddid), wanted, self.meta, ddid)
        return cells.read("MODEL_DATA", np.complex64)[0]


class _Cells:
    """Array cells of some rows, cut to channels and correlations: (row, chan, corr), and which rows have them."""

    def __init__(self, table, start, count, rows, channels, wanted, meta, ddid):
        self.table, self.start, self.count, self.rows, self.meta = table, start, count, rows, meta
        self.channels, self.wanted = channels, wanted
        self.shape = (len(meta.window(ddid).freq), len(meta.correlations(ddid)))

    def read(self, column: str, dtype) -> tuple[np.ndarray, np.ndarray]:
        flat = column in ("WEIGHT", "SIGMA")
        first = [] if flat else [int(self.channels[0])]
        last = [] if flat else [int(self.channels[-1])]
        stride = self.wanted[1] - self.wanted[0] if len(self.wanted) == 2 else 1
        corner, end = [*first, self.wanted[0]], [*last, self.wanted[-1]]
        try:
            values = self.table.getcolslice(column, corner, end, [1] * len(first) + [stride], self.start, self.count)
        except RuntimeError:
            return self._read_by_row(column, dtype, flat)
        if flat:
            return values[:, None, self._picked(stride)].astype(dtype, copy=False), np.ones(self.rows, bool)
        if len(self.channels) != last[0] - first[0] + 1:
            values = values[:, self.channels - first[0]]
        return values[:, :, self._picked(stride)].astype(dtype, copy=False), np.ones(self.rows, bool)

    def _picked(self, stride: int):
        got = range(self.wanted[0], self.wanted[-1] + 1, stride)
        return slice(None) if list(got) == list(self.wanted) else [w - self.wanted[0] for w in self.wanted]

    def _read_by_row(self, column: str, dtype, flat: bool) -> tuple[np.ndarray, np.ndarray]:
        """Some cells are not defined, or have another shape: those that are right, one after the other."""
        values = np.zeros((self.rows, 1 if flat else len(self.channels), len(self.wanted)), dtype)
        defined = np.zeros(self.rows, bool)
        for i in range(self.rows):
            if self.table.iscelldefined(column, self.start + i):
                cell = np.atleast_2d(self.table.getcell(column, self.start + i))
                if cell.shape == ((1, self.shape[1]) if flat else self.shape):
                    values[i] = cell[:, self.wanted] if flat else cell[np.ix_(self.channels, self.wanted)]
                    defined[i] = True
        return values, defined

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Each row's weights from the first of WEIGHTS that it has; 1/sigma² for the last two."""
        weight, defined = None, np.zeros(self.rows, bool)
        for column in WEIGHTS:
            if column not in self.meta.columns:
                continue
            values, has = self.read(column, np.float32)
            if column.startswith("SIGMA"):
                with np.errstate(divide="ignore", over="ignore"):
                    values = np.where(values > 0, 1 / values**2, 0).astype(np.float32)
            if weight is None:
                weight = values
            else:
                weight = np.where((has & ~defined)[:, None, None], values, weight)
            defined |= has
            if defined.all():
                break
        return (np.zeros((self.rows, 1, len(self.wanted)), np.float32) if weight is None else weight), defined


def open_model(path: str):
    """A table with MODEL_DATA. Raises ImagingError where it has none."""
    from casacore.tables import table

    found = table(path, readonly=True, ack=False, lockoptions="usernoread")
    if "MODEL_DATA" not in found.colnames():
        raise ImagingError(f"{path} has no column MODEL_DATA.", got=", ".join(found.colnames()),
                           expected="the visibilities of a model",
                           next_step="predict them first: clean.savemodel: modelcolumn, or measurement.steps: [predict]"
                           )  # fmt: skip
    return found


def open_readers(paths: list[str], data) -> list[Reader]:
    """Readers of those of the MeasurementSets of which the selection `data` (config.Data) takes rows.

    Raises ImagingError where that is none of them.
    """
    if not paths:
        raise ImagingError(
            "No MeasurementSet is given.",
            got="data.vis: []",
            expected="data.vis: path/to/my.ms",
            next_step="name the MeasurementSet in the configuration",
        )
    readers = []
    for path in paths:
        meta = read_metadata(path)
        data_column(meta, data.datacolumn)
        readers.append(Reader(meta, parse_selection(meta, data), data.taql))
    selected = [reader for reader in readers if reader.survey.rows]
    for reader in readers:
        if reader not in selected:
            logger.warning("%s: %s", reader.meta.path, _why_empty(reader))
    if not selected:
        raise ImagingError(
            "The selection takes no rows.",
            got="; ".join(_why_empty(r) for r in readers),
            expected="rows that meet all of the selection",
            next_step="widen the selection in the section data: field, spw, timerange, uvrange, antenna, scan,"
            " observation, intent, taql",
        )
    return selected


def _why_empty(reader: Reader) -> str:
    met = ", ".join(f"{name} {count}" for name, count in sorted(reader.survey.met.items()))
    auto = reader.survey.autocorrelations.total()
    criteria = f" (rows that meet each criterion: {met})" if met else ""
    return f"0 of {reader.meta.rows} rows{criteria}" + (f"; {auto} autocorrelations were left out" if auto else "")
