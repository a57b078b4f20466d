"""pb: the primary beam."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imaging.algorithms.primary_beam import (
    apply_limit,
    choose_model,
    frequency_weights,
    primary_beam,
    primary_beam_from_image,
)
from imaging.errors import ImagingError
from imaging.image import Image
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.stages.plan import header, open_parts


def pb(vis: str, weights: str, *, pb: str, config) -> None:
    """Make the image `pb`: one polarisation, peak 1, zero and masked where it is not above |pblimit|."""
    store, grid, parts = open_parts(vis, weights, config.image)
    samples = frequency_weights(parts, len(grid.freq))
    pointing = tuple(store.meta["pointing"])
    chosen = config.primary_beam
    if chosen.pbmodel == "image":
        data = primary_beam_from_image(load_image(chosen.pbimage), grid, samples, pointing)[:, :1]
        logger.info("primary beam: %s", chosen.pbimage)
    else:
        model = choose_model(chosen.pbmodel, store.meta["telescope"], store.meta["dish_diameters"],
                             chosen.dishdiameter, chosen.blockage)  # fmt: skip
        logger.info("primary beam: %s, effective diameter %.4g m", model.kind, model.diameter)
        if model.note:
            logger.warning("%s", model.note)
        data = primary_beam(grid, model, samples, pointing)
    highest = float(np.nanmax(data))
    data, valid = apply_limit(data, chosen.pblimit)
    if chosen.pblimit > 0 and not np.any(valid):
        raise ImagingError("The image lies outside the primary beam.", got=f"a response of {highest:.2g} at most",
                           expected=f"more than primary_beam.pblimit, {chosen.pblimit:g}, somewhere",
                           next_step="check image.phasecenter (empty for the field's own), or lower"
                           " primary_beam.pblimit")  # fmt: skip
    grid = replace(grid, stokes=grid.stokes[:1])
    save_image(Image(data, grid, "", valid=valid, header=header(store) | {"BTYPE": "Beam"}), pb)
