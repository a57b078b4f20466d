"""Sky Jones terms of nodes toward many pixels: their nodes are made for one source, whose directions are cells."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from imaging.algorithms.components import Component
from imaging.measurement import literal
from imaging.measurement.contracts import ArrayJones, name_of
from imaging.measurement.expressions import Meq
from imaging.measurement.meow.images import by_pixel, pixel_source
from imaging.measurement.sky.components import Source
from imaging.measurement.tiles import Tile


class Rendered(ArrayJones):
    """A Sky Jones of nodes toward `pixels`, by those that it has for the source `pixel`."""

    def __init__(self, jones, pixel: str, pixels: Sequence, name: str):
        super().__init__(self._evaluated, "full", sources=pixels, name=name)
        self.jones, self.pixel = jones, pixel

    def _evaluated(self, tile: Tile) -> np.ndarray:
        """(pixel, station | 1, time | 1, chan | 1, 2, 2)."""
        nodes = [self.jones(self.pixel, p) for p in tile.stations]
        values = literal.evaluated(nodes, literal.node_tile(tile).over(*tile.lmn[:, :2].T))
        values = values[:1] if all(value is values[0] for value in values) else values
        return np.stack(np.broadcast_arrays(*(by_pixel(value, (2, 2), len(tile.lmn)) for value in values)), 1)


def sky_terms(maker, pixels: Sequence) -> list[tuple]:
    """The sky Jones terms of a MeqMaker toward pixels, as `trees.sky_product` takes them.

    A term of nodes whose first source is its reference is relative to the phase centre.
    """
    with maker._meow(maker.scope):
        pixel = pixel_source(maker.scope)
    middle = Source(Component("middle", *maker.context.phase_centre, (1.0, 0.0, 0.0, 0.0)))
    found = []
    for term in maker._active("sky jones"):
        if _binds_nodes(term.module) and term.subset is None and term.unique == "source":
            jones = maker._compute(term, None, [middle, pixel])
            bound = jones is not None and _has_nodes(jones, pixel.name, maker.context.stations)
            jones = Rendered(jones, pixel.name, pixels, term.label) if bound else None
        else:
            jones = maker._compute(term, None, pixels)
        if jones is not None:
            found.append((term, jones))
    return found


def _binds_nodes(module) -> bool:
    """Whether a module, or the file of an object's class, has Meq among its names."""
    place = module if hasattr(module, "__file__") else sys.modules.get(type(module).__module__)
    return getattr(place, "Meq", None) is Meq


def _has_nodes(jones, pixel: str, stations: Sequence) -> bool:
    return all(getattr(jones(pixel, name_of(p)), "definition", None) is not None for p in stations)
