"""The values of nodes on a tile of time and frequency, each node computed once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from imaging.errors import ImagingError
from imaging.measurement.expressions.errors import (
    DivisionByZeroError,
    ExpressionError,
    UnknownNodeTypeError,
)
from imaging.measurement.expressions.nodes import Node, in_order

ENDS = ("time0", "time1", "freq0", "freq1")  # constants that are of the observation, which is known when it is read


@dataclass
class Tile:
    """The cells on which nodes are evaluated.

    time (T,) MJD s (UTC), frequency (F,) Hz : cell centres. time_width (T,) s, frequency_width (F,) Hz.
    columns : by name, then by (p, q) station indices: UVW (3, T) in m, visibilities (2, 2, T, F).
    seed, number : what random nodes start from; `number` is the tile's place in the observation.
    origin : what the cells are of, for nodes of arrays.
    values : by node name, (T or 1, F or 1): what parameters are instead of their first values, and the ENDS.
    l, m (T,) : the direction of each cell, which Grid(axis="l") and Grid(axis="m") are; see `over`.
    repeats : how many cells each time of `origin` is here.
    """

    time: np.ndarray
    frequency: np.ndarray
    time_width: np.ndarray | None = None
    frequency_width: np.ndarray | None = None
    columns: Mapping[str, Mapping[tuple[int, int], np.ndarray]] = field(default_factory=dict)
    seed: int = 0
    number: int = 0
    origin: object = None
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    l: np.ndarray | None = None
    m: np.ndarray | None = None
    repeats: int = 1

    def __post_init__(self):
        self.time, self.frequency = np.atleast_1d(self.time), np.atleast_1d(self.frequency)
        self.time_width = _widths(self.time, self.time_width)
        self.frequency_width = _widths(self.frequency, self.frequency_width)

    def over(self, l: np.ndarray, m: np.ndarray) -> Tile:
        """This tile with directions (P,) at each time: its times, each P times over, are cells (T P,)."""
        number = len(l)
        columns = {name: Repeated(pairs, number) for name, pairs in self.columns.items()}
        values = {name: repeated(np.asarray(value), number) for name, value in self.values.items()}
        return replace(
            self, time=np.repeat(self.time, number), time_width=np.repeat(self.time_width, number), columns=columns,
            values=values, l=np.tile(l, len(self.time)), m=np.tile(m, len(self.time)),
            repeats=number,
        )  # fmt: skip


class Repeated(Mapping):
    """A column with each time `number` times over."""

    def __init__(self, pairs: Mapping, number: int):
        self.pairs, self.number = pairs, number

    def __getitem__(self, pair):
        value = np.asarray(self.pairs[pair])
        return repeated(value, self.number, -1 if value.ndim == 2 else -2)

    def __iter__(self):
        return iter(self.pairs)

    def __len__(self):
        return len(self.pairs)


def repeated(value: np.ndarray, number: int, axis: int = -2) -> np.ndarray:
    """Along its axis of times, if it has one that is longer than one."""
    there = -value.ndim <= axis < value.ndim
    return np.repeat(value, number, axis) if number > 1 and there and value.shape[axis] > 1 else value


def _widths(centres, widths):
    if widths is None:
        widths = np.gradient(centres) if len(centres) > 1 else 1.0
    return np.broadcast_to(np.abs(widths), centres.shape)


@dataclass(frozen=True)
class NodeType:
    """How nodes of a class are computed. varies : the value may be another one on another tile."""

    compute: Callable
    varies: bool = False
    quiet: bool = False


NODE_TYPES: dict[str, NodeType] = {}


def node_type(*names, varies=False, quiet=False):
    """Register `compute(node, tile, *children) -> array (dims..., T|1, F|1)` for nodes of these classes."""

    def register(compute):
        for name in names:
            NODE_TYPES[name] = NodeType(compute, varies, quiet)
        return compute

    return register


class Evaluator:
    """Computes nodes tile by tile; what depends on no tile is computed once for all of them.

    Raises UndefinedNodeError and UnknownNodeTypeError at once. `singular` counts, by node, the cells whose matrix had
    no inverse; these cells are NaN.
    """

    def __init__(self, roots):
        from imaging.measurement.expressions import node_types, python_nodes, sky_types  # noqa: F401  they register

        self.roots = list(roots)
        self.nodes = in_order(self.roots)
        self.singular: dict[str, int] = {}
        self._constant: dict[Node, np.ndarray] = {}
        self._types = [_type_of(node) for node in self.nodes]
        varying = set()
        for node, kind in zip(self.nodes, self._types, strict=True):
            ends = node.name in ENDS
            if kind.varies or ends or any(child in varying for child in node.definition.children):
                varying.add(node)
        self._varying = varying
        self._spent = _last_uses(self.nodes, {*self.roots} | {node for node in self.nodes if node not in varying})

    def __call__(self, tile: Tile) -> list[np.ndarray]:
        """The roots' values, (dims..., T or 1, F or 1) each."""
        values = dict(self._constant)
        values[None] = None
        with np.errstate(divide="raise", invalid="raise", over="ignore", under="ignore"):
            for node, kind, spent in zip(self.nodes, self._types, self._spent, strict=True):
                if node not in values:
                    children = [values[child] for child in node.definition.children]
                    value = values[node] = self._value(node, kind, tile, children)
                    if node not in self._varying:
                        self._constant[node] = value
                for child in spent:
                    del values[child]
        return [values[root] for root in self.roots]

    def _value(self, node, kind, tile, children):
        try:
            if kind.quiet:
                with np.errstate(divide="ignore", invalid="ignore"):
                    value = np.asarray(kind.compute(node, tile, *children))
            else:
                value = np.asarray(kind.compute(node, tile, *children))
        except FloatingPointError as error:
            raise DivisionByZeroError(
                f"The node {node.name} divides by zero or is not a number.", got=f"{error}{_place(node)}",
                next_step="Keep its arguments off that value, for example with Meq.Max(x, 1e-30).",
            ) from None  # fmt: skip
        except ImagingError:
            raise
        except Exception as error:
            shapes = ", ".join("none" if child is None else str(child.shape[:-2]) for child in children)
            raise ExpressionError(
                f"The node {node.name} of the class {node.classname} could not be computed.",
                got=f"{type(error).__name__}: {error}; children of dimensions [{shapes}]{_place(node)}",
            ) from error
        if node.definition.class_name == "MatrixInvert22" and (bad := int(np.isnan(value[0, 0]).sum())):
            self.singular[node.name] = self.singular.get(node.name, 0) + bad
        if value.ndim == 3 and len(value) == 1:  # a vector of one is a scalar
            return value[0]
        return value if value.ndim >= 2 else value.reshape(1, 1)


def _last_uses(nodes, kept) -> list[tuple]:
    """For each node the children that no later one uses, but for those that are `kept`."""
    seen, spent = set(kept), []
    for node in reversed(nodes):
        last = {child for child in node.definition.children if child is not None} - seen
        seen |= last
        spent.append(tuple(last))
    return spent[::-1]


def evaluate(nodes, tile: Tile):
    """The value of a node, or of each of a list of nodes, on one tile."""
    if isinstance(nodes, Node):
        return Evaluator([nodes])(tile)[0]
    return Evaluator(nodes)(tile)


def _type_of(node):
    try:
        return NODE_TYPES[node.classname]
    except KeyError:
        raise UnknownNodeTypeError(
            f"The node {node.name} is of the class {node.classname}, which is not known here.",
            got=f"Meq.{node.classname}{_place(node)}",
            expected=f"one of the known classes; alike: {difflib.get_close_matches(node.classname, NODE_TYPES) or '-'}",
        ) from None


def _place(node):
    return f" ({node.place})" if node.place else ""
