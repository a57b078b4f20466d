"""Shared by the stages that image: the grid of the image and the parts of the data, from files and settings."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import imaging
from imaging.algorithms.major_cycle import Accuracy, Part
from imaging.algorithms.spectral import output_channels
from imaging.algorithms.taylor import Taylor
from imaging.errors import ImagingError
from imaging.image import Grid
from imaging.io.visibility_store import ImagingWeights, VisibilityStore
from imaging.settings import Settings
from imaging.units import FREQUENCY, parse_quantity


def open_store(vis: str, image: Settings):
    """The store, the grid that `image` describes on it, and the image channel of each of its parts' channels."""
    store = VisibilityStore(vis)
    freq, width, channel_map = output_channels(
        [part.freq for part in store.parts], [part.width for part in store.parts],
        image.specmode, image.nchan, image.start, image.width,
    )  # fmt: skip
    nx, ny = image.imsize
    grid = Grid(
        centre=store.phase_centre,
        cell=tuple(image.cell),
        shape=(ny, nx),
        freq=freq,
        width=width,
        stokes=store.stokes,
        frame=store.meta["frame"],
        specframe=store.meta["specframe"],
        restfreq=parse_quantity(image.restfreq, FREQUENCY, "Hz") if image.restfreq else 0.0,
    )
    return store, grid, channel_map


def open_parts(vis: str, weights: str, image: Settings) -> tuple[VisibilityStore, Grid, list[Part]]:
    """The store, the grid of the image, and its parts with their imaging weights, memory-mapped."""
    store, grid, channel_map = open_store(vis, image)
    imaging_weights = ImagingWeights(weights)
    parts = [
        Part(part.uvw, part.freq, part.vis, imaging_weights[i], plane)
        for i, (part, plane) in enumerate(zip(store.parts, channel_map, strict=True))
    ]
    return store, grid, parts


def taylor_terms(grid: Grid, clean: Settings) -> Taylor | None:
    """The Taylor terms to image, about clean.reffreq or the middle of the band; None where there is but one.

    Raises ImagingError for a reference outside the band, where the terms would be all but the same images.
    """
    if clean.nterms == 1:
        return None
    reference = parse_quantity(clean.reffreq, FREQUENCY, "Hz") if clean.reffreq else grid.freq[0]
    if abs(reference - grid.freq[0]) > grid.width[0] / 2:
        low, high = ((grid.freq[0] + sign * grid.width[0] / 2) / 1e6 for sign in (-1, 1))
        raise ImagingError("The reference frequency of the Taylor terms is outside the band.",
                           got=f"clean.reffreq: {clean.reffreq}", expected=f"{low:.6g} to {high:.6g} MHz",
                           next_step="leave clean.reffreq empty for the middle of the band")  # fmt: skip
    return Taylor(clean.nterms, reference)


def terms_grid(grid: Grid, taylor: Taylor | None, count: int) -> tuple[Grid, dict]:
    """The grid of an image of `count` Taylor terms, in the place of channels, and the header card that says so."""
    if taylor is None:
        return grid, {}
    grid = replace(grid, freq=(taylor.reference,) * count, width=grid.width * count)
    return grid, {"NTERMS": (count, "Taylor terms, in the place of channels")}


def header(store: VisibilityStore) -> dict:
    """What every image of this store says of its origin."""
    meta = store.meta
    fields = sorted({field for source in meta["sources"] for field in source["fields"]})
    return {
        "OBJECT": ", ".join(fields)[:60],
        "TELESCOP": meta["telescope"],
        "OBSERVER": meta["observer"],
        "DATE-OBS": meta["date_obs"],
        "ORIGIN": f"fringeflow {imaging.__version__}",
        "DATAHASH": (digest_of(meta), "hash of the visibilities imaged"),
        "HISTORY": [f"input {s['name']}: column {s['column']}, {s['rows']} rows" for s in meta["sources"]],
    }


def digest_of(meta: dict) -> str:
    """A short hash of the samples in a store."""
    return hashlib.sha256("".join(part["sha256"] for part in meta["parts"]).encode()).hexdigest()[:16]


def accuracy(gridding: Settings) -> Accuracy:
    return Accuracy(gridding.epsilon, gridding.wterm, gridding.precision, gridding.backend, gridding.memory)
