"""psf: point spread function, sum of weights, and the beam fitted to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imaging.algorithms.beam_fitting import beam_at_peak, fit_beams
from imaging.algorithms.major_cycle import image_sums, normalise
from imaging.algorithms.taylor import hessian_of, invert_hessian
from imaging.errors import ImagingError
from imaging.image import Beam, Grid, Image
from imaging.io.images import save_image
from imaging.log import logger
from imaging.stages.plan import accuracy, header, open_parts, taylor_terms, terms_grid
from imaging.units import format_angle

UNLIKE = 1.5  # ratio of the fitted beam to the one of the psf's curvature that is worth a warning


def psf(vis: str, weights: str, *, psf: str, sumwt: str, config, threads: int = 1) -> None:
    """Make the image `psf` (peak 1, beams fitted) and the image `sumwt` (one pixel a plane).

    Channels without data are blank and have a beam of no size. Of Taylor terms the first one has peak 1, and the beam.
    """
    store, grid, parts = open_parts(vis, weights, config.image)
    grid = replace(grid, stokes=grid.stokes[:1])
    taylor = taylor_terms(grid, config.clean)
    sums, sum_of_weights = image_sums(parts, grid, accuracy(config.gridding), psf=True, threads=threads, taylor=taylor)
    if not sum_of_weights.any():
        raise ImagingError("No visibility has any weight.", got="sum of weights 0",
                           expected="some unflagged visibilities inside the image's uv range",
                           next_step="check flags, weighting and image.cell")  # fmt: skip
    ny, nx = grid.shape
    peaks = sums[:, 0, ny // 2, nx // 2]
    data = normalise(sums, peaks if taylor is None else np.full_like(peaks, peaks[0]))  # peak exactly 1
    if taylor:
        invert_hessian(hessian_of(data[:, 0]))  # raises where the data do not constrain the terms
    filled = sum_of_weights[: len(grid.freq)] > 0
    beams = fit_beams(data[: len(filled)][filled, 0], grid.cell, config.clean.psfcutoff, config.compat)
    extent = min(n * c for n, c in zip(grid.shape[::-1], grid.cell, strict=True))
    if not beams or max(beam.major for beam in beams) > extent:
        raise ImagingError("The image is smaller than the main lobe of its psf.",
                           got=f"an image of {format_angle(extent)}"
                           + "".join(f", a beam of {format_angle(beam.major)}" for beam in beams[:1]),
                           expected="an image of many beams, of about five pixels each",
                           next_step="set image.cell:"
                           f" {format_angle(1 / (5 * store.meta['max_uv_wavelengths']))}, or a larger image.imsize"
                           )  # fmt: skip
    fitted = iter(beams)
    beams = tuple(next(fitted) if used else Beam(0.0, 0.0) for used in filled)
    _tell(grid, beams, data[:, 0])
    valid = None if filled.all() else np.broadcast_to(filled[:, None, None, None], data.shape)
    grid, terms = terms_grid(grid, taylor, len(data))
    beams, origin = beams if taylor is None else beams * len(data), header(store) | terms
    save_image(Image(data, grid, "Jy/beam", beams, valid, origin | {"BTYPE": "Beam"}), psf)
    point = replace(grid, shape=(1, 1))
    weight = sum_of_weights[:, None, None, None].astype("f4")
    save_image(Image(weight, point, "", header=origin | {"BTYPE": "Weight"}), sumwt)


def _tell(grid: Grid, beams: tuple[Beam, ...], planes: np.ndarray) -> None:
    """Log the beam of each channel, and warn of those that the psf's peak contradicts and of channels without data."""
    empty = np.flatnonzero([beam.major == 0 for beam in beams])
    for chan, (freq, beam) in enumerate(zip(grid.freq, beams, strict=True)):
        if chan in empty:
            continue
        logger.info("%.6g MHz: beam %s x %s, PA %.2f deg", freq / 1e6, format_angle(beam.major),
                    format_angle(beam.minor), beam.pa * 57.29577951308232)  # fmt: skip
        _compare(beam, beam_at_peak(planes[chan], grid.cell))
    runs = [run[[0, -1]] for run in np.split(empty, np.flatnonzero(np.diff(empty) > 1) + 1) if len(run)]
    if runs:
        logger.warning("channels without data, left blank: %s", ", ".join(
            f"{'~'.join(map(str, dict.fromkeys(run.tolist())))}"
            f" ({'~'.join(dict.fromkeys(f'{grid.freq[i] / 1e6:.6g}' for i in run))} MHz)" for run in runs))  # fmt: skip


def _compare(fitted: Beam, core: Beam | None) -> None:
    """Warn where the fitted beam is not the width of the psf at its peak."""
    if core and max(fitted.major / core.major, fitted.minor / core.minor) > UNLIKE:
        logger.warning("The beam is %s x %s, but the psf falls from its peak like one of %s x %s: it is no Gaussian"
                       " above clean.psfcutoff. Set restore.restoringbeam, or another weighting.",
                       *map(format_angle, (fitted.major, fitted.minor, core.major, core.minor)))  # fmt: skip
