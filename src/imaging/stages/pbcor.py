"""pbcor: divide the restored image by the primary beam."""

from __future__ import annotations

import numpy as np

from imaging.algorithms.restoring import pbcor as divide
from imaging.io.images import load_image, save_image


def pbcor(image: str, pb: str, *, image_pbcor: str, config) -> None:
    """Make the image `image_pbcor`; pixels at or below |pblimit| are masked, whatever its sign."""
    restored, beam = load_image(image), load_image(pb)
    shape = restored.data.shape
    valid = beam.usable(shape, abs(config.primary_beam.pblimit)) & restored.usable(shape)
    data = divide(restored.data, np.where(valid, beam.data, 0))
    save_image(restored.with_data(data, valid=valid), image_pbcor)
