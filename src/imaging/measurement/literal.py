"""Nodes on tiles: where modules that bind expressions meet arrays of (source, station, time, chan) and of rows.

A node's value is (dims..., T or 1, F or 1); a Jones of ours has its kind behind the axes. Equal definitions are one
value, so that what is the same for all stations or sources is stacked once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from imaging.measurement import expressions
from imaging.measurement.contracts import ContractError, name_of
from imaging.measurement.expressions import Evaluator, Meq, Node, NodeScope
from imaging.measurement.expressions.definitions import Definition, Expression
from imaging.measurement.expressions.evaluation import ENDS, node_type, repeated
from imaging.measurement.expressions.nodes import meaning_of
from imaging.measurement.tiles import Tile

BY_NAME = ("GaussNoise", "RandomNoise", "PyNode")  # equal definitions of other names have other values


class StationPairs(Mapping):
    """The column UVW of a tile: (3, time) m by a pair of stations' indices, for any pair where stations have places."""

    def __init__(self, tile: Tile):
        self.tile = tile

    def __getitem__(self, pair):
        p, q = pair
        if self.tile.stations_uvw is not None:
            return (self.tile.stations_uvw[:, p] - self.tile.stations_uvw[:, q]).T
        rows = np.flatnonzero((self.tile.antenna1 == p) & (self.tile.antenna2 == q))
        if len(np.unique(self.tile.time_index[rows])) < len(self.tile.time):
            raise KeyError(pair)
        return self.tile.uvw[rows[np.argsort(self.tile.time_index[rows], kind="stable")]].T

    def __iter__(self):
        return iter(sorted(set(zip(self.tile.antenna1.tolist(), self.tile.antenna2.tolist(), strict=True))))

    def __len__(self):
        return len(list(iter(self)))


def node_tile(tile: Tile, **columns) -> expressions.Tile:
    """What nodes are evaluated on: the tile's cells, its uvw and further `columns` by pairs of stations' indices."""
    return expressions.Tile(
        tile.time, tile.freq, np.full(len(tile.time), float(tile.interval)), tile.width,
        columns={"UVW": StationPairs(tile), **columns}, seed=tile.seed, number=round(float(tile.time[0]) * 1000),
        origin=tile,
    )  # fmt: skip


def as_node(meaning: Any) -> Node:
    """The node itself, or one for a definition that has no name."""
    if isinstance(meaning, Node):
        return meaning
    inside = [meaning] if isinstance(meaning, Expression) else []
    while inside:
        one = inside.pop()
        if isinstance(one, Node):
            return one.scope._child(meaning)
        inside += [child for child in getattr(one, "children", ()) if isinstance(child, Expression)]
    return NodeScope()._child(meaning)


def evaluated(nodes: Sequence[Expression], tile: expressions.Tile) -> list[np.ndarray]:
    """The nodes' values; one evaluator is kept for these nodes. Nodes of one meaning share one array."""
    nodes = tuple(map(as_node, nodes))
    if not nodes:
        return []
    known = nodes[0].scope._evaluators
    if nodes not in known:
        places, roots, index = {}, [], []
        for node in nodes:
            if node.definition is None or node.classname in BY_NAME:
                key = node
            else:
                key = meaning_of(node.definition)
            if key not in places:
                places[key] = len(roots)
                roots.append(node)
            index.append(places[key])
        known[nodes] = Evaluator(roots), index
    evaluator, index = known[nodes]
    values = evaluator(replace(tile, values={**known.get(ENDS, {}), **tile.values}))
    return [values[i] for i in index]


def jones_values(nodes: Sequence[Expression], names: Sequence[str], tile: Tile) -> list[np.ndarray]:
    """Jones terms of nodes: (time | 1, chan | 1) and nothing, (2,) where both corners are zero, or (2, 2)."""
    values, made = evaluated(nodes, node_tile(tile)), {}
    for value, name in zip(values, names, strict=True):
        if id(value) not in made:
            made[id(value)] = _jones(value, name)
    return [made[id(value)] for value in values]


def _jones(value: np.ndarray, name: str) -> np.ndarray:
    if value.ndim == 2:
        return value
    if value.shape[:-2] != (2, 2):
        raise ContractError(f"The Jones term {name} is neither a number nor a matrix.",
                            got=f"a node of dimensions {value.shape[:-2]}", expected="() or (2, 2)",
                            next_step="bind it to a scalar or to Meq.Matrix22(...)")  # fmt: skip
    if not (value[0, 1].any() or value[1, 0].any()):
        return np.stack([value[0, 0], value[1, 1]], -1)
    return np.ascontiguousarray(np.moveaxis(value, (0, 1), (2, 3)))


@node_type("ArrayTerm", varies=True)
def _array_term(node, tile):
    """A leaf of the array dialect inside an expression: its `evaluate`, with the kind's axes first."""
    value = repeated(np.asarray(node.definition.record["leaf"].evaluate(tile.origin)), tile.repeats, 0)
    if node.definition.record["vector"] or value.ndim == 4:
        return np.moveaxis(value, (0, 1), (-2, -1))
    if value.ndim == 3:
        return np.moveaxis(value[..., None] * np.eye(2), (0, 1), (-2, -1))
    return value


class Visibilities:
    """Nodes (p, q) as rows: `evaluate(tile)` is a tree's."""

    def __init__(self, nodes: Callable, ifrs: Sequence):
        self.nodes = {tuple(map(name_of, ifr)): nodes(*ifr) for ifr in ifrs}

    def process(self, vis: np.ndarray, tile: Tile, columns: Mapping) -> np.ndarray:
        """vis (row, chan, 2, 2), changed where there are nodes."""
        names = [name_of(p) for p in tile.stations]
        rows = rows_of(tile)
        pairs = [pair for pair in rows if (names[pair[0]], names[pair[1]]) in self.nodes]
        values = evaluated([self.nodes[names[p], names[q]] for p, q in pairs], node_tile(tile, **columns))
        for pair, value in zip(pairs, values, strict=True):
            mine = rows[pair]
            if value.ndim == 2:
                value = value * np.eye(2)[..., None, None]
            if value.shape[:-2] != (2, 2):
                raise ContractError(
                    f"The visibilities {'-'.join(names[i] for i in pair)} are no 2x2 matrices.",
                    got=f"a node of dimensions {value.shape[:-2]}",
                    expected="() or (2, 2)",
                )
            whole = np.broadcast_to(value, (2, 2, len(tile.time), len(tile.freq)))
            vis[mine] = np.moveaxis(whole, (0, 1), (2, 3))[tile.time_index[mine]]
        return vis

    def evaluate(self, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        vis = np.zeros((len(tile.antenna1), len(tile.freq), 2, 2), complex)
        return self.process(vis, tile, {}), np.zeros(vis.shape[:2], bool)


class Baseline(Definition):
    """The visibilities of a tree on one baseline, as nodes use them."""

    def __init__(self, tree, p: str, q: str):
        super().__init__("TreeVisibilities", record={"tree": tree, "stations": (p, q)})


@node_type("TreeVisibilities", varies=True)
def _tree_visibilities(node, tile):
    names = [name_of(p) for p in tile.origin.stations]
    pair = tuple(map(names.index, node.definition.record["stations"]))
    column = node.definition.record["tree"].column(tile.origin)
    if pair in column:
        return column[pair]
    return column[pair[::-1]].swapaxes(0, 1).conj()


def rows_of(tile: Tile) -> dict[tuple[int, int], np.ndarray]:
    """The rows of each baseline."""
    key = tile.antenna1.astype(np.int64) * len(tile.stations) + tile.antenna2
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    return {divmod(int(key[part[0]]), len(tile.stations)): part for part in np.split(order, starts[1:]) if len(part)}


def column_of(vis: np.ndarray, tile: Tile) -> dict[tuple[int, int], np.ndarray]:
    """Rows as (2, 2, time, chan) by pairs of stations' indices; NaN at times without the baseline."""
    found = {}
    for pair, rows in rows_of(tile).items():
        whole = np.full((len(tile.time), *vis.shape[1:]), np.nan, complex)
        whole[tile.time_index[rows]] = vis[rows]
        found[pair] = np.moveaxis(whole, (2, 3), (0, 1))
    return found


def column_name(source: str) -> str:
    """The column of a source's visibilities: columns have no lower case."""
    return f"DATA:{source.encode().hex()}".upper()


def input_nodes(node: Node, ifrs: Sequence, stations: Sequence, column: str = "DATA") -> Node:
    """Leaf nodes node(p, q) for the visibilities that a processor is given."""
    index = {name_of(p): i for i, p in enumerate(stations)}
    for p, q in ifrs:
        node(p, q) << Meq.Spigot(
            station_1_index=index[name_of(p)], station_2_index=index[name_of(q)], input_col=column, dims=[2, 2]
        )
    return node


class NodeProcess:
    """A processor of nodes as an ArrayProcess: `apply(vis, tile)`.

    nodes(p, q), or nodes(x, p, q) where `sources` are given; they read what `input_nodes` made of the column DATA, or
    of the sources' columns.
    """

    def __init__(self, nodes: Node, ifrs: Sequence, sources: Sequence | None = None):
        self.by_source = None
        if sources is None:
            self.parts = {None: Visibilities(nodes, ifrs)}
        else:
            self.parts = {name_of(x): Visibilities(nodes(name_of(x)), ifrs) for x in sources}

    def missing(self) -> list[str]:
        """The names of output nodes that nothing was bound to."""
        return [str(node) for part in self.parts.values() for node in part.nodes.values() if not _is_bound(node)]

    def number(self) -> int:
        return sum(len(part.nodes) for part in self.parts.values())

    def apply(self, vis: np.ndarray, tile: Tile) -> tuple[np.ndarray, None]:
        if None in self.parts:
            return self.parts[None].process(vis, tile, {"DATA": column_of(vis, tile)}), None
        names = [name_of(x) for x in tile.sources]
        columns = {column_name(x): column_of(one, tile) for x, one in zip(names, vis, strict=True)}
        for x, one in zip(names, vis, strict=True):
            self.parts[x].process(one, tile, columns)
        return vis, None


def _is_bound(node) -> bool:
    return not isinstance(node, Node) or node.initialized()
