"""The visibility store: what was ingested, as plain arrays that every later stage maps into memory.

`<name>.vis/meta.json` describes it; `<name>.vis/part000/` holds the samples of one MeasurementSet and spectral
setup: `uvw` (row, 3) float64 m, `vis` (pol, row, chan) complex64 Jy, `weight` (row, chan) float32 (0 where there
is no good sample; vis is 0 there too), `time` (row,) float64 s (MJD), `antenna1`, `antenna2` (row,) int32, each
a .npy file. All parts share the phase centre and the polarisations.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.errors import ImagingError

HEADER = 128
"""Bytes of the header of the arrays written here; their number of rows is known only at the end."""
LAYOUT = 1
COLUMNS = {"uvw": np.float64, "vis": np.complex64, "weight": np.float32, "time": np.float64,
           "antenna1": np.int32, "antenna2": np.int32}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One part: `freq`, `width` (chan,) Hz; arrays by attribute (`uvw`, `vis`, …), mapped read-only."""

    folder: Path
    freq: np.ndarray
    width: np.ndarray
    rows: int
    meta: dict

    def __getattr__(self, name: str) -> np.ndarray:
        if name not in COLUMNS:
            raise AttributeError(name)
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")


class VisibilityStore:
    """An ingested data set: `meta` (dict, see docs) and `parts`."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self.meta = json.loads((self.path / "meta.json").read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise ImagingError(f"{path} is not a visibility store.", got="no meta.json in it",
                               expected="what ingest makes", next_step="run the stage ingest") from None  # fmt: skip
        if self.meta["layout"] != LAYOUT:
            raise ImagingError(f"{path} was written by another version.", got=f"layout {self.meta['layout']}",
                               expected=f"layout {LAYOUT}", next_step="remove it and run again")  # fmt: skip
        self.parts = [
            Part(self.path / p["folder"], np.array(p["freq"]), np.array(p["width"]), p["rows"], p)
            for p in self.meta["parts"]
        ]

    @property
    def stokes(self) -> tuple[str, ...]:
        return tuple(self.meta["stokes"])

    @property
    def phase_centre(self) -> tuple[float, float]:
        return tuple(self.meta["phase_centre"])


class ImagingWeights:
    """The imaging weights beside a store: `weights[i]` is (row, chan) float32 of part i, mapped read-only."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.meta = json.loads((self.path / "weights.json").read_text())

    def __getitem__(self, part: int) -> np.ndarray:
        return np.load(self.path / f"part{part:03d}.npy", mmap_mode="r")


class _Array:
    """A .npy file written by appending; `outer` such arrays lie one behind the other as its first axis."""

    def __init__(self, path: Path, dtype, tail: tuple[int, ...], outer: int | None = None):
        self.path, self.dtype, self.tail, self.outer, self.rows = path, np.dtype(dtype), tail, outer, 0
        names = [str(path), *(f"{path}.{k}" for k in range(1, outer or 1))]
        self.files = [open(name, "wb") for name in names]  # noqa: SIM115 (open until close)
        self.files[0].write(b" " * HEADER)
        # One a file: together they do not depend on the blocks in which the rows came.
        self.digests = [hashlib.sha256() for _ in self.files]

    def append(self, values: np.ndarray):
        planes = values if self.outer else [values]
        for file, digest, plane in zip(self.files, self.digests, planes, strict=True):
            data = np.ascontiguousarray(plane, self.dtype)
            file.write(memoryview(data).cast("B") if data.size else b"")
            digest.update(data)
        self.rows += values.shape[1 if self.outer else 0]

    def close(self):
        shape = ((self.outer,) if self.outer else ()) + (self.rows, *self.tail)
        text = repr({"descr": self.dtype.str, "fortran_order": False, "shape": shape}).encode()
        for k, file in enumerate(self.files[1:], 1):
            file.close()
            with open(f"{self.path}.{k}", "rb") as other:
                shutil.copyfileobj(other, self.files[0], 2**22)
            Path(f"{self.path}.{k}").unlink()
        self.files[0].seek(0)
        size = (HEADER - 10).to_bytes(2, "little")
        self.files[0].write(b"\x93NUMPY\x01\x00" + size + text.ljust(HEADER - 11) + b"\n")
        self.files[0].close()


class PartWriter:
    """Appends blocks of rows to one part of a store being written."""

    def __init__(self, folder: Path, freq: np.ndarray, width: np.ndarray, polarisations: int):
        folder.mkdir(parents=True)
        self.folder, self.freq, self.width = folder, freq, width
        tails = {"uvw": (3,), "vis": (len(freq),), "weight": (len(freq),)}
        self.arrays = {
            name: _Array(folder / f"{name}.npy", dtype, tails.get(name, ()), polarisations if name == "vis" else None)
            for name, dtype in COLUMNS.items()
        }
        self.totals = {"sumwt": 0.0, "max_uv": 0.0, "max_w": 0.0}
        self.any_signal = False

    @property
    def rows(self) -> int:
        return self.arrays["uvw"].rows

    def append(self, block):
        """Append a Block (algorithms.averaging), which holds no row without a good sample."""
        if not len(block.uvw):
            return
        for name, array in self.arrays.items():
            array.append(getattr(block, name))
        self.any_signal = self.any_signal or bool(block.vis.any())
        totals = self.totals
        totals["sumwt"] += float(block.weight.sum(dtype=np.float64))
        totals["max_uv"] = max(totals["max_uv"], float(np.hypot(block.uvw[:, 0], block.uvw[:, 1]).max()))
        totals["max_w"] = max(totals["max_w"], float(np.abs(block.uvw[:, 2]).max()))

    def close(self, **more) -> dict | None:
        """Finish the part; its entry of meta.json, or None (and no part) where it has no rows."""
        for array in self.arrays.values():
            array.close()
        if not self.rows:
            shutil.rmtree(self.folder)
            return None
        digest = hashlib.sha256(b"".join(d.digest() for a in self.arrays.values() for d in a.digests))
        return {"folder": self.folder.name, "freq": self.freq.tolist(), "width": self.width.tolist(),
                "rows": self.rows, "sha256": digest.hexdigest(), **self.totals, **more}  # fmt: skip


def new_array(path: Path, shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """A .npy file of zeros, mapped for writing; its room on the disk is taken at once, or an OSError raised.

    (Writing to a map of a file that has no room kills the process.)
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def write_meta(folder: Path, meta: dict):
    """The last file of a store being written."""
    text = json.dumps({"layout": LAYOUT, **meta}, sort_keys=True, indent=1, allow_nan=False)
    (folder / "meta.json").write_text(text + "\n")
