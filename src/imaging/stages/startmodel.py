"""startmodel: the sky that the clean starts from, on the grid of the image."""

from __future__ import annotations

import math

import numpy as np

from imaging.algorithms.components import draw
from imaging.errors import ImagingError
from imaging.image import Grid, Image, radec_to_lmn
from imaging.io.component_list import is_component_list, load_components
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.stages.plan import header, open_store
from imaging.units import format_angle


def startmodel(vis: str, sky: list[str] | str, *, startmodel: str, config) -> None:
    """Make the image `startmodel`, Jy/pixel, the sum of the component lists and model images `sky`."""
    store, grid, _ = open_store(vis, config.image)
    model = np.zeros(grid.cube_shape, np.float32)
    for path in [sky] if isinstance(sky, str) else sky:
        if is_component_list(path):
            found = load_components(path)
            drawn, outside = draw(found, grid)
            logger.info("%s: %d components", path, len(found))
            if outside:
                logger.warning("%s: %d components lie outside the image and are left out", path, outside)
            model += drawn
        else:
            model += _on(grid, load_image(path), path)
    logger.info("model to start from: %.6g Jy", model[:, 0].sum(dtype=float) / len(grid.freq))
    save_image(Image(model, grid, "Jy/pixel", header=header(store)), startmodel)


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
