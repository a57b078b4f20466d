"""pb: the primary beam."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imaging.algorithms import taylor
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
from imaging.stages.plan import header, open_parts, taylor_terms, terms_grid


def pb(vis: str, weights: str, *, pb: str, config, beam: str = "") -> None:
    """Make the image `pb`: one polarisation, peak 1, zero and masked where it is not above |pblimit|.

    `beam` is the power pattern of the measurement equation, where pbmodel says so. Of Taylor terms it is the
    coefficients of its spectrum; the first one counts for the limit.
    """
    store, grid, parts = open_parts(vis, weights, config.image)
    samples = frequency_weights(parts, len(grid.freq))
    pointing = tuple(store.meta["pointing"])
    chosen = config.primary_beam
    if chosen.pbmodel in ("image", "measurement"):
        image = load_image(beam or chosen.pbimage)

        def beam(samples):
            return primary_beam_from_image(image, grid, samples, pointing)[:, :1]

        logger.info("primary beam: %s", beam or chosen.pbimage)
    else:
        model = choose_model(chosen.pbmodel, store.meta["telescope"], store.meta["dish_diameters"],
                             chosen.dishdiameter, chosen.blockage)  # fmt: skip
        logger.info("primary beam: %s, effective diameter %.4g m", model.kind, model.diameter)
        if model.note:
            logger.warning("%s", model.note)

        def beam(samples):
            return primary_beam(grid, model, samples, pointing)

    terms = taylor_terms(grid, config.clean)
    data = beam(samples) if terms is None else taylor.fit_planes(beam, *samples[0], terms)
    highest = float(np.nanmax(data))
    first, valid = apply_limit(data[: len(grid.freq)], chosen.pblimit)
    data, valid = (first, valid) if terms is None else (np.where(valid, data, 0), valid.repeat(len(data), axis=0))
    if chosen.pblimit > 0 and not np.any(valid):
        raise ImagingError("The image lies outside the primary beam.", got=f"a response of {highest:.2g} at most",
                           expected=f"more than primary_beam.pblimit, {chosen.pblimit:g}, somewhere",
                           next_step="check image.phasecenter (empty for the field's own), or lower"
                           " primary_beam.pblimit")  # fmt: skip
    grid, cards = terms_grid(replace(grid, stokes=grid.stokes[:1]), terms, len(data))
    save_image(Image(data, grid, "", valid=valid, header=header(store) | cards | {"BTYPE": "Beam"}), pb)
