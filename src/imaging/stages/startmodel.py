"""startmodel: the sky that the clean starts from, on the grid of the image."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from imaging.algorithms.components import draw
from imaging.algorithms.components import taylor_terms as coefficients
from imaging.errors import ImagingError
from imaging.image import Grid, Image, radec_to_lmn
from imaging.io.component_list import is_component_list, load_components
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.stages.plan import header, open_store, taylor_terms, terms_grid
from imaging.units import format_angle


def startmodel(vis: str, sky: list[str] | str, *, startmodel: str, config) -> None:
    """Make the image `startmodel`, Jy/pixel, the sum of the component lists and model images `sky`.

    Where there are Taylor terms, they are in the place of channels, and the images are one term each.
    """
    store, grid, _ = open_store(vis, config.image)
    taylor, cards, fluxes, term = taylor_terms(grid, config.clean), header(store), None, 0
    if taylor:
        half = grid.width[0] / 2
        fluxes = coefficients(taylor.nterms, taylor.reference, (grid.freq[0] - half, grid.freq[0] + half))
        grid, more = terms_grid(grid, taylor, taylor.nterms)
        cards |= more
    model, seen = np.zeros(grid.cube_shape, np.float32), False
    for path in [sky] if isinstance(sky, str) else sky:
        if is_component_list(path):
            found = load_components(path)
            drawn, outside = draw(found, grid, fluxes)
            logger.info("%s: %d components", path, len(found))
            if outside:
                logger.warning("%s: %d components lie outside the image and are left out", path, outside)
            model, seen = model + drawn, seen or outside < len(found)
        else:
            _add(model, load_image(path), grid, path, term if taylor else None)
            term, seen = term + 1, True
    if not seen:
        raise ImagingError("Nothing of clean.startmodel lies inside the image.",
                           got=sky if isinstance(sky, str) else ", ".join(sky),
                           expected="components within the image, around image.phasecenter",
                           next_step="check the positions in the list, image.phasecenter, imsize and cell")  # fmt: skip
    logger.info("model to start from: %.6g Jy", model[: 1 if taylor else None, 0].sum((1, 2), dtype=float).mean())
    save_image(Image(model, grid, "Jy/pixel", header=cards), startmodel)


def _add(model: np.ndarray, image: Image, grid: Grid, path: str, term: int | None) -> None:
    """Add an image to the model; the first one to its first Taylor term, and so on, where there are such."""
    if term is None or len(image.grid.freq) == len(grid.freq) > 1:
        model += _on(grid, image, path)
    elif term < len(model):
        one = replace(grid, freq=grid.freq[:1], width=grid.width[:1])
        model[term] += _on(one, image, path)[0]
    else:
        raise ImagingError("There are more model images than Taylor terms.", got=path,
                           expected=f"at most {len(model)} images, one for each of clean.nterms",
                           next_step="leave out the last ones of clean.startmodel")  # fmt: skip


def _on(grid: Grid, image: Image, path: str) -> np.ndarray:
    """The pixels of a model image on `grid`; one channel serves for all. Raises ImagingError where it is on another."""
    own = image.grid
    away = max(map(abs, radec_to_lmn(*own.centre, grid.centre)[:2]))
    told = [("pixels", own.shape[::-1], grid.shape[::-1]), ("planes", own.stokes, grid.stokes),
            ("channels", len(own.freq), len(grid.freq)), ("unit", image.unit.lower(), "jy/pixel"),
            ("cell", *(" x ".join(map(format_angle, g.cell)) for g in (own, grid)))]  # fmt: skip
    wrong = [t for t in told if t[1] != t[2] and t[:2] != ("channels", 1)]
    if away > 1e-2 * min(grid.cell):
        wrong.append(("centre", f"{format_angle(away)} away", "that of the image"))
    if wrong:
        raise ImagingError(f"The model {path} is on another grid than the image, or no model.",
                           got="; ".join(f"{what} {_text(its)}" for what, its, _ in wrong),
                           expected="; ".join(f"{what} {_text(ours)}" for what, _, ours in wrong),
                           next_step="make it with the same imsize, cell, phasecenter and channels,"
                           " or name a list of components")  # fmt: skip
    if any(not math.isclose(a, b, rel_tol=1e-6) for a, b in zip(own.freq, grid.freq, strict=False)):
        logger.warning("%s: its channels have other frequencies than those of the image", path)
    return np.where(image.usable(image.data.shape) & np.isfinite(image.data), image.data, 0)


def _text(value) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) and value and isinstance(value[0], int) else (
        "".join(value) if isinstance(value, tuple) else str(value))  # fmt: skip
