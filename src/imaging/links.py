"""With tclean's keywords: the names that scripts look for, beside the folder in which the products are."""

from __future__ import annotations

import os
from pathlib import Path

from imaging import terms
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.names import SUFFIX, Names

FINAL = ("psf", "pb", "sumwt", "residual", "model", "mask", "image", "image.pbcor")


def free_name(name: str, results: str) -> str:
    """The first of name, name_1, name_2, … of which there is nothing yet."""
    candidate, count = name, 0
    while Path(Names(candidate, results).folder).exists():
        count += 1
        candidate = f"{name}_{count}"
    return candidate


def links(imagename: str, config: Config, names: Names) -> dict[Path, Path]:
    """<imagename>.psf, <imagename>.image, …, and the products that they mean; none without an imagename."""
    if not imagename:
        return {}
    products = FINAL
    if config.clean.multiterm:
        paths = [names.path(p) for p in ("psf", "pb", "sumwt")] + terms.everything(config, names)
        products = [names.parse(path)[0] for path in paths]
    ending = SUFFIX[names.image_format]
    return {Path(f"{imagename}.{product}{ending}"): Path(names.path(product)) for product in products}


def check(wanted: dict[Path, Path]) -> None:
    """Raises ImagingError where something else has the name of a link."""
    for link in wanted:
        if link.exists() and not link.is_symlink():
            raise ImagingError(f"{link} is there already, and not from here.", got="a file or folder of that name",
                               expected="a new imagename", next_step="choose another imagename, or move it away"
                               )  # fmt: skip


def publish(wanted: dict[Path, Path]) -> None:
    """Make the links to those products that are there."""
    for link, product in wanted.items():
        link.unlink(missing_ok=True)
        if product.exists():
            link.symlink_to(os.path.relpath(product, link.parent))
