"""The sum over the sky: sources through their Jones terms, block by block, by several threads."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from imaging.algorithms import rime
from imaging.measurement import contracts
from imaging.measurement.sources import NodeSource
from imaging.measurement.tiles import Tile
from imaging.measurement.trees import LEAST, MEMORY, apply_jones, blocks, no_flags, processed, sky_product


@dataclass(frozen=True)
class SkySum:
    """How the sources' visibilities are made and added up.

    sky and per_source: the Jones terms and the processors of each source, (Term, what it computed). smearing and
    decompose: as MeqMaker's. threads: visibilities do not depend on it.
    """

    sky: list
    per_source: list
    smearing: bool = False
    decompose: bool | None = None
    threads: int = 1

    def add(self, vis, sources: list, tile: Tile) -> np.ndarray:
        """Add the sources to vis (row, chan, 2, 2); returns flags."""
        pairs = rime.find_pairs(tile.antenna1, tile.antenna2, tile.time_index, len(tile.stations), len(tile.time))
        rows = {"antenna1": tile.antenna1, "antenna2": tile.antenna2, "time": tile.time_index, "uvw": tile.uvw,
                "freq": tile.freq, "pairs": pairs}  # fmt: skip
        if self.smearing:
            rows |= {"width": tile.width, "motion": tile.motion()}
        if self.decompose is not False:
            rows["stations_uvw"] = tile.stations_uvw
        flag = no_flags(tile)
        many = blocks(sources, tile, vis.nbytes if self.per_source else 0)
        with self._pool(sources, tile) as (run, in_turn):
            for part, light, product in in_turn(self._evaluated, map(tile.with_sources, many)):
                if light is None or self.per_source:
                    flag = flag | self._add_each(vis, part, light, product, rows, run)
                else:
                    rime.add_sources(vis, _lmn1(part), light, product, shape=_shapes(part), run=run, **rows)
        return flag

    @contextmanager
    def _pool(self, sources, tile):
        """run(function, arguments of each) for compiled functions, and in_turn(function, items), a map in order.

        Jones terms in arrays are evaluated in the threads too, a few blocks ahead; nodes in this thread only.
        """
        if self.threads == 1:
            yield None, map
            return
        _, stations, times, chans = tile.shape
        depth = max(1, min(self.threads, 4 * MEMORY // (LEAST * 64 * stations * times * chans)))
        with ThreadPoolExecutor(self.threads) as pool:

            def ahead(function, items):
                waiting = deque()
                for item in items:
                    waiting.append(pool.submit(function, item))
                    if len(waiting) > depth:
                        yield waiting.popleft().result()
                yield from (one.result() for one in waiting)

            def run(function, items):
                list(pool.map(lambda item: function(*item), items))

            yield run, ahead if self._of_arrays(sources) else map

    def _of_arrays(self, sources) -> bool:
        arrays = all(isinstance(jones, contracts.ArrayJones) for _, jones in self.sky)
        return arrays and not any(isinstance(x, NodeSource) for x in sources)

    def _evaluated(self, tile: Tile) -> tuple:
        """The tile, and its sources' brightness (None for an image) and Jones matrices."""
        light = None if hasattr(tile.sources[0], "degridded") else light_of(tile)
        return tile, light, sky_product(self.sky, tile)

    def _add_each(self, vis, tile, light, product, rows, run) -> np.ndarray:
        """Sources one by one, through their processors."""
        each, flag = np.zeros((len(tile.sources), *vis.shape), complex), no_flags(tile)
        if light is None:
            each[0] = tile.sources[0].degridded(tile, self.threads)
            apply_jones(each[0], product, tile)
        else:
            lmn1, shapes = _lmn1(tile), _shapes(tile)
            for s, one in enumerate(each):
                alone, part = slice(s, s + 1), product[s : s + 1] if len(product) > 1 else product
                rime.add_sources(one, lmn1[alone], light[alone], part, shape=shapes[alone], run=run, **rows)
        for term, process in self.per_source:
            some = np.array([term.applies_to(x) for x in tile.sources])
            part = tile.with_sources([x for x in tile.sources if term.applies_to(x)])
            if some.any():
                each[some], flag = processed(process, each[some], flag, part)
        vis += each.sum(0)
        return flag


def light_of(tile: Tile) -> np.ndarray:
    """The sources' brightness (source, time | 1, chan | 1, 2, 2), that of components all at once."""
    from imaging.measurement.sky.components import Source, brightnesses

    if all(type(x).brightness is Source.brightness for x in tile.sources):
        return brightnesses(tile.sources, tile)
    return np.stack(np.broadcast_arrays(*(np.asarray(x.brightness(tile), complex) for x in tile.sources)))


def _lmn1(tile: Tile) -> np.ndarray:
    """l, m and n - 1 (source, 3), without cancellation."""
    lmn1 = tile.lmn - [0, 0, 1]
    lmn1[:, 2] = -(lmn1[:, 0] ** 2 + lmn1[:, 1] ** 2) / (1 + tile.lmn[:, 2])
    return lmn1


def _shapes(tile: Tile) -> np.ndarray:
    return np.array([x.shape for x in tile.sources], float)
