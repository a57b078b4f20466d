"""A-terms as a FITS cube: a Jones matrix for each direction, station, frequency and time."""

from __future__ import annotations

import os

import numpy as np

from imaging.image import Grid
from imaging.io.atomic import atomic_path

MATRIX = ("re XX", "im XX", "re XY", "im XY", "re YX", "im YX", "re YY", "im YY")


def save_aterms(matrices: np.ndarray, grid: Grid, time: np.ndarray, path: str | os.PathLike) -> None:
    """Write matrices (pixel, station, time, chan, 2, 2), pixels row by row of `grid`, time (T,) MJD s.

    NAXIS1 to 6 are RA, DEC, MATRIX (MATRIX above; R and L for X and Y where feeds are circular), ANTENNA, FREQ, TIME
    (MJD s): the order in which WSClean and EveryBeam read FITS A-terms.
    """
    from astropy.io import fits

    ny, nx = grid.shape
    parts = matrices.reshape(ny, nx, *matrices.shape[1:4], 4)
    data = np.stack([parts.real, parts.imag], -1).reshape(*parts.shape[:-1], 8).transpose(3, 4, 2, 5, 0, 1)
    header = fits.Header()
    for number, (kind, centre, step, pixel) in enumerate((
        ("RA---SIN", np.degrees(grid.centre[0]), -np.degrees(grid.cell[0]), nx // 2 + 1),
        ("DEC--SIN", np.degrees(grid.centre[1]), np.degrees(grid.cell[1]), ny // 2 + 1),
        ("MATRIX", 0, 1, 1), ("ANTENNA", 0, 1, 1),
        ("FREQ", grid.freq[0], np.diff(grid.freq).mean() if len(grid.freq) > 1 else grid.width[0], 1),
        ("TIME", time[0], np.diff(time).mean() if len(time) > 1 else 1.0, 1),
    ), 1):  # fmt: skip
        header[f"CTYPE{number}"], header[f"CRVAL{number}"] = kind, float(centre)
        header[f"CDELT{number}"], header[f"CRPIX{number}"] = float(step), float(pixel)
    with atomic_path(path) as partial:
        fits.PrimaryHDU(np.ascontiguousarray(data, ">f4"), header).writeto(partial)
