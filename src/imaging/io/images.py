"""Images by name: `.fits` is a FITS file, anything else a CASA image."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

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


def find_image(prefix: str, *products: str, required: bool = True) -> str:
    """The path of `<prefix>.<product>`, a CASA image or a FITS file: the first of `products` that is there.

    Where there is none, "" or, if one is `required`, an ImagingError.
    """
    for product in products:
        if path := _with_ending(f"{prefix}.{product}"):
            return path
    if not required:
        return ""
    raise ImagingError(
        f"There is no image {prefix}.{products[0]}.",
        got="no such file or directory",
        expected=f"{prefix}.{products[0]} (CASA) or {prefix}.{products[0]}.fits",
        next_step="check the name, or make the image first",
    )


def _with_ending(path: str | os.PathLike) -> str:
    """The image of that name, the name of a FITS file with its ending or without; "" where there is none."""
    names = (f"{os.fspath(path)}{ending}" for ending in ("", *FITS_ENDINGS))
    return next((name for name in names if Path(name).exists()), "")


def read_plane(path: str | os.PathLike, chan: int = 0, pol: int = 0) -> np.ndarray:
    """One plane (y, x) float32; of a CASA image the values under its mask too, of a FITS file 0 for NaN.

    The name of a FITS file may be without its ending, where there is no CASA image of that name.
    """
    module, path = _existing(path)
    if hasattr(module, "read_plane"):
        return module.read_plane(path, chan, pol)
    return _one_of(module.load(path).data, path, chan, pol)


def write_plane(path: str | os.PathLike, data: np.ndarray, chan: int = 0, pol: int = 0) -> None:
    """Replace one plane (y, x) of an existing image, named as in `read_plane`; the rest of it stays."""
    module, path = _existing(path)
    if hasattr(module, "write_plane"):
        module.write_plane(path, data, chan, pol)
        return
    image = module.load(path)
    plane = _one_of(image.data, path, chan, pol)
    if plane.shape != data.shape:
        raise wrong_plane(path, f"pixels {data.shape[::-1]}", f"{plane.shape[::-1]}, as the image has")
    plane[...] = data
    save_image(image, path)


def _existing(path: str | os.PathLike):
    """The module for an image that is there, and its path."""
    found = _with_ending(path)
    if not found:
        load_image(path)  # which says so
    return _module(found), found


def _one_of(cube: np.ndarray, path, chan: int, pol: int) -> np.ndarray:
    if not (0 <= chan < cube.shape[0] and 0 <= pol < cube.shape[1]):
        raise wrong_plane(path, f"channel {chan}, polarisation {pol}", "of {} and {}".format(*cube.shape[:2]))
    return cube[chan, pol]


def wrong_plane(path, got: str, expected: str) -> ImagingError:
    return ImagingError(f"{path} has no such plane.", got=got, expected=expected, next_step="check the image's axes")
