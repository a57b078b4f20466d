"""major_cycle: the residual image of the data less the model."""

from __future__ import annotations

import numpy as np

from imaging.algorithms.major_cycle import image_sums, normalise
from imaging.algorithms.psf_double import as_many_as_needed, depth, residual_by_psf
from imaging.image import Image
from imaging.io.images import load_image, save_image
from imaging.io.psf_double import load_psf_double
from imaging.log import logger
from imaging.stages.plan import accuracy, header, open_parts, taylor_terms, terms_grid


def major_cycle(vis: str, weights: str, model: str = "", psf_double: str = "", dirty: str = "",
                startmodel: str = "", *, residual: str, config, threads: int = 1) -> None:  # fmt: skip
    """Make the image `residual`; without a `model` it is the dirty image. Taylor terms are in the place of channels.

    With a `psf_double` it is the image `dirty`, the first residual, less what the model has more than `startmodel`
    convolved with that, where the error is bound to be
    within epsilon; the header then has the bound, PSFERROR.
    """
    store, grid, parts = open_parts(vis, weights, config.image)
    taylor = taylor_terms(grid, config.clean)
    model_data = load_image(model).data if model else None
    data, cards = None, header(store)
    if psf_double and (double := load_psf_double(psf_double)):
        start, (depths, _) = load_image(dirty).data, depth(grid)
        added = model_data - load_image(startmodel).data if startmodel else model_data
        double, error = as_many_as_needed(added, start, double, depths, config.gridding.epsilon)
        within = error <= config.gridding.epsilon
        logger.info("%s: the error of a psf-type residual of %d terms is at most %.3g of the peak, epsilon %.3g",
                    "psf" if within else "exact", len(double[0].sizes), error, config.gridding.epsilon)  # fmt: skip
        if within:
            data = residual_by_psf(added, start, double, depths, threads)
            cards["PSFERROR"] = (error, "dirty - psf * model: most it is off, of peak")
    if data is None:
        sums, sumwt = image_sums(
            parts, grid, accuracy(config.gridding), model=model_data, threads=threads, taylor=taylor
        )
        data = normalise(sums, sumwt if taylor is None else np.full_like(sumwt, sumwt[0]))
        grid, terms = terms_grid(grid, taylor, len(data))
        cards |= terms
    logger.info("residual: peak %.6g, rms %.6g Jy/beam", abs(data).max(), data.std())
    save_image(Image(data, grid, "Jy/beam", header=cards), residual)
