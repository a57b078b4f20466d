"""Sky Jones terms of nodes as images, their nodes made once for all pixels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np

from imaging.measurement.expressions import Evaluator, Meq, NodeScope, Tile
from imaging.measurement.meow import directions, sources

CELLS = 2**20  # of time, frequency and direction that are evaluated at a time


def pixel_source(ns: NodeScope, name: str = "pixel"):
    """A source whose direction is that of the tile's cells: for the Context of the Meow that is imported, or ours."""
    package = sys.modules.get("Meow")
    lm_direction = getattr(package, "LMDirection", directions.LMDirection)
    point_source = getattr(package, "PointSource", sources.PointSource)
    l, m = (ns[axis](name) << Meq.Grid(axis=axis) for axis in ("l", "m"))
    return point_source(ns, name, lm_direction(ns, name, l, m, static=False), I=1.0)


def voltages(
    compute_jones: Callable, l: np.ndarray, m: np.ndarray, tile: Tile, stations: Sequence, *, ns=None, label: str = "E",
    before: Sequence = (), **more,
) -> np.ndarray:  # fmt: skip
    """A Sky Jones toward pixels: (pixel, station, time | 1, chan | 1), with (2, 2) behind it where it is a matrix.

    compute_jones : of a module that binds nodes. l, m (pixel,) : direction cosines about the phase centre; outside the
    sky (l^2 + m^2 >= 1) the response is 0. tile : with UVW if the term wants them. ns : the scope of the Context's
    nodes, a new one if None. before : sources that go before the pixels, for modules to which the first is the middle.

    Pixels are cells beside the times, so that a term's nodes are as many for an image as for one source. Terms that
    average over time, or whose Python nodes look at neighbouring times, have to be computed source by source.
    """
    ns = NodeScope() if ns is None else ns
    pixel = pixel_source(ns, f"pixel{label}")
    jones = compute_jones(ns[label], sources=[*before, pixel], stations=list(stations), label=label, **more)
    evaluator = Evaluator([jones(pixel.name, p) for p in stations])
    l, m = (np.asarray(axis, float).ravel() for axis in (l, m))
    inside = np.flatnonzero(l * l + m * m < 1)
    size = max(1, CELLS // (len(tile.time) * len(tile.frequency)))
    image = None
    for part in np.split(inside, range(size, len(inside), size)):
        values = evaluator(tile.over(l[part], m[part]))
        kind = max((value.shape[:-2] for value in values), key=len)
        block = np.stack(np.broadcast_arrays(*(by_pixel(value, kind, len(part)) for value in values)), 1)
        if image is None:
            image = np.zeros((len(l), *block.shape[1:]), complex)
        image[part] = block
    return image


def by_pixel(value: np.ndarray, kind: tuple, number: int) -> np.ndarray:
    """(dims..., T P | 1, F | 1) as (P, T | 1, F | 1, dims...), P the number of pixels; dims is `kind`, () or (2, 2)."""
    if kind and value.ndim == 2:
        value = value * np.eye(2)[..., None, None]
    cells, chans = value.shape[-2:]
    value = value.reshape(*kind, -1, number if cells > 1 else 1, chans) if cells > 1 else value[..., None, :]
    value = np.moveaxis(value, (-2, -3, -1), (0, 1, 2))
    return np.broadcast_to(value, (number, *value.shape[1:]))
