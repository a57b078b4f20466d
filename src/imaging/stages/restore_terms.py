"""restore_terms: the final products of a clean with Taylor terms, a file for each, and the spectral index."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imaging.algorithms import restoring, taylor
from imaging.image import Image, term
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.stages.restore import _provenance, restoring_beams
from imaging.state import CleanState


def restore_terms(residual: str, mask: str, psf: str, pb: str, sumwt: str, state: str, loop: str = "", model: str = "",
                  *, image: list[str], residual_out: list[str], model_out: list[str], mask_out: str,
                  psf_out: list[str], sumwt_out: list[str], pb_out: list[str], alpha: str = "", alpha_error: str = "",
                  beta: str = "", config, provenance: dict) -> None:  # fmt: skip
    """Make `image` and the final residual, model, psf, sumwt and pb of each term, and the mask; no `model` is empty.

    The image has the residuals as coefficients of a spectrum (principal solution); the final residuals are as observed.
    `alpha`, `alpha_error` and `beta`, where named, are blank where the image is not brighter than a tenth of the peak
    of these residuals.
    """
    left, beam_image, pb_image = load_image(residual), load_image(psf), load_image(pb)
    components = load_image(model).data if model else np.zeros_like(left.data)
    valid = term(pb_image, 0).usable(left.data[:1].shape, config.primary_beam.pblimit)
    solution = taylor.principal_solution(left.data, beam_image.data[:, 0])
    own = beam_image.beams[:1]
    target, data = restoring_beams(config.restore.restoringbeam, own, config.compat)[0], np.zeros_like(left.data)
    for plane in np.ndindex(left.data.shape[:2]):
        data[plane] = restoring.restore(
            components[plane], solution[plane], target, left.grid.cell, own[0], config.compat
        )
    with open(state) as file:
        decision = CleanState.from_json(file.read())
    header = left.header | _provenance(decision, provenance, left.header.get("HISTORY", []))
    left, count = left.with_data(left.data, header=header), len(data)
    everywhere = valid.repeat(count, axis=0)
    restored = left.with_data(data, beams=(target,) * count, valid=everywhere)
    _save_terms(restored, image)
    _save_terms(left.with_data(left.data, beams=own * count, valid=everywhere), residual_out)
    _save_terms(left.with_data(components, unit="Jy/pixel"), model_out)
    for whole, paths in ((beam_image, psf_out), (load_image(sumwt), sumwt_out), (pb_image, pb_out)):
        _save_terms(whole, paths)
    cleaned = load_image(mask)
    card = {key: value for key, value in header.items() if key != "NTERMS"} | {"BTYPE": "Mask"}
    save_image(cleaned.with_data(cleaned.data, header=card), mask_out)
    if alpha:
        _save_spectrum(term(restored, 0), data[:, 0], solution[:, 0], valid, alpha, alpha_error, beta)


def _save_terms(image: Image, paths: list[str]) -> None:
    for t, path in enumerate(paths):
        save_image(term(image, t), path)


def _save_spectrum(first: Image, data, residual, valid, alpha, alpha_error, beta) -> None:
    """Spectral index, its error and curvature of data, residual (term, y, x), in the frame of the image `first`."""
    threshold = taylor.spectral_threshold(residual[0], valid[0, 0])
    index, bright = taylor.spectral_index(data, threshold)
    logger.info("spectral index above %.4g Jy/beam: %d pixels", threshold, np.count_nonzero(bright & valid[0, 0]))
    maps = [(alpha, index, "Spectral Index"),
            (alpha_error, taylor.spectral_index_error(data, residual, threshold), "Spectral Index Error")]  # fmt: skip
    if beta:
        maps.append((beta, taylor.spectral_curvature(data, threshold), "Spectral Curvature"))
    for path, values, kind in maps:
        frame = replace(first, header=first.header | {"BTYPE": kind})
        save_image(frame.with_data(values[None, None], unit="", valid=bright[None, None] & valid), path)
