"""MeasurementSets as a whole: opened read-only, what their subtables say, whether they have changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.errors import ImagingError
from imaging.log import logger

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
    """What the subtables say. `directions` (field, 2) rad in `frames` (one a field: J2000, ICRS, …).

    positions (antenna, 3): ITRF, m.
    """

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
    positions: np.ndarray
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
            got=first_line(error),
            expected="a readable MeasurementSet",
            next_step="check that the copy is complete, table.lock included, and readable",
        ) from None
    needed = [f"column {c}" for c in SCALARS if c not in main.colnames()]
    needed += [f"subtable {s}" for s in SUBTABLES if s != "STATE" and s not in main.keywordnames()]
    if needed:
        raise ImagingError(f"{path} is not a complete MeasurementSet.", got=f"no {', no '.join(needed)}",
                           expected="a version 2 MeasurementSet", next_step="check data.vis")  # fmt: skip
    return main


def first_line(error: Exception) -> str:
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
                    raise ImagingError(f"{path} is not a complete MeasurementSet.", got=first_line(error),
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
            positions=antenna.getcol("POSITION") if antenna.nrows() else np.zeros((0, 3)),
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


def survey(meta: Metadata) -> tuple[float, float, float, str]:
    """What a first configuration asks for: (longest projected baseline m, highest frequency Hz, dish m, field).

    All rows count. The dish is the usual diameter, 0 where unknown; the field is '' where there is one, else the
    name (or the id, where names repeat) of the one with most rows.
    """
    longest, rows = 0.0, np.zeros(max(len(meta.fields), 1), int)
    spws = set()
    with open_table(meta.path) as main:
        for start in range(0, meta.rows, 2**17):
            count = min(2**17, meta.rows - start)
            distance = np.hypot(*main.getcol("UVW", start, count)[:, :2].T)
            longest = max(longest, float(np.max(distance, initial=0, where=np.isfinite(distance))))
            rows += np.bincount(np.maximum(main.getcol("FIELD_ID", start, count), 0), minlength=len(rows))[: len(rows)]
            spws |= {id(meta.window(d)) for d in np.unique(main.getcol("DATA_DESC_ID", start, count)).tolist()}
    frequency = max((float(w.freq.max()) for w in meta.windows if id(w) in spws), default=0.0)
    if longest == 0 or frequency == 0:
        raise ImagingError(f"{meta.path} has no baselines.", got=f"{meta.rows} rows, longest baseline {longest:g} m",
                           expected="rows of an interferometer", next_step="check the MeasurementSet")  # fmt: skip
    dishes = meta.diameters[meta.diameters > 0]
    most = int(rows.argmax())
    name = meta.fields[most] if meta.fields.count(meta.fields[most]) == 1 else str(most)
    return longest, frequency, float(np.median(dishes)) if len(dishes) else 0.0, name if len(meta.fields) > 1 else ""


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
