"""Write a complete MeasurementSet (version 2) from arrays: for simulations, tests and corrected copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from casacore import tables

from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path

# casacore's Stokes enumeration (casacore/measures/Measures/Stokes.h), as POLARIZATION::CORR_TYPE stores it.
_CORRELATIONS = ("I", "Q", "U", "V", "RR", "RL", "LR", "LL", "XX", "XY", "YX", "YY")
CORR_CODES = {name: code for code, name in enumerate(_CORRELATIONS, start=1)}
TOPO, EQUATORIAL_FRAMES = 5, ("J2000", "ICRS")


def write_ms(
    path,
    *,
    antenna_positions,
    antenna1,
    antenna2,
    time,
    uvw,
    vis,
    freq,
    phase_centre,
    weight=None,
    flag=None,
    flag_row=None,
    weight_spectrum=None,
    sigma=None,
    sigma_spectrum=None,
    width=None,
    corr_type=("RR", "RL", "LR", "LL"),
    antenna_names=None,
    dish_diameter=25.0,
    field_name=None,
    telescope="VLA",
    interval=10.0,
    spw=0,
    field=0,
    scan=1,
    intent="OBSERVE_TARGET#ON_SOURCE",
    frame="J2000",
    freq_frame=TOPO,
    overwrite=False,
) -> Path:
    """Write a MeasurementSet that casacore, CASA and WSClean open; it gets its name only when complete.

    Parameters
    ----------
    antenna_positions : (antenna, 3) ITRF, m. `dish_diameter` one or (antenna,) m.
    antenna1, antenna2, time, uvw : (row,), (row,), (row,) MJD in s (UTC), (row, 3) m.
    vis : (row, chan, corr); or, for windows of unequal channel numbers, a list with one array a spectral
        window (its rows in the order they have in the set); or a dict of such, column name to values:
        {"DATA": …, "CORRECTED_DATA": …}. Without a dict the column is DATA.
    freq, width : (chan,) Hz, or a list of them, one a spectral window; width defaults to the spacing.
    phase_centre : (ra, dec) rad, or (field, 2); `field_name` a string or a list.
    weight, sigma : (row, corr); sigma defaults to 1/sqrt(weight), 0 where the weight is 0 or not finite.
    flag, weight_spectrum, sigma_spectrum : shaped as vis; the spectra are columns only when given.
    flag_row : (row,) bool. interval (= EXPOSURE, s), spw, field, scan, intent : one value or (row,).
    corr_type : names of the correlations, circular or linear.
    frame : equatorial frame of the directions; freq_frame : code of MEAS_FREQ_REF.

    Raises ImagingError where `path` exists and `overwrite` is not set, or where shapes disagree.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise ImagingError(
            "The MeasurementSet to write exists already.", got=path, next_step="Remove it or pass overwrite."
        )
    nrow = len(antenna1)
    freqs = [np.atleast_1d(np.asarray(f, float)) for f in (freq if _is_list_of_arrays(freq) else [freq])]
    widths = width if _is_list_of_arrays(width) else [width] * len(freqs)
    spw = np.broadcast_to(np.asarray(spw, np.int32), nrow)
    interval = np.broadcast_to(np.asarray(interval, float), nrow)
    intents, state = np.unique(np.broadcast_to(np.asarray(intent), nrow), return_inverse=True)

    weight = np.ones((nrow, len(corr_type)), np.float32) if weight is None else np.asarray(weight, np.float32)
    if sigma is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            sigma = np.where(np.isfinite(weight) & (weight > 0), 1 / np.sqrt(weight), 0)
    rows = {
        "TIME": time, "TIME_CENTROID": time, "INTERVAL": interval, "EXPOSURE": interval, "UVW": uvw,
        "ANTENNA1": antenna1, "ANTENNA2": antenna2, "DATA_DESC_ID": spw, "FIELD_ID": field,
        "SCAN_NUMBER": scan, "STATE_ID": state, "WEIGHT": weight, "SIGMA": sigma, "PROCESSOR_ID": -1,
        "FLAG_ROW": False if flag_row is None else flag_row,
        "ARRAY_ID": 0, "FEED1": 0, "FEED2": 0, "OBSERVATION_ID": 0,
    }  # fmt: skip
    rows = {name: _per_row(name, values, nrow) for name, values in rows.items()}

    columns = vis if isinstance(vis, dict) else {"DATA": vis}
    cells = [(name, np.complex64, values) for name, values in columns.items()]
    cells += [
        ("FLAG", bool, False if flag is None else flag),
        ("WEIGHT_SPECTRUM", np.float32, weight_spectrum),
        ("SIGMA_SPECTRUM", np.float32, sigma_spectrum),
    ]
    shape = [(int(np.sum(spw == s)), len(f), len(corr_type)) for s, f in enumerate(freqs)]
    cells = {name: (_per_spw(name, v, spw, shape), dtype) for name, dtype, v in cells if v is not None}

    with atomic_path(path) as partial:
        _write_main(partial, rows, cells, spw)
        sub = _Subtables(partial, rows["TIME"], interval)
        sub.antenna(np.asarray(antenna_positions, float), antenna_names, dish_diameter, corr_type)
        sub.spectral_windows(freqs, widths, corr_type, freq_frame)
        sub.fields(np.atleast_2d(np.asarray(phase_centre, float)), field_name, frame)
        sub.observation(telescope, intents)
    return path


def _is_list_of_arrays(values) -> bool:
    return isinstance(values, (list, tuple)) and len(values) > 0 and np.ndim(values[0]) > 0


_ROW_DTYPES = {"FLAG_ROW": bool, "WEIGHT": np.float32, "SIGMA": np.float32} | dict.fromkeys(
    ("TIME", "TIME_CENTROID", "INTERVAL", "EXPOSURE", "UVW"), np.float64
)


def _per_row(name, values, nrow) -> np.ndarray:
    """One value a row, in the type of the column (integer unless listed)."""
    values = np.asarray(values, _ROW_DTYPES.get(name, np.int32))
    values = np.full(nrow, values) if values.ndim == 0 else values
    if len(values) != nrow:
        raise ImagingError(f"{name} has the wrong number of rows.", got=len(values), expected=nrow)
    return values


def _per_spw(name, values, spw, shape) -> list:
    """One (row, chan, corr) array a spectral window, from one array over all rows or such a list."""
    if _is_list_of_arrays(values) and len(values) == len(shape) and np.ndim(values[0]) == 3:
        parts = [np.asarray(v) for v in values]
    elif np.ndim(values) == 0:
        parts = [np.broadcast_to(values, s) for s in shape]
    else:
        values = np.asarray(values)
        if len(values) != len(spw):
            raise ImagingError(f"{name} has the wrong number of rows.", got=len(values), expected=len(spw))
        parts = [values[spw == s] for s in range(len(shape))]
    for s, part in enumerate(parts):
        if part.shape != shape[s]:
            raise ImagingError(
                f"{name} of spectral window {s} has the wrong shape.",
                got=part.shape,
                expected=f"{shape[s]} (row, chan, corr)",
            )
    return parts


def _write_main(path, rows, cells, spw):
    """The main table: per-row columns at once, visibility-shaped ones a spectral window at a time."""
    with tables.default_ms(str(path)) as ms:
        for name in sorted(set(cells) - set(ms.colnames())):
            kind = "complex" if cells[name][1] is np.complex64 else "float"
            desc = tables.makearrcoldesc(
                name, 0, valuetype=kind, ndim=2, datamanagertype="TiledShapeStMan", datamanagergroup=name
            )
            tile = {"TYPE": "TiledShapeStMan", "NAME": name, "SPEC": {"DEFAULTTILESHAPE": [4, 64, 1024]}}
            ms.addcols(tables.maketabdesc([desc]), tile)
        ms.addrows(len(spw))
        for name, values in rows.items():
            if len(spw):
                ms.putcol(name, values)
        for name, (parts, dtype) in cells.items():
            for s, part in enumerate(parts):
                part = np.ascontiguousarray(part, dtype)
                begin = 0
                for first, number in _runs(np.flatnonzero(spw == s)):
                    ms.putcol(name, part[begin : begin + number], first, number)
                    begin += number


def _runs(rows):
    """(first, number) of every run of consecutive numbers in sorted `rows`."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return [(int(run[0]), len(run)) for run in np.split(rows, breaks) if len(run)]


class _Subtables:
    """Fills the subtables of a fresh MeasurementSet."""

    def __init__(self, path, time, interval):
        self.path = path
        finite = np.isfinite(time)
        begin = np.min(time[finite], initial=np.inf) if finite.any() else 0.0
        end = np.max(time[finite], initial=-np.inf) if finite.any() else 0.0
        half = np.max(interval, initial=0.0) / 2
        self.range = np.array([begin - half, end + half])

    def _fill(self, name, columns, keywords=()):
        """`columns`: name to a sequence over rows, or a scalar for all of them."""
        with tables.table(f"{self.path}::{name}", readonly=False, ack=False) as t:
            nrow = max(len(v) for v in columns.values() if isinstance(v, (list, np.ndarray)))
            t.addrows(nrow)
            for column, values in columns.items():
                if not isinstance(values, (list, np.ndarray)):
                    values = [values] * nrow
                for row, value in enumerate(values):
                    t.putcell(column, row, value)
            for column, keyword, value in keywords:
                t.putcolkeyword(column, keyword, {**t.getcolkeyword(column, keyword), **value})

    def antenna(self, positions, names, diameter, corr_type):
        nant = len(positions)
        names = [f"A{i + 1:02d}" for i in range(nant)] if names is None else [str(n) for n in names]
        diameter = np.broadcast_to(np.asarray(diameter, float), nant)
        self._fill("ANTENNA", {
            "POSITION": positions, "NAME": names, "STATION": names, "OFFSET": np.zeros((nant, 3)),
            "TYPE": "GROUND-BASED", "MOUNT": "ALT-AZ", "DISH_DIAMETER": diameter, "FLAG_ROW": False,
        })  # fmt: skip
        linear = corr_type[0][0] in "XY"
        self._fill("FEED", {
            "ANTENNA_ID": np.arange(nant), "FEED_ID": 0, "SPECTRAL_WINDOW_ID": -1, "BEAM_ID": -1,
            "TIME": float(self.range.mean()), "INTERVAL": 0.0, "NUM_RECEPTORS": 2,
            "BEAM_OFFSET": np.zeros((nant, 2, 2)), "POSITION": np.zeros((nant, 3)),
            "POLARIZATION_TYPE": [["X", "Y"] if linear else ["R", "L"]] * nant,
            "POL_RESPONSE": np.tile(np.eye(2, dtype=np.complex64), (nant, 1, 1)),
            "RECEPTOR_ANGLE": np.zeros((nant, 2)),
        })  # fmt: skip

    def spectral_windows(self, freqs, widths, corr_type, frame):
        widths = [_channel_width(f, w) for f, w in zip(freqs, widths, strict=True)]
        sizes = [np.abs(w) for w in widths]
        nspw, ncorr = len(freqs), len(corr_type)
        self._fill("SPECTRAL_WINDOW", {
            "CHAN_FREQ": freqs, "CHAN_WIDTH": widths, "EFFECTIVE_BW": sizes, "RESOLUTION": sizes,
            "NUM_CHAN": [len(f) for f in freqs], "REF_FREQUENCY": [float(f[0]) for f in freqs],
            "TOTAL_BANDWIDTH": [float(s.sum()) for s in sizes], "MEAS_FREQ_REF": frame,
            "NAME": [f"spw{s}" for s in range(nspw)], "NET_SIDEBAND": 1, "FREQ_GROUP": 0,
            "FREQ_GROUP_NAME": "", "IF_CONV_CHAIN": 0, "FLAG_ROW": False,
        })  # fmt: skip
        product = np.zeros((ncorr, 2), np.int32)  # the receptors (0: R or X, 1: L or Y) of each correlation
        if len(corr_type[0]) == 2:
            product[:] = [[int(letter in "YL") for letter in name] for name in corr_type]
        self._fill("POLARIZATION", {
            "NUM_CORR": [ncorr], "CORR_TYPE": [np.array([CORR_CODES[c] for c in corr_type], np.int32)],
            "CORR_PRODUCT": [product], "FLAG_ROW": False,
        })  # fmt: skip
        self._fill(
            "DATA_DESCRIPTION",
            {"SPECTRAL_WINDOW_ID": np.arange(nspw), "POLARIZATION_ID": 0, "FLAG_ROW": False},
        )

    def fields(self, centres, names, frame):
        if frame not in EQUATORIAL_FRAMES:
            raise ImagingError(
                "Unknown frame for the phase centre.", got=frame, expected=" or ".join(EQUATORIAL_FRAMES)
            )
        nfield = len(centres)
        names = (
            [f"field{i}" for i in range(nfield)]
            if names is None
            else [names]
            if isinstance(names, str)
            else list(names)
        )
        directions = ("PHASE_DIR", "DELAY_DIR", "REFERENCE_DIR")
        columns = {d: centres[:, None, :] for d in directions}
        columns |= {
            "NAME": names,
            "CODE": "",
            "TIME": float(self.range[0]),
            "NUM_POLY": 0,
            "SOURCE_ID": np.arange(nfield),
            "FLAG_ROW": False,
        }
        self._fill("FIELD", columns, [(d, "MEASINFO", {"Ref": frame}) for d in directions])

    def observation(self, telescope, intents):
        self._fill("OBSERVATION", {
            "TIME_RANGE": [self.range], "TELESCOPE_NAME": telescope, "OBSERVER": "simulated",
            "PROJECT": "simulated", "SCHEDULE_TYPE": "", "RELEASE_DATE": 0.0, "FLAG_ROW": False,
        })  # fmt: skip
        self._fill("STATE", {
            "OBS_MODE": [str(i) for i in intents], "SIG": True, "REF": False, "CAL": 0.0, "LOAD": 0.0,
            "SUB_SCAN": 0, "FLAG_ROW": False,
        })  # fmt: skip


def _channel_width(freq, width):
    if width is not None:
        return np.broadcast_to(np.asarray(width, float), freq.shape).copy()
    return np.gradient(freq) if len(freq) > 1 else np.full(1, 1e6)
