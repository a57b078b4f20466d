"""pbcor_terms: take the primary beam's spectrum out of images of Taylor terms."""

from __future__ import annotations

import numpy as np

from imaging.algorithms import taylor
from imaging.io.images import load_image, save_image


def pbcor_terms(image: list[str], pb: str, alpha: str = "", *, image_pbcor: list[str], alpha_pbcor: str = "",
                beta_pbcor: str = "", config) -> None:  # fmt: skip
    """Make the images `image_pbcor` of each term, masked at or below |pblimit|, and the spectra the sky has then.

    `alpha_pbcor` and `beta_pbcor`, where named, are given where `alpha` is.
    """
    terms, beam = [load_image(path) for path in image], load_image(pb)
    shape = terms[0].data.shape
    valid = beam.usable(beam.data.shape, abs(config.primary_beam.pblimit))[:1] & terms[0].usable(shape)
    data = taylor.divide_taylor(np.stack([t.data[0] for t in terms]), np.where(valid, beam.data, 0), valid[0])
    for t, (restored, path) in enumerate(zip(terms, image_pbcor, strict=True)):
        save_image(restored.with_data(data[t][None], valid=valid), path)
    if alpha_pbcor:
        like = load_image(alpha)
        shown = like.usable(shape) & valid
        bright = np.where(shown[0], data, 0)[:, 0]
        index, _ = taylor.spectral_index(bright, 0.0)
        save_image(like.with_data(index[None, None], valid=shown), alpha_pbcor)
        if beta_pbcor:
            curvature = taylor.spectral_curvature(bright, 0.0)
            header = like.header | {"BTYPE": "Spectral Curvature"}
            save_image(like.with_data(curvature[None, None], valid=shown, header=header), beta_pbcor)
