"""What there is to look at of a measurement equation: arrays by name, and bookmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from imaging.measurement import contracts, literal
from imaging.measurement.expressions.definitions import Expression
from imaging.measurement.tiles import Tile


def standard_inspector(term, jones) -> tuple[str, Callable[[Tile], np.ndarray]]:
    """(name, function of a tile): the mean over frequency."""

    def mean(tile):
        if term.role == "sky jones":
            from imaging.measurement.terms import sky_term

            return sky_term(term, jones, tile)[0].mean(3)
        return contracts.station_array(jones, tile, term.label).mean(3)

    return f"{term.label}:inspector", mean


def standard_pointing_inspector(name: str, pointings) -> tuple[str, Callable[[Tile], np.ndarray]]:
    return f"{name}:inspector", lambda tile: contracts.pointing_array(pointings, tile).mean(2)[None]


def functions_of(inspectors: Sequence) -> dict[str, Callable[[Tile], np.ndarray]]:
    """Inspectors by name as functions of a tile: pairs (name, function), nodes, or functions with a name.

    The arrays are (source | 1, station | 1, time | 1[, …]), means over the channels; a node's elements stand on the
    axis of stations. What is none of these has nothing to be evaluated and is left out.
    """
    found: dict = {}
    for one in inspectors:
        if isinstance(one, tuple):
            name, function = one
        elif isinstance(one, Expression):
            name, function = _of_node(one)
        elif callable(one):
            name, function = getattr(one, "__name__", "inspector"), one
        else:
            continue
        while name in found:
            name += "'"
        found[name] = function
    return found


def _of_node(node):
    node = literal.as_node(node)

    def elements(tile):
        value = literal.evaluated([node], literal.node_tile(tile))[0].mean(-1)
        return value.reshape(1, -1, value.shape[-1])

    return node.name, elements


class Recorder:
    """Bookmarks as MeqMaker's callers make them: noted in `bookmarks`, nothing is drawn."""

    def make_bookmark_set(self, nodes, quals, title_inspector, title_folder=None, inspector_node=None, labels=None,
                          freqmean=True, vells_label=None, **kw) -> None:  # fmt: skip
        self.bookmarks.append({"nodes": nodes, "quals": list(quals), "title": title_inspector, "folder": title_folder,
                               "labels": labels, "freqmean": freqmean})  # fmt: skip

    def make_per_ifr_bookmarks(self, nodes, title, ifrs=None, freqmean=True, vells_labels=True, **kw) -> None:
        ifrs = self._ifr_list(ifrs)
        labels = [f"{contracts.name_of(p)}-{contracts.name_of(q)}" for p, q in ifrs]
        self.make_bookmark_set(nodes, ifrs, f"{title}: inspector plot", f"{title}: by interferometer", labels=labels,
                               freqmean=freqmean)  # fmt: skip

    def make_per_station_bookmarks(self, nodes, title, stations=None, freqmean=True, **kw) -> None:
        stations = self._stations() if stations is None else list(stations)
        self.make_bookmark_set(nodes, [(p,) for p in stations], f"{title}: inspector plot", f"{title}: by station",
                               labels=[str(p) for p in stations], freqmean=freqmean)  # fmt: skip

    def make_per_source_per_station_bookmarks(self, nodes, title, sources, stations=None, freqmean=True, **kw) -> None:
        stations = self._stations() if stations is None else list(stations)
        quals = [(x, p) for x in sources for p in stations]
        self.make_bookmark_set(nodes, quals, f"{title}: inspector plot", f"{title}: by source and station",
                               labels=[f"{contracts.name_of(x)}:{p}" for x, p in quals], freqmean=freqmean)  # fmt: skip
