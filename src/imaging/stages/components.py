"""components: the model as a list of components with their spectra."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from imaging.algorithms.components import Component, components_of_model, pixels, scale_records
from imaging.algorithms.spectral_fitting import SpectralFitter
from imaging.io.component_list import save_components
from imaging.io.images import load_image
from imaging.log import logger

TERMS = 2  # where no spectra were fitted when cleaning


def components(model: str | list[str], sumwt: str, memory: str = "", startmodel: str = "", *,
               components: str, config) -> None:  # fmt: skip
    """Write the list `components` of Stokes I.

    With the `memory` of a deconvolver that keeps scales it has their points and Gaussians, and the pixels of the
    `startmodel`; else a point for every pixel of the image `model` that is not 0. Several images `model` are the
    Taylor terms of mtmfs.
    """
    if not isinstance(model, str) and len(model) > 1:
        return _write(_of_terms([load_image(path) for path in model]), components)
    image, weight = load_image(model if isinstance(model, str) else model[0]), load_image(sumwt).data[:, 0, 0, 0]
    kept = _kept(memory, image.grid, config.clean) if memory else None
    frequency = kept["frequency"] if kept else image.grid.freq
    fitter = _fitter(frequency, weight if len(weight) == len(frequency) else np.ones(len(frequency)), config.clean)
    found = components_of_model(scale_records(kept) if kept else pixels(image.data[:, 0]), image.grid, fitter)
    if kept and startmodel:
        start = _fitter(image.grid.freq, weight, config.clean)
        found += components_of_model(pixels(load_image(startmodel).data[:, 0]), image.grid, start)
    _write(found, components)


def _of_terms(terms: list) -> list[Component]:
    """A point for every pixel; the images are the coefficients of ordinary polynomials about their frequency."""
    cube, grid = np.concatenate([term.data[:1, 0] for term in terms]), terms[0].grid
    return components_of_model(pixels(cube), grid, reffreq=grid.freq[0])


def _write(found: list[Component], path: str) -> None:
    save_components(found, path)
    at = f" at {found[0].reffreq / 1e6:.6g} MHz" if found else ""
    logger.info("%d components, %.6g Jy%s", len(found), sum(c.stokes[0] for c in found), at)


def _kept(memory: str, grid, clean) -> dict | None:
    """The components that the deconvolver kept, where they are those of all channels and the list can have them."""
    state = pickle.loads(Path(memory).read_bytes()).get(clean.deconvolver, {})
    kept = state.get("groups", {}).get(0, {}).get("components")
    whole = "channels" in clean.join or len(grid.freq) == 1
    points = kept and not any(kept["scales"])
    return kept if kept and whole and (points or kept["shape"] == "gaussian") else None


def _fitter(frequency, weight, clean) -> SpectralFitter:
    """The spectra that were fitted when cleaning; otherwise a straight line."""
    terms = min(TERMS if clean.fit_spectrum == "none" else clean.fit_terms, len(frequency))
    mode = "polynomial" if clean.fit_spectrum in ("none", "polynomial") else "logpolynomial"
    return SpectralFitter(mode, terms, frequency, weight)
