"""The field that every program cleans in benchmarks/cleaning.py: dirty image, psf and a MeasurementSet of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from imaging.algorithms import simulation
from imaging.algorithms.beams import gaussian
from imaging.algorithms.gridding import Gridder
from imaging.image import Beam
from imaging.io.ms_writer import write_ms
from imaging.units import SPEED_OF_LIGHT

CENTRE = (1.0, 0.6)
FREQ = np.array([1.4e9])
WAVELENGTHS_PER_CELL = 4.0  # cells across the longest baseline's fringe
POINTS, BLOBS = 300, 12


def sky(size: int, seed: int = 1) -> np.ndarray:
    """Points with the counts of real sources, and Gaussians of some tens of pixels, in Jy/pixel."""
    random = np.random.default_rng(seed)
    image = np.zeros((size, size))
    y, x = random.integers(size // 8, size - size // 8, (2, POINTS))
    image[y, x] = 0.01 * random.pareto(1.2, POINTS).clip(0.05, 100)
    box = size // 4
    for _ in range(BLOBS):
        major, ratio, angle, flux = random.uniform((0.02, 0.4, 0, 0.1), (0.08, 1, 3, 1)) * (box, 1, 1, 1)
        blob = gaussian(Beam(major, major * ratio, angle), (1.0, 1.0), (box, box))
        y, x = random.integers(size // 8, size - size // 8 - box, 2)
        image[y : y + box, x : x + box] += flux * blob / blob.sum()
    return image


def make(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(dirty, psf), float32 (size, size), also as WSClean's files name-dirty.fits and name-psf.fits beside name.ms."""
    name = folder / f"field{size}"
    positions, names = simulation.vla_antennas("c")
    hours = np.linspace(-3, 3, 240) * np.pi / 12
    time = simulation.time_of_hour_angle(hours, CENTRE[0], simulation.VLA_LONGITUDE, 59000.0)
    p, q, time, uvw = simulation.baseline_tracks(positions, time, CENTRE)
    cell = SPEED_OF_LIGHT / FREQ[0] / np.abs(uvw).max() / WAVELENGTHS_PER_CELL
    gridder = Gridder(uvw, FREQ, (size, size), (cell, cell), 1e-4, wterm=False)
    vis = gridder.dirty2vis(sky(size)[None])
    random = np.random.default_rng(2)
    vis = vis + 0.05 * random.normal(size=(*vis.shape, 2)).view(complex)[..., 0]
    weight = np.ones((len(uvw), 1), np.float32)
    psf = gridder.vis2dirty(None, weight).reshape(size, size)
    dirty = gridder.vis2dirty(vis, weight).reshape(size, size)
    peak = psf[size // 2, size // 2]
    psf, dirty = (psf / peak).astype(np.float32), (dirty / peak).astype(np.float32)
    write(f"{name}-dirty.fits", dirty, cell)
    write(f"{name}-psf.fits", psf, cell)
    keep = slice(0, 3510)
    write_ms(f"{name}.ms", antenna_positions=positions, antenna_names=names, antenna1=p[keep],
             antenna2=q[keep], time=time[keep], uvw=uvw[keep], vis=np.repeat(np.reshape(vis, (-1, 1, 1))[keep], 2, 2),
             freq=FREQ, phase_centre=CENTRE, corr_type=("XX", "YY"), weight=np.ones((3510, 2)),
             flag=np.zeros((3510, 1, 2), bool), overwrite=True)  # fmt: skip
    return dirty, psf


def write(path: str, plane: np.ndarray, cell: float) -> None:
    header = fits.Header()
    axes = (("RA---SIN", CENTRE[0], -cell), ("DEC--SIN", CENTRE[1], cell))
    for k, (kind, value, step) in enumerate(axes, 1):
        header[f"CTYPE{k}"], header[f"CUNIT{k}"] = kind, "deg"
        header[f"CRVAL{k}"], header[f"CDELT{k}"] = np.degrees(value), np.degrees(step)
        header[f"CRPIX{k}"] = plane.shape[0] // 2 + 1
    header["CTYPE3"], header["CRVAL3"], header["CRPIX3"], header["CDELT3"], header["CUNIT3"] = (
        "FREQ",
        FREQ[0],
        1,
        4e6,
        "Hz",
    )
    header["CTYPE4"], header["CRVAL4"], header["CRPIX4"], header["CDELT4"] = "STOKES", 1, 1, 1
    header["BUNIT"], header["EQUINOX"], header["RADESYS"] = "Jy/beam", 2000.0, "FK5"
    header["BMAJ"], header["BMIN"], header["BPA"] = 4 * np.degrees(cell), 4 * np.degrees(cell), 0.0
    for key in ("WSCIMGWG", "WSCNORMF", "WSCNVIS", "WSCENVIS", "WSCVWSUM", "WSCNITER", "WSCMINOR", "WSCMAJOR"):
        header[key] = 0.0 if key in ("WSCNITER", "WSCMINOR", "WSCMAJOR") else 1.0  # WSClean wants them
    fits.writeto(path, plane[None, None], header, overwrite=True)
