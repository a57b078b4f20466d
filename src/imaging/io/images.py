"""Images by name: `.fits` is a FITS file, anything else a CASA image."""

from __future__ import annotations

import os
from pathlib import Path

from imaging.errors import ImagingError
from imaging.image import Image
from imaging.io.atomic import atomic_path

FITS_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz")


def _module(path: str | os.PathLike):
    if Path(path).name.lower().endswith(FITS_ENDINGS):
        from imaging.io import fits as module
    else:
        from imaging.io import casa as module
    return module


def load_image(path: str | os.PathLike) -> Image:
    """Read a FITS or CASA image (`imaging.io.fits.load`, `imaging.io.casa.load`)."""
    if not Path(path).exists():
        raise ImagingError(
            f"There is no image {path}.",
            got="no such file or directory",
            expected="a FITS file (.fits) or a CASA image (a directory)",
            next_step="check the path",
        )
    return _module(path).load(path)


def save_image(image: Image, path: str | os.PathLike) -> None:
    """Write a FITS or CASA image; it appears under its name only when it is complete."""
    with atomic_path(path) as partial:
        _module(path).save(image, partial)
