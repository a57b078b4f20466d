"""What the terms of a measurement equation are: numbers, and a picture of them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from imaging.io.atomic import atomic_path
from imaging.io.plots import plot_terms
from imaging.measurement.contracts import name_of


class Inspected:
    """Gathers inspectors tile by tile: arrays (source | 1, station | 1, time[, …]), means over the channels.

    path : of the npz, with a png beside it; "" gathers nothing.
    """

    def __init__(self, path: str):
        self.path, self.parts = path, defaultdict(list)

    def take(self, maker, tile, key: str = "") -> None:
        """What `maker`'s inspectors are on a tile; `key` tells fields and spectral windows apart."""
        if not self.path:
            return
        sources = maker.array_sources()
        for name, function in maker.inspector_functions().items():
            values = np.asarray(function(tile.with_sources(sources)))
            values = values[None] if values.ndim == 2 else values  # of stations
            shape = (*values.shape[:2], len(tile.time), *values.shape[3:])
            self.parts[f"{name}{key}"].append(np.broadcast_to(values, shape))
        self.parts[f"time{key}"].append(tile.time)
        self.stations, self.sources = [list(map(name_of, of)) for of in (tile.stations, sources)]
        self.feeds = tile.feeds

    def save(self) -> None:
        if not self.path:
            return
        found = {name: np.concatenate(parts, 0 if name.startswith("time") else 2) for name, parts in self.parts.items()}
        with atomic_path(self.path) as partial:
            np.savez(partial, **found, stations=np.array(self.stations), sources=np.array(self.sources))
        plot_terms(found, self.stations, self.sources, self.path.removesuffix(".npz") + ".png", self.feeds)
