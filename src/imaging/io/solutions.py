"""Solutions for the gains of stations, in a numpy archive (npz).

stations (A,), feeds (2,), calmode, refant; and of each spectral window n, as in `algorithms.calibration.Gains`:
time_n, begin_n, end_n (T,) MJD s, freq_n, low_n, high_n (F,) Hz, gain_n (A, T, F) and nothing, (2,) or (2, 2), flag_n
and error_n (A, T, F) and, where a gain has two feeds, (2,), iterations_n.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import fields

import numpy as np

from imaging.algorithms.calibration import Gains, GainTable
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path


def save_solutions(table: GainTable, path: str | os.PathLike) -> None:
    """Write `table`; the same solutions are the same bytes."""
    arrays = {
        "stations": np.array(table.stations),
        "feeds": np.array(table.feeds),
        "calmode": np.array(table.calmode),
        "refant": np.array(table.refant),
    }
    for n, window in enumerate(table.windows):
        arrays |= {f"{field.name}_{n}": getattr(window, field.name) for field in fields(Gains)}
    with atomic_path(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)


def load_solutions(path: str | os.PathLike) -> GainTable:
    """Raises ImagingError where `path` holds no solutions."""
    try:
        with np.load(path) as saved:
            windows = [
                Gains(**{field.name: saved[f"{field.name}_{n}"] for field in fields(Gains)})
                for n in range(sum(name.startswith("gain_") for name in saved.files))
            ]
            table = GainTable(
                tuple(saved["stations"].tolist()), tuple(saved["feeds"].tolist()), tuple(windows),
                str(saved["calmode"]), str(saved["refant"]),
            )  # fmt: skip
    except FileNotFoundError:
        raise ImagingError(f"There are no solutions {path}.", got="no such file", expected="a file that solve wrote",
                           next_step="check the path") from None  # fmt: skip
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, AttributeError) as error:
        raise ImagingError(f"{path} holds no solutions.", got=f"{type(error).__name__}: {error}",
                           expected="an npz archive that solve wrote", next_step="check the path, or solve again"
                           ) from None  # fmt: skip
    _check(table, path)
    return table


def _check(table: GainTable, path) -> None:
    shapes = [(len(table.stations), len(w.time), len(w.freq)) for w in table.windows]
    good = all(w.gain.shape[:3] == shape and w.gain.shape[3:] in ((), (2,), (2, 2)) and w.flag.shape[:3] == shape
               and 0 not in shape for w, shape in zip(table.windows, shapes, strict=True))  # fmt: skip
    if not good or len({w.gain.ndim for w in table.windows}) != 1:
        raise ImagingError(f"The solutions in {path} are not whole.",
                           got=", ".join(str(w.gain.shape) for w in table.windows) or "no windows",
                           expected="gains (station, time, freq) and nothing, 2 or 2 x 2 behind",
                           next_step="solve again")  # fmt: skip
