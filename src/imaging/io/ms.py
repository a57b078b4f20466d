"""Read MeasurementSets, in chunks of rows and never writing: what there is, what is selected, the samples."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from imaging.errors import ImagingError
from imaging.io.selection import Selection
from imaging.log import logger

CHUNK_BYTES = 48 * 2**20
"""Visibilities held at a time; the rest of a chunk's memory is a small multiple of it, whatever the set's size."""
SCALARS = ("TIME", "INTERVAL", "ANTENNA1", "ANTENNA2", "FIELD_ID", "DATA_DESC_ID", "SCAN_NUMBER", "STATE_ID",
           "OBSERVATION_ID", "FLAG_ROW", "UVW")  # fmt: skip
SUBTABLES = ("ANTENNA", "DATA_DESCRIPTION", "FIELD", "OBSERVATION", "POLARIZATION", "SPECTRAL_WINDOW", "STATE")
WEIGHTS = ("WEIGHT_SPECTRUM", "WEIGHT", "SIGMA_SPECTRUM", "SIGMA")
"""Where the weight of a cell comes from: the first of these that is defined there."""
DATA_COLUMNS = {"data": "DATA", "corrected": "CORRECTED_DATA", "model": "MODEL_DATA"}
CORRELATIONS = {1: "I", 2: "Q", 3: "U", 4: "V", 5: "RR", 6: "RL", 7: "LR", 8: "LL",
                9: "XX", 10: "XY", 11: "YX", 12: "YY"}  # fmt: skip
FREQUENCY_FRAMES = {0: "REST", 1: "LSRK", 2: "LSRD", 3: "BARY", 4: "GEO", 5: "TOPO"}


@dataclass(frozen=True)
class Window:
    """A spectral window: `freq` and `width` (chan,) in Hz, in the order of the data."""

    name: str
    freq: np.ndarray
    width: np.ndarray
    frame: str


@dataclass(frozen=True)
class Metadata:
    """What the subtables say. `directions` (field, 2) rad in `frames` (one a field: J2000, ICRS, …)."""

    path: str
    rows: int
    columns: tuple[str, ...]
    fields: list[str]
    directions: np.ndarray
    frames: list[str]
    windows: list[Window]
    polarizations: list[tuple[str, ...]]
    descriptions: list[tuple[int, int]]
    antennas: list[str]
    stations: list[str]
    diameters: np.ndarray
    intents: list[str]
    telescope: str
    observer: str
    first_time: float
    uvw_frame: str

    def window(self, ddid: int) -> Window:
        return self._lookup(ddid, 0, "SPECTRAL_WINDOW", self.windows)

    def correlations(self, ddid: int) -> tuple[str, ...]:
        return self._lookup(ddid, 1, "POLARIZATION", self.polarizations)

    def _lookup(self, ddid: int, which: int, subtable: str, rows: list):
        row = self.descriptions[ddid][which] if 0 <= ddid < len(self.descriptions) else -1
        if not 0 <= row < len(rows):
            raise ImagingError(
                f"The {subtable} subtable of {self.path} does not describe the data.",
                got=f"{len(rows)} rows, and data that refer to row {row} (DATA_DESC_ID {ddid})",
                expected=f"a {subtable} row for every DATA_DESC_ID",
                next_step="repair the MeasurementSet: write it again from its source, or copy the subtable from a"
                " complete copy",
            )
        return rows[row]


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
    begin: float = np.inf
    end: float = -np.inf


@dataclass
class Chunk:
    """Selected rows of one DATA_DESC_ID: `vis`, `flag`, `weight` (row, chan, corr); `undefined` rows lack cells."""

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


def open_table(path: str):
    """The main table, read-only and without locks. Raises ImagingError where there is no MeasurementSet."""
    from casacore.tables import table

    if not os.path.exists(path):
        raise ImagingError(f"The MeasurementSet {path} does not exist.", got=path, expected="a directory",
                           next_step="check data.vis")  # fmt: skip
    if not os.path.exists(os.path.join(path, "table.dat")):
        got = "a file" if os.path.isfile(path) else "a directory without table.dat"
        raise ImagingError(f"{path} is not a MeasurementSet.", got=got, expected="a casacore table",
                           next_step="check data.vis; convert UVFITS files and unpack archives first")  # fmt: skip
    try:
        main = table(path, readonly=True, ack=False, lockoptions="usernoread")
    except RuntimeError as error:
        raise ImagingError(
            f"{path} cannot be opened.",
            got=_first_line(error),
            expected="a readable MeasurementSet",
            next_step="check that the copy is complete, table.lock included, and readable",
        ) from None
    needed = [f"column {c}" for c in SCALARS if c not in main.colnames()]
    needed += [f"subtable {s}" for s in SUBTABLES if s != "STATE" and s not in main.keywordnames()]
    if needed:
        raise ImagingError(f"{path} is not a complete MeasurementSet.", got=f"no {', no '.join(needed)}",
                           expected="a version 2 MeasurementSet", next_step="check data.vis")  # fmt: skip
    return main


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def read_metadata(path: str) -> Metadata:
    """Everything the subtables say that selecting, reading and imaging need."""
    from casacore.tables import table

    with open_table(path) as main:
        sub = {}
        for name in SUBTABLES:
            if name in main.keywordnames():
                try:
                    sub[name] = table(main.getkeyword(name), ack=False, lockoptions="usernoread")
                except RuntimeError as error:
                    raise ImagingError(f"{path} is not a complete MeasurementSet.", got=_first_line(error),
                                       expected=f"a readable {name} subtable",
                                       next_step="check that the copy is complete") from None  # fmt: skip
        names = {key: list(t.getcol("NAME")) if t.nrows() else [] for key, t in sub.items() if "NAME" in t.colnames()}
        directions, frames = _directions(sub["FIELD"])
        windows = [
            Window(name, t.getcell("CHAN_FREQ", i), t.getcell("CHAN_WIDTH", i),
                   FREQUENCY_FRAMES.get(int(t.getcell("MEAS_FREQ_REF", i)), "TOPO"))
            for t in [sub["SPECTRAL_WINDOW"]] for i, name in enumerate(names["SPECTRAL_WINDOW"])
        ]  # fmt: skip
        polarizations = [
            tuple(CORRELATIONS.get(int(code), f"code{code}") for code in sub["POLARIZATION"].getcell("CORR_TYPE", i))
            for i in range(sub["POLARIZATION"].nrows())
        ]
        descriptions = sub["DATA_DESCRIPTION"]
        observation, state, antenna = sub["OBSERVATION"], sub.get("STATE"), sub["ANTENNA"]
        return Metadata(
            path=path, rows=main.nrows(), columns=tuple(main.colnames()), fields=names["FIELD"],
            directions=directions, frames=frames, windows=windows, polarizations=polarizations,
            descriptions=[(int(descriptions.getcell("SPECTRAL_WINDOW_ID", i)),
                           int(descriptions.getcell("POLARIZATION_ID", i))) for i in range(descriptions.nrows())],
            antennas=names["ANTENNA"], stations=list(antenna.getcol("STATION")) if antenna.nrows() else [],
            diameters=antenna.getcol("DISH_DIAMETER") if antenna.nrows() else np.zeros(0),
            intents=list(state.getcol("OBS_MODE")) if state is not None and state.nrows() else [],
            telescope=observation.getcell("TELESCOPE_NAME", 0) if observation.nrows() else "",
            observer=observation.getcell("OBSERVER", 0) if observation.nrows() else "",
            first_time=float(main.getcell("TIME", 0)) if main.nrows() else 0.0,
            uvw_frame=str(main.getcolkeywords("UVW").get("MEASINFO", {}).get("Ref", "ITRF")),
        )  # fmt: skip


def _directions(fields) -> tuple[np.ndarray, list[str]]:
    """PHASE_DIR of every field (its constant term) and the frame it is in."""
    count = fields.nrows()
    centres = np.array([fields.getcell("PHASE_DIR", i)[0] for i in range(count)]).reshape(count, 2)
    if count and "NUM_POLY" in fields.colnames() and np.any(fields.getcol("NUM_POLY") > 0):
        logger.warning("FIELD has phase centres that move with time; their constant term is used")
    info = fields.getcolkeywords("PHASE_DIR").get("MEASINFO", {})
    variable = info.get("VarRefCol")
    if not variable or variable not in fields.colnames():
        return centres, [str(info.get("Ref", "J2000"))] * count
    values = fields.getcol(variable) if count else []
    known = dict(zip(np.asarray(info["TabRefCodes"]).tolist(), info["TabRefTypes"], strict=True))
    return centres, [str(v if isinstance(v, str) else known.get(int(v), v)) for v in values]


def data_column(meta: Metadata, datacolumn: str) -> str:
    """The column that `data.datacolumn` means in one MeasurementSet; raises ImagingError where it has none."""
    if datacolumn == "auto":
        column = "CORRECTED_DATA" if "CORRECTED_DATA" in meta.columns else "DATA"
    else:
        column = DATA_COLUMNS[datacolumn]
    if column not in meta.columns:
        present = [key for key, name in DATA_COLUMNS.items() if name in meta.columns]
        raise ImagingError(f"{meta.path} has no column {column}.", got=f"data.datacolumn: {datacolumn}",
                           expected=" or ".join(present) or "a MeasurementSet with visibilities",
                           next_step=f"set data.datacolumn: {present[0]}" if present else "check data.vis")  # fmt: skip
    if "FLAG" not in meta.columns:
        raise ImagingError(f"{meta.path} has no column FLAG.", got=", ".join(meta.columns),
                           expected="a version 2 MeasurementSet", next_step="check data.vis")  # fmt: skip
    return column


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
            raise ImagingError("data.taql is not understood.", got=f"{taql}: {_first_line(error)}",
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
            half = columns["INTERVAL"][rows] / 2
            survey.begin = min(survey.begin, float((columns["TIME"][rows] - half).min()))
            survey.end = max(survey.end, float((columns["TIME"][rows] + half).max()))
        return survey

    def chunks(self, column: str, correlations: dict[int, list[int]]) -> Iterator[Chunk]:
        """The samples, by block of rows and DATA_DESC_ID in it, in the order of the rows.

        `correlations` names by DATA_DESC_ID which ones to read (row, chan, corr), in rising order.
        """
        sizes = [len(self.channels(d)) * len(self.meta.correlations(d)) for d in sorted(self.survey.rows)]
        step = int(np.clip(CHUNK_BYTES // (8 * max(sizes, default=1)), 1, 2**17))
        for start, columns, chosen, _ in self._selected(step):
            chosen &= columns["ANTENNA1"] != columns["ANTENNA2"]
            for ddid in np.unique(columns["DATA_DESC_ID"][chosen]).tolist():
                rows = np.flatnonzero(chosen & (columns["DATA_DESC_ID"] == ddid))
                yield self._chunk(ddid, start, rows, columns, column, correlations[ddid])

    def _chunk(self, ddid, start, rows, columns, column, wanted) -> Chunk:
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
        return Chunk(ddid, columns["UVW"][rows], columns["TIME"][rows], columns["ANTENNA1"][rows],
                     columns["ANTENNA2"][rows], columns["FIELD_ID"][rows], vis, flag, weight,
                     int(np.sum(~defined)))  # fmt: skip


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


def fingerprint(path: str, datacolumn: str = "auto") -> dict:
    """A cheap identity of what is read of a MeasurementSet: equal as long as that has not been written to.

    Size and modification time of the files that hold the columns read and of the subtables; neither table.lock
    nor the files of other columns (adding MODEL_DATA changes nothing here). Plain values, in sorted order.
    """
    with open_table(path) as main:
        columns = tuple(main.colnames())
        managers = main.getdminfo().values()
        rows = main.nrows()
    if datacolumn == "auto":
        column = "CORRECTED_DATA" if "CORRECTED_DATA" in columns else "DATA"
    else:
        column = DATA_COLUMNS[datacolumn]
    read = sorted({*SCALARS, *WEIGHTS, "FLAG", column} & set(columns))
    stems = tuple(f"table.f{m['SEQNR']}" for m in managers if set(m["COLUMNS"]) & set(read))
    files = {}
    for entry in os.scandir(path):
        name = entry.name
        # table.f1 itself, its index table.f1i and tiles table.f1_TSM0, but not table.f12
        if any(name == s or name.startswith((f"{s}_", f"{s}i")) for s in stems) or name.startswith("table.mf"):
            files[name] = [entry.stat().st_size, entry.stat().st_mtime_ns]
    for sub in SUBTABLES:
        for entry in os.scandir(Path(path) / sub) if (Path(path) / sub).is_dir() else ():
            if entry.name != "table.lock" and entry.is_file():
                files[f"{sub}/{entry.name}"] = [entry.stat().st_size, entry.stat().st_mtime_ns]
    return {"path": str(path), "rows": rows, "columns": read, "files": dict(sorted(files.items()))}
