"""major_cycle: the residual image of the data less the model."""

from __future__ import annotations

from imaging.algorithms.major_cycle import image_sums, normalise
from imaging.image import Image
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.stages.plan import accuracy, header, open_parts


def major_cycle(vis: str, weights: str, model: str = "", *, residual: str, config, threads: int = 1) -> None:
    """Make the image `residual`; without a `model` it is the dirty image."""
    store, grid, parts = open_parts(vis, weights, config.image)
    model_data = load_image(model).data if model else None
    sums, sumwt = image_sums(parts, grid, accuracy(config.gridding), model=model_data, threads=threads)
    data = normalise(sums, sumwt)
    logger.info("residual: peak %.6g, rms %.6g Jy/beam", abs(data).max(), data.std())
    save_image(Image(data, grid, "Jy/beam", header=header(store)), residual)
