"""psf_double: the psf on twice the image, by which a major cycle needs no visibilities."""

from __future__ import annotations

import math

from imaging.algorithms.psf_double import depth, make_double_psf, terms_needed, w_distribution
from imaging.io.psf_double import save_psf_double
from imaging.log import logger
from imaging.stages.plan import accuracy, open_parts


def psf_double(vis: str, weights: str, *, psf_double: str, config, threads: int = 1) -> None:
    """Make the directory `psf_double`; it holds no psf where the w-term is too large for it."""
    _, grid, parts = open_parts(vis, weights, config.image)
    wanted, (_, reach) = accuracy(config.gridding), depth(grid)
    planes, terms = range(len(grid.freq)), 0
    if math.isfinite(reach):
        reach = reach if wanted.wterm else 0.0
        spread = [w_distribution(parts, plane, reach, wanted.memory) for plane in planes]
        terms = terms_needed(spread, wanted.epsilon)
    if terms:
        logger.info("terms in w: %d", terms)
    else:
        logger.warning("the w-term is too large for a psf-type major cycle: all cycles will be exact")
    channels = (make_double_psf(parts, plane, grid, wanted, spread[plane], terms, reach, threads) for plane in planes)
    save_psf_double(channels if terms else (), len(planes), psf_double)
