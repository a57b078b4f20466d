"""psf: point spread function, sum of weights, and the beam fitted to it."""

from __future__ import annotations

from dataclasses import replace

from imaging.algorithms.beam_fitting import beam_at_peak, fit_beams
from imaging.algorithms.major_cycle import image_sums, normalise
from imaging.errors import ImagingError
from imaging.image import Beam, Image
from imaging.io.images import save_image
from imaging.log import logger
from imaging.stages.plan import accuracy, header, open_parts
from imaging.units import format_angle

UNLIKE = 1.5  # ratio of the fitted beam to the one of the psf's curvature that is worth a warning


def psf(vis: str, weights: str, *, psf: str, sumwt: str, config, threads: int = 1) -> None:
    """Make the image `psf` (peak 1, beams fitted) and the image `sumwt` (one pixel a plane)."""
    store, grid, parts = open_parts(vis, weights, config.image)
    grid = replace(grid, stokes=grid.stokes[:1])
    sums, sum_of_weights = image_sums(parts, grid, accuracy(config.gridding), psf=True, threads=threads)
    if not sum_of_weights.any():
        raise ImagingError("No visibility has any weight.", got="sum of weights 0",
                           expected="some unflagged visibilities inside the image's uv range",
                           next_step="check flags, weighting and image.cell")  # fmt: skip
    ny, nx = grid.shape
    data = normalise(sums, sums[:, 0, ny // 2, nx // 2])  # peak exactly 1
    beams = fit_beams(data[:, 0], grid.cell, config.clean.psfcutoff, config.compat)
    extent = min(n * c for n, c in zip(grid.shape[::-1], grid.cell, strict=True))
    if not beams or max(beam.major for beam in beams) > extent:
        raise ImagingError("The image is smaller than the main lobe of its psf.",
                           got=f"an image of {format_angle(extent)}"
                           + "".join(f", a beam of {format_angle(beam.major)}" for beam in beams[:1]),
                           expected="an image of many beams, of about five pixels each",
                           next_step="set image.cell:"
                           f" {format_angle(1 / (5 * store.meta['max_uv_wavelengths']))}, or a larger image.imsize"
                           )  # fmt: skip
    for freq, beam, plane in zip(grid.freq, beams, data[:, 0], strict=True):
        logger.info("%.6g MHz: beam %s x %s, PA %.2f deg", freq / 1e6, format_angle(beam.major),
                    format_angle(beam.minor), beam.pa * 57.29577951308232)  # fmt: skip
        _compare(beam, beam_at_peak(plane, grid.cell))
    origin = header(store)
    save_image(Image(data, grid, "Jy/beam", beams=beams, header=origin), psf)
    point = replace(grid, shape=(1, 1))
    save_image(Image(sum_of_weights[:, None, None, None].astype("f4"), point, "", header=origin), sumwt)


def _compare(fitted: Beam, core: Beam | None) -> None:
    """Warn where the fitted beam is not the width of the psf at its peak."""
    if core and max(fitted.major / core.major, fitted.minor / core.minor) > UNLIKE:
        logger.warning("The beam is %s x %s, but the psf falls from its peak like one of %s x %s: it is no Gaussian"
                       " above clean.psfcutoff. Set restore.restoringbeam, or another weighting.",
                       *map(format_angle, (fitted.major, fitted.minor, core.major, core.minor)))  # fmt: skip
