"""Visibilities to be evaluated tile by tile, and what a tile's are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from imaging.algorithms import jones as algebra
from imaging.log import logger
from imaging.measurement import contracts, literal
from imaging.measurement.contracts import ArrayProcess, name_of
from imaging.measurement.expressions.definitions import Expression
from imaging.measurement.terms import sky_term
from imaging.measurement.tiles import Tile

MEMORY = 2**26  # bytes of Jones matrices at a time
LEAST = 48  # sources at a time


class Tree:
    """Visibilities to be evaluated: `evaluate(tile)` gives (vis (row, chan, 2, 2), flag (row, chan)).

    What corrections found: samples without an inverse (`singular`), and whether matrices mix the feeds (`mixes`).
    """

    def __init__(self, function: Callable | None, ifrs: set | None = None, seed: int = 0):
        self.function, self.ifrs, self.seed = function, ifrs, seed
        self.singular = self.out_of_bounds = 0
        self.mixes = False
        self._last: tuple = (None, None)

    def __call__(self, p, q) -> literal.Baseline:
        """The visibilities of one baseline as a node, for trees of nodes above this one; flags stay behind."""
        return literal.Baseline(self, name_of(p), name_of(q))

    def column(self, tile: Tile) -> dict:
        """(2, 2, time, chan) by pairs of stations' indices; the last tile's are kept."""
        if self._last[0] is not tile:
            self._last = tile, literal.column_of(self.evaluate(tile)[0], tile)
        return self._last[1]

    def evaluate(self, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        """Rows of other baselines than the tree's are 0 and flagged."""
        tile = replace(tile, seed=self.seed)
        if self.ifrs is None:
            return self.function(tile)
        names = [name_of(p) for p in tile.stations]
        baselines = zip(tile.antenna1, tile.antenna2, strict=True)
        others = np.array([(names[p], names[q]) not in self.ifrs for p, q in baselines], bool)
        vis, flag = self.function(tile)
        vis[others], flag[others] = 0, True
        return vis, flag

    def undo(self, vis, jones: np.ndarray, tile: Tile, flag_jones: bool) -> np.ndarray:
        """vis (row, chan, 2, 2) becomes J_p^-1 vis J_q^-H in place; flags where there is no inverse."""
        inverse, singular = algebra.inverse(jones)
        bad = np.broadcast_to(singular[0], tile.shape[1:])
        bad = bad[tile.antenna1, tile.time_index] | bad[tile.antenna2, tile.time_index]
        kept = vis[bad]
        apply_jones(vis, inverse, tile)
        vis[bad] = kept
        self.singular += int(bad.sum())
        self.mixes |= algebra.kind_of(jones) == "full"
        if bad.any():
            logger.warning("%d samples are left uncorrected: a Jones matrix has no inverse", bad.sum())
        return bad if flag_jones else np.zeros_like(bad)

    def outside(self, terms, tile: Tile) -> np.ndarray:
        """Flags (row, chan) of matrices out of their terms' bounds."""
        flag = no_flags(tile)
        for term, jones in terms:
            if term.bounds is not None:
                bad = term.bounds.outside(contracts.station_array(jones, tile, term.label))[0]
                bad = np.broadcast_to(bad, tile.shape[1:])
                flag |= bad[tile.antenna1, tile.time_index] | bad[tile.antenna2, tile.time_index]
        self.out_of_bounds += int(flag.sum())
        return flag


class Data:
    """A tree of given visibilities (row, chan, 2, 2) of one tile, or a function that returns a tile's."""

    def __init__(self, vis, flag=None):
        self.vis, self.flag = vis, flag

    def evaluate(self, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        vis = self.vis(tile) if callable(self.vis) else self.vis
        return vis, no_flags(tile) if self.flag is None else self.flag


def as_tree(visibilities, ifrs):
    """A tree: what has `evaluate`, or nodes (p, q) for each of ifrs. None is none."""
    if visibilities is None or (hasattr(visibilities, "evaluate") and not isinstance(visibilities, Expression)):
        return visibilities
    return literal.Visibilities(visibilities, ifrs)


def empty(tile: Tile) -> np.ndarray:
    return np.zeros((len(tile.antenna1), len(tile.freq), 2, 2), complex)


def no_flags(tile: Tile) -> np.ndarray:
    return np.zeros((len(tile.antenna1), len(tile.freq)), bool)


def blocks(sources: list, tile: Tile, more: int = 0) -> Iterator[list]:
    """Sources that go together: so many that their Jones matrices, and `more` bytes each, fit into MEMORY.

    But LEAST at a time, which take less than the visibilities do: sums of fewer are slow. Those that make their own
    visibilities come last, each by itself.
    """
    _, stations, times, chans = tile.shape
    size = max(1 if more else LEAST, MEMORY // (64 * stations * times * chans + more))
    others = [x for x in sources if not hasattr(x, "degridded")]
    yield from (others[start : start + size] for start in range(0, len(others), size))
    yield from ([x] for x in sources if hasattr(x, "degridded"))


def station_product(terms, tile: Tile) -> np.ndarray:
    """G_n … G_1 on a tile, (1, station, time, chan)."""
    product = np.ones((1, 1, 1, 1), complex)
    for term, jones in terms:
        product = algebra.multiply(contracts.station_array(jones, tile, term.label), product)
    return product


def sky_product(terms, tile: Tile) -> np.ndarray:
    """E_m … E_1 on a tile, (source, station, time, chan); the identity where a source has no such term."""
    product = np.ones((1, 1, 1, 1), complex)
    for term, jones in terms:
        array, has = sky_term(term, jones, tile)
        if not has.any():
            continue
        if not has.all():
            kind = algebra.kind_of(array)
            whole = algebra.as_kind(np.ones((len(has), *array.shape[1:4]), complex), kind)
            whole[has] = array
            array = whole
        product = algebra.multiply(array, product)
    return with_drifts(product, tile)


def with_drifts(product: np.ndarray, tile: Tile) -> np.ndarray:
    """Times the phases of sources that move, beside those toward the tile's directions."""
    moving = [s for s, x in enumerate(tile.sources) if getattr(x, "moves", False)]
    if not moving:
        return product
    drifts = np.ones(tile.shape, complex)
    for s in moving:
        drifts[s] = tile.sources[s].drift(tile, tile.lmn[s])
    return algebra.multiply(drifts, product)


def apply_jones(vis, jones: np.ndarray, tile: Tile) -> None:
    if (jones.shape == (1, 1, 1, 1) and jones.item() == 1) or not vis.size:
        return
    from imaging.kernels.rime import apply_stations

    index = (np.array(x, np.int64) for x in (tile.antenna1, tile.antenna2, tile.time_index))
    apply_stations(vis, np.require(jones[0], complex, ["C", "W"]), *index)


def processed(process: ArrayProcess, vis, flag, tile) -> tuple[np.ndarray, np.ndarray]:
    vis, more = process.apply(np.array(vis, complex), tile)
    if more is None:
        return vis, flag
    more = np.asarray(more, bool)
    return vis, flag | (more.any(0) if more.ndim == 3 else more)
