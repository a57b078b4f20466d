"""pbcor: divide the restored image by the primary beam."""

from __future__ import annotations

import numpy as np

from imaging.algorithms.joining import mean_over_channels
from imaging.algorithms.restoring import pbcor as divide
from imaging.io.images import load_image, save_image


def pbcor(image: str, pb: str, sumwt: str = "", *, image_pbcor: str, config) -> None:
    """Make the image `image_pbcor`; pixels at or below |pblimit| are masked, whatever its sign.

    The mean of the channels of a cube, whose weights are `sumwt`, is divided by the mean of their beams.
    """
    restored, beam = load_image(image), load_image(pb)
    if sumwt:
        mean = mean_over_channels(beam, load_image(sumwt).data[:, 0, 0, 0])
        beam = mean.with_data(mean.data, valid=mean.data > abs(config.primary_beam.pblimit))
    shape = restored.data.shape
    valid = beam.usable(shape, abs(config.primary_beam.pblimit)) & restored.usable(shape)
    data = divide(restored.data, np.where(valid, beam.data, 0))
    save_image(restored.with_data(data, valid=valid), image_pbcor)
