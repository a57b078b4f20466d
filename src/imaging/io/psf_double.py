"""The product psf_double: the terms of the psf on twice the image, for all channels, and what they are good for.

`<name>.psf_double/spectra.npy` (chan, term, 2 ny, nx + 1), absent where there are no terms; `meta.json` the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from imaging.algorithms.psf_double import DoublePsf
from imaging.io.atomic import atomic_path
from imaging.io.visibility_store import new_array


def save_psf_double(channels: Iterable[DoublePsf], count: int, path: str) -> None:
    """Write the directory `path` of `count` channels, one after the other; a `count` of 0 says that there are none."""
    with atomic_path(path) as folder:
        folder.mkdir()
        meta, spectra = [], None
        for chan, psf in enumerate(channels):
            if spectra is None:
                spectra = new_array(folder / "spectra.npy", (count, *psf.spectra.shape), psf.spectra.dtype)
            spectra[chan] = psf.spectra
            meta.append({"sizes": psf.sizes.tolist(), "left_out": psf.left_out.tolist(), "error": psf.error})
        (folder / "meta.json").write_text(json.dumps(meta) + "\n")


def load_psf_double(path: str) -> list[DoublePsf]:
    """The psf of each channel, mapped read-only; empty where there are no terms."""
    meta = json.loads((Path(path) / "meta.json").read_text())
    spectra = np.load(Path(path) / "spectra.npy", mmap_mode="r") if meta else []
    return [
        DoublePsf(plane, np.array(entry["sizes"]), np.array(entry["left_out"]), entry["error"])
        for plane, entry in zip(spectra, meta, strict=True)
    ]
