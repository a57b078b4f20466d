"""automask: where this cycle may clean."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imaging.algorithms import masking
from imaging.algorithms.beams import common_beam
from imaging.image import Image, term
from imaging.io.atomic import atomic_path
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.state import CleanState, MinorResult


def automask(residual: str, psf: str, pb: str, previous="", previous_automask="", state="", minor="", *,
             mask: str, automask: str, config) -> None:  # fmt: skip
    """Make the image `mask` (1 is clean) and the state file of automatic masking.

    In the first cycle there is no `previous` mask, `state` or `minor` result. Of Taylor terms the first one counts.
    """
    image, beam_image, pb_image = (term(load_image(path), 0) for path in (residual, psf, pb))
    shape = image.data.shape
    valid = pb_image.usable(shape, config.primary_beam.pblimit) & beam_image.usable(shape)
    if config.mask.usemask == "auto-multithresh":
        data, memory = _automatic(image, beam_image, pb_image, valid, previous, previous_automask, state, minor, config)
    else:
        data, memory = _given(image, pb_image, config), {}
        if config.compat != "casa":
            data &= valid
    logger.info("mask: %d pixels", np.count_nonzero(data))
    with atomic_path(automask) as partial:
        np.savez_compressed(partial, **memory)
    save_image(image.with_data(data.astype(np.float32), unit="", header=image.header | {"BTYPE": "Mask"}), mask)


def _given(image: Image, pb_image: Image, config) -> np.ndarray:
    """The user's mask, all pixels where there is none, or the primary beam above pbmask."""
    if config.mask.usemask == "pb":
        return np.broadcast_to(np.nan_to_num(pb_image.data) > config.mask.pbmask, image.data.shape).copy()
    if not config.mask.mask:
        return np.ones(image.data.shape, dtype=bool)
    from imaging.io.regions import load_mask

    return load_mask(config.mask.mask, image.grid)


def _automatic(image, beam_image, pb_image, valid, previous, previous_automask, state, minor, config):
    names = masking.AutomaskOptions.__dataclass_fields__
    options = masking.AutomaskOptions(**{name: getattr(config.mask, name) for name in names})
    if previous:
        before = load_image(previous).data > 0
        with np.load(previous_automask) as saved:
            memory = masking.AutomaskState(saved["posmask"], saved["chanflag"], int(saved["iterdone"]))
        last = CleanState.from_json(Path(state).read_text())
        iterdone = last.iterdone + MinorResult.from_json(Path(minor).read_text()).iterdone
        reached = last.threshold_reached
    else:
        before, memory = np.zeros(image.data.shape, dtype=bool), masking.AutomaskState.empty(image.data.shape)
        iterdone, reached = 0, False
    cell, beams = image.grid.cell, beam_image.beams
    sidelobe = masking.largest_sidelobe(beam_image)
    data, memory, noise = masking.automask(
        image.data, valid, before, memory, sidelobe=sidelobe,
        beam=common_beam(list(beams), config.compat), cell=cell, options=options, iterdone=iterdone,
        threshold_reached=reached, pb=np.broadcast_to(np.nan_to_num(pb_image.data), image.data.shape),
    )  # fmt: skip
    if not previous:
        _warn(image.data, valid, data, noise, sidelobe, options)
    levels = [[(n.median, n.sigma, n.peak) for n in chan] for chan in noise]
    return data, {"posmask": memory.posmask, "chanflag": memory.chanflag, "iterdone": memory.iterdone, "noise": levels}


def _warn(residual, valid, mask, noise, sidelobe, options) -> None:
    """Say so where the first automatic mask leaves out what should be cleaned first."""
    brightest = np.unravel_index(int(np.argmax(np.where(valid, residual, -np.inf))), residual.shape)
    if not mask.any():
        logger.warning("nothing is cleaned, the automatic mask is empty: %s",
                       masking.why_empty(noise[brightest[0]][brightest[1]], sidelobe, options))  # fmt: skip
    elif not mask[brightest]:
        logger.warning("the brightest pixel, %.4g Jy/beam at x %d, y %d, is outside the automatic mask: set"
                       " mask.minbeamfrac lower than %g, or mask.usemask to pb",
                       residual[brightest], brightest[3], brightest[2], options.minbeamfrac)  # fmt: skip
