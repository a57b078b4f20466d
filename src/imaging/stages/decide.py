"""decide: go on, with this cycle's threshold and iterations, or stop, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from imaging.algorithms.cycle_control import Limits, next_state, residual_statistics
from imaging.algorithms.joining import any_of_cube, integrate_cube
from imaging.algorithms.masking import Noise, largest_sidelobe
from imaging.errors import ImagingError
from imaging.image import term
from imaging.io.atomic import atomic_path
from imaging.io.images import load_image
from imaging.log import logger
from imaging.state import CleanState, MinorResult, StopCode
from imaging.units import format_flux

LIMITS = ("niter", "threshold", "nsigma", "cycleniter", "cyclefactor", "minpsffraction", "maxpsffraction", "nmajor")


def decide(
    residual: str, mask: str, psf: str, pb: str, automask: str, previous="", minor="", sumwt="", *, state: str, config
) -> None:
    """Write the `state` of this cycle; in the first one there is no `previous` state or `minor` result.

    Planes that are cleaned together are judged together, by their integrated image: that takes their weights, `sumwt`.
    Of Taylor terms the first one counts.
    """
    image, beam_image, pb_image = (term(load_image(path), 0) for path in (residual, psf, pb))
    shape = image.data.shape
    valid = pb_image.usable(shape, config.primary_beam.pblimit) & beam_image.usable(shape)
    limits = Limits(**{name: getattr(config.clean, name) for name in LIMITS})
    cleaned = load_image(mask).data > 0
    automatic = config.mask.usemask == "auto-multithresh"
    if limits.niter and not automatic and not cleaned.any():
        raise ImagingError("The mask is empty: there is nothing to clean.", got="0 pixels in the mask",
                           expected="some pixels inside the primary beam",
                           next_step="check mask.mask, mask.pbmask and primary_beam.pblimit")  # fmt: skip
    quiet = valid & (pb_image.data > config.mask.pbmask) if config.mask.pbmask > 0 else valid
    data, noise = image.data, _noise(automask)
    if join := config.clean.join:
        weight, noise = load_image(sumwt).data[:, 0, 0, 0], None
        data = integrate_cube(data, weight, image.grid.stokes, join, config.clean.squared_join)
        cleaned, valid, quiet = (any_of_cube(flags, join) for flags in (cleaned, valid, quiet))
    planes = residual_statistics(
        data, cleaned, valid, nsigma=limits.nsigma, noise_valid=quiet, noise=noise, automasking=automatic,
        fastnoise=config.mask.fastnoise,
    )  # fmt: skip
    decision = next_state(
        CleanState.from_json(Path(previous).read_text()) if previous else None,
        MinorResult.from_json(Path(minor).read_text()) if minor else None,
        planes, limits, largest_sidelobe(beam_image),
        config.compat,
    )  # fmt: skip
    decision = replace(decision, psf_error=image.header.get("PSFERROR"))
    logger.info("cycle %d: peak %s Jy/beam, %d iterations, %s", decision.cycle, decision.peak, decision.iterdone,
                decision.stop.sentence)  # fmt: skip
    if decision.stop == StopCode.THRESHOLD and limits.niter and not decision.iterdone:
        logger.warning("nothing is cleaned: the peak, %s/beam, is below clean.threshold, %s",
                       format_flux(decision.peak), format_flux(limits.threshold))  # fmt: skip
    with atomic_path(state) as partial:
        partial.write_text(decision.to_json())


def _noise(automask: str) -> list[list[Noise]] | None:
    """The noise that automatic masking measured in this residual, where it did."""
    with np.load(automask) as saved:
        return [[Noise(*plane) for plane in chan] for chan in saved["noise"].tolist()] if "noise" in saved else None
