"""mfs: one image of all channels that were cleaned together."""

from __future__ import annotations

from imaging.algorithms import restoring
from imaging.algorithms.beam_fitting import fit_beams
from imaging.algorithms.joining import mean_over_channels
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.stages.restore import restoring_beams
from imaging.units import format_angle


def mfs(residual: str, model: str, psf: str, sumwt: str, *, image_mfs: str, residual_mfs: str,
        model_mfs: str, psf_mfs: str, config) -> None:  # fmt: skip
    """Make means over the channels weighted with `sumwt`: of residual, model and psf, and from these the image.

    Its restoring beam is the one fitted to the mean psf.
    """
    weight = load_image(sumwt).data[:, 0, 0, 0]
    psf_image = mean_over_channels(load_image(psf), weight)
    cell = psf_image.grid.cell
    beams = tuple(fit_beams(psf_image.data[:, 0], cell, config.clean.psfcutoff, config.compat))
    logger.info("mean psf: beam %s x %s", format_angle(beams[0].major), format_angle(beams[0].minor))
    left, components = (mean_over_channels(load_image(path), weight) for path in (residual, model))
    targets = restoring_beams(config.restore.restoringbeam, beams, config.compat)
    data = left.data.copy()
    for pol in range(data.shape[1]):
        data[0, pol] = restoring.restore(
            components.data[0, pol], left.data[0, pol], targets[0], cell, beams[0], config.compat
        )
    save_image(left.with_data(data, beams=targets), image_mfs)
    save_image(left.with_data(left.data, beams=beams), residual_mfs)
    save_image(components, model_mfs)
    save_image(psf_image.with_data(psf_image.data, beams=beams), psf_mfs)
