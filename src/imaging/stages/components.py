"""components: the model as a list of components with their spectra."""

from __future__ import annotations

from imaging.algorithms.components import components_of_model
from imaging.algorithms.spectral_fitting import SpectralFitter
from imaging.io.component_list import save_components
from imaging.io.images import load_image
from imaging.log import logger

TERMS = 2


def components(model: str, sumwt: str, *, components: str, config) -> None:
    """Write the list `components`: a point for every pixel of the image `model`, Stokes I, that is not 0."""
    image, weight = load_image(model), load_image(sumwt).data[:, 0, 0, 0]
    fitter = SpectralFitter("polynomial", min(TERMS, len(weight)), image.grid.freq, weight)
    found = components_of_model({0.0: image.data[:, 0]}, image.grid, fitter)
    save_components(found, components)
    logger.info("%d components, %.6g Jy at %.6g MHz", len(found), sum(c.stokes[0] for c in found),
                fitter.reference_frequency / 1e6)  # fmt: skip
