"""Users' clean masks: images, DS9 and CRTF region files, CRTF text and pixel boxes, as one bool array."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from imaging.errors import ImagingError
from imaging.image import Grid, Image
from imaging.io import crtf
from imaging.log import logger

_EQUATORIAL = ("ICRS", "J2000", "FK5")


def load_mask(entries: Iterable[str | tuple[int, int, int, int]], grid: Grid) -> np.ndarray:
    """What `entries` select together, as a bool mask (chan, pol, y, x) on `grid`.

    An entry is a FITS or CASA image of the grid's shape (where it is not 0, clean may look; one channel or
    polarisation stands for all), a DS9 (.reg) or CRTF (.crtf) region file, CRTF text, or a pixel box
    (x0, y0, x1, y1) counted from 0, both corners inside. Raises ImagingError for a mask of another shape or
    position, a region that is not understood, and a mask without a pixel.
    """
    entries = tuple(entries)
    mask = np.zeros(grid.cube_shape, bool)
    for entry in entries:
        mask |= _load(entry, grid)
    if not mask.any():
        raise ImagingError(
            "The clean mask selects no pixel of the image.",
            got=", ".join(map(str, entries)),
            expected="at least one pixel inside the image",
            next_step="compare mask.mask with image.phasecenter, image.cell and image.imsize",
        )
    return mask


def _load(entry: str | tuple[int, int, int, int], grid: Grid) -> np.ndarray:
    if not isinstance(entry, str | os.PathLike):
        return _box(tuple(entry), grid)
    if isinstance(entry, str) and crtf.LINE.match(entry):
        return crtf.mask_from_text(entry, grid, "mask.mask")
    path = Path(entry)
    if not path.exists():
        raise ImagingError(
            f"There is no mask {entry}.",
            got="neither a file nor a CRTF region",
            expected="an image, a .reg or .crtf file, or text such as circle[[13h31m08s, 30d30m33s], 10arcsec]",
            next_step="check mask.mask",
        )
    if path.is_file():
        with open(path, "rb") as file:
            beginning = file.read(30)
        if path.suffix == ".crtf" or beginning.startswith(b"#CRTF"):
            return crtf.mask_from_text(_text(path), grid, path.name)
        if path.suffix == ".reg" or beginning.startswith(b"# Region file format: DS9"):
            return _ds9(_text(path), grid, path.name)
    from imaging.io.images import load_image

    return _from_image(load_image(path), grid, path)


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _box(corners: tuple[int, ...], grid: Grid) -> np.ndarray:
    x0, y0, x1, y1 = corners
    ny, nx = grid.shape
    if not (0 <= x0 <= x1 < nx and 0 <= y0 <= y1 < ny):
        raise ImagingError(
            "A mask box is not inside the image.",
            got=list(corners),
            expected=f"[x0, y0, x1, y1] with 0 <= x0 <= x1 <= {nx - 1} and 0 <= y0 <= y1 <= {ny - 1}",
            next_step="correct mask.mask",
        )
    mask = np.zeros(grid.cube_shape, bool)
    mask[:, :, y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def _from_image(image: Image, grid: Grid, path: Path) -> np.ndarray:
    shape = image.data.shape
    if shape[2:] != grid.shape or any(n not in (1, m) for n, m in zip(shape[:2], grid.cube_shape[:2], strict=True)):
        raise ImagingError(
            f"The mask {path} has another shape than the image.",
            got="{} channels, {} polarisations, {} x {} pixels".format(*shape[:2], *shape[:1:-1]),
            expected="{} channels, {} polarisations, {} x {} pixels".format(*grid.cube_shape[:2], *grid.shape[::-1]),
            next_step="make the mask on the image's own grid (CASA: imregrid)",
        )
    if image.grid.cell[1] and not _same_place(image.grid, grid):
        raise ImagingError(
            f"The mask {path} has the image's shape but lies elsewhere on the sky.",
            got=_place(image.grid),
            expected=_place(grid),
            next_step="make the mask on the image's own grid (CASA: imregrid)",
        )
    return np.broadcast_to(image.data != 0, grid.cube_shape)


def _same_place(a: Grid, b: Grid) -> bool:
    """Whether no pixel is half a pixel or more from its namesake."""
    if a.frame != b.frame and not {a.frame, b.frame} <= set(_EQUATORIAL):
        return False
    ra = math.remainder(a.centre[0] - b.centre[0], 2 * math.pi) * math.cos(b.centre[1])
    shift = (ra / b.cell[0], (a.centre[1] - b.centre[1]) / b.cell[1])
    drift = (abs(a.cell[i] / b.cell[i] - 1) * b.shape[1 - i] / 2 for i in (0, 1))
    return all(abs(s) + d < 0.5 for s, d in zip(shift, drift, strict=True))


def _place(grid: Grid) -> str:
    ra, dec = map(math.degrees, grid.centre)
    cell = [math.degrees(c) * 3600 for c in grid.cell]
    return f"centre {ra:.6f} {dec:+.6f} deg {grid.frame}, cell {cell[0]:.6g} x {cell[1]:.6g} arcsec"


def _ds9(text: str, grid: Grid, source: str) -> np.ndarray:
    from regions import LinePixelRegion, PixCoord, PixelRegion, PointPixelRegion, Regions, TextPixelRegion

    from imaging.io.sky import grid_wcs

    try:
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always")
            regions = Regions.parse(text, format="ds9")
        skipped = [str(m.message) for m in messages if "skipping" in str(m.message)]
        if skipped:
            raise ValueError(skipped[0])
        wcs = grid_wcs(grid)
        given, regions = regions, [r if isinstance(r, PixelRegion) else r.to_pixel(wcs) for r in regions]
        lines = [r for r in regions if isinstance(r, LinePixelRegion)]
        if lines:
            raise ValueError("a line has no area")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ImagingError(
            f"The DS9 regions of {source} are not understood.",
            got=" ".join(str(error).split()),
            expected="circle, ellipse, box, annulus, polygon or point, in sky or image coordinates",
            next_step="correct the file, or save it from DS9 again",
        ) from None
    pixels = PixCoord(*np.meshgrid(np.arange(grid.shape[1], dtype=float), np.arange(grid.shape[0], dtype=float)))
    included, excluded = [], []
    for sky, region in zip(given, regions, strict=True):
        if isinstance(region, TextPixelRegion):
            continue
        include = region.meta.pop("include", 1)
        if isinstance(region, PointPixelRegion):
            inside = (abs(pixels.x - region.center.x) <= 0.5) & (abs(pixels.y - region.center.y) <= 0.5)
        else:
            inside = region.contains(pixels)
        (included if include else excluded).append(inside)
        if include and not inside.any():
            at = sky.center if hasattr(sky, "center") else sky.vertices[0]
            place = f"pixel {at.x:.1f}, {at.y:.1f}" if sky is region else at.to_string(precision=6) + " deg"
            kind = type(region).__name__.removesuffix("PixelRegion").lower()
            logger.warning("%s: the %s at %s holds no pixel of the image (%s)", source, kind, place, _place(grid))
    none = np.zeros(grid.shape, bool)
    wanted = np.logical_or.reduce([none, *included]) if included else ~none & bool(excluded)
    return np.broadcast_to(wanted & ~np.logical_or.reduce([none, *excluded]), grid.cube_shape)
