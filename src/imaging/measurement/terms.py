"""Terms of a measurement equation, and what their modules compute: asked once, with a scope, a context and a seed."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imaging.algorithms import jones as algebra
from imaging.errors import ImagingError
from imaging.measurement import contracts, literal
from imaging.measurement.contracts import ArrayJones, ArrayProcess, ContractError, name_of
from imaging.measurement.expressions import Node
from imaging.measurement.expressions.definitions import Definition, Expression
from imaging.measurement.selection import attribute
from imaging.measurement.tiles import Tile


@dataclass(frozen=True)
class Bounds:
    """Jones matrices out of which samples are flagged when they are corrected.

    quantity: abs (each element; those off the diagonal where the term has them), diag (|J00| and |J11|) or norm
    (tr(J J^H)^1/2). low, high: None bounds nothing. mean: the mean over frequency is compared, and whole times go.
    """

    quantity: str = "abs"
    low: float | None = None
    high: float | None = None
    mean: bool = False

    def __post_init__(self):
        if self.quantity not in ("abs", "diag", "norm"):
            raise ImagingError("Unknown size of a Jones matrix.", got=self.quantity, expected="abs, diag or norm",
                               next_step="correct the bounds")  # fmt: skip

    def outside(self, jones: np.ndarray) -> np.ndarray:
        """(source, station, time, chan) of which matrices are too small or too large."""
        kind = algebra.kind_of(jones)
        if self.quantity == "norm":
            full = algebra.as_kind(jones, "full")
            size = np.sqrt((np.abs(full) ** 2).sum((-2, -1)))[..., None]
        elif kind == "full":
            size = np.abs(jones[..., [0, 1], [0, 1]] if self.quantity == "diag" else jones.reshape(*jones.shape[:4], 4))
        else:
            size = np.abs(jones.reshape(*jones.shape[:4], -1))
        if self.mean:
            size = size.mean(3, keepdims=True)
        low = False if self.low is None else size < self.low
        return (low | (False if self.high is None else size > self.high)).any(-1)


@dataclass(eq=False)
class Term:
    """One line of the equation. `modules` exclude one another: `choice` says which is used; `pointing_choice` of
    `pointing`, None for no pointing errors.

    `subset`: which sources it is for, a function of a source (sky terms; all by default). `unique`: a term for each
    "source", one for the whole "model", or the name of a tag: sources have the term of the source that it names.
    `all_stations`: the first station's term is everyone's. `skip_correct`: left alone by correct_uv_data. `bounds`:
    what is flagged there. `solvable`, and the names `solvable_sources` where only some are, are known after the module
    has computed.
    """

    label: str
    name: str
    modules: tuple
    role: str
    pointing: tuple = ()
    subset: Callable[[Any], bool] | None = None
    enabled: bool = True
    skip_correct: bool = False
    choice: int = 0
    pointing_choice: int | None = 0
    unique: str = "source"
    all_stations: bool = False
    bounds: Bounds | None = None
    solvable: bool | None = None
    solvable_sources: set = field(default_factory=set)
    inspectors: list = field(default_factory=list)
    made: list = field(default_factory=list)
    stand_ins: dict = field(default_factory=dict)

    @property
    def module(self):
        return self.modules[self.choice]

    @property
    def pointing_module(self):
        return self.pointing[self.pointing_choice] if self.pointing and self.pointing_choice is not None else None

    def applies_to(self, source) -> bool:
        return self.subset is None or bool(self.subset(source))

    def is_solvable_for(self, source) -> bool:
        return name_of(source) in self.solvable_sources or bool(self.solvable and self.applies_to(source))

    def stand_in(self, source):
        """The source whose term a source has."""
        return self.stand_ins.get(name_of(source), source)

    def share(self, sources: Sequence) -> None:
        """Find the stand-ins of sources."""
        known = {name_of(x): x for x in sources}
        for x in sources:
            if self.unique == "model":
                self.stand_ins[name_of(x)] = sources[0]
            elif self.unique != "source":
                name = attribute(x, self.unique) or name_of(x)
                if name not in known:
                    raise ImagingError(f"The {self.unique} of the source {name_of(x)} is no source of the term "
                                       f"{self.label}.", got=name, expected=", ".join(known),
                                       next_step="correct the sky model, or the choice of sources")  # fmt: skip
                self.stand_ins[name_of(x)] = known[name]


def sky_term(term: Term, jones, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
    """The term on a tile, for the sources that have it, and which these are."""
    mine = np.array([term.applies_to(x) for x in tile.sources], bool)
    sources = [x for x, one in zip(tile.sources, mine, strict=True) if one]
    if not sources:
        return np.ones((1, 1, 1, 1)), mine
    asked = {name_of(term.stand_in(x)): term.stand_in(x) for x in sources} if term.stand_ins else None
    some = tile if mine.all() and not asked else tile.with_sources(list(asked.values()) if asked else sources)
    array, has = contracts.sky_array(jones, some, term.label)
    if asked:
        place = {name: i for i, name in enumerate(asked)}
        index = np.array([place[name_of(term.stand_in(x))] for x in sources])
        if len(array) > 1:
            array = array[(np.cumsum(has) - 1)[index[has[index]]]]
        has = has[index]
    mine[mine] = has
    return array, mine


class OneStation:
    """A Jones term of nodes or callables that is the first station's for all."""

    def __init__(self, jones, first, sky: bool):
        self.jones, self.first, self.sky = jones, first, sky

    def __call__(self, *which):
        if self.sky:
            return self.jones(which[0], self.first) if len(which) > 1 else OneStation(self.jones(which[0]), self.first,
                                                                                     False)  # fmt: skip
        return self.jones(self.first)


def one_station(jones, stations: Sequence, sky: bool):
    """The first station's term for all stations."""
    if not isinstance(jones, ArrayJones):
        return OneStation(jones, stations[0], sky)

    def first(tile):
        return jones.array(tile)[:, :1][() if sky else 0]

    return ArrayJones(first, jones.kind, sources=jones.sources, name=jones.name)


class TensorJones:
    """J(p) of all sources as tensors, (source,) or (source, 2, 2): a Sky Jones good for these sources."""

    def __init__(self, tensors: Callable, sources: Sequence, label: str):
        self.tensors, self.label = tensors, label
        self.sources = {name_of(x): i for i, x in enumerate(sources)}

    def __call__(self, x, p=None):
        if p is None:
            return lambda station: self(x, station)
        index = self.sources.get(name_of(x))
        if index is None:
            return None
        tensor = self.tensors(p)
        if isinstance(tensor, Node) and not tensor.initialized():  # one for all stations
            tensor = self.tensors
        return tensor if tensor is None else _piece(tensor, index, self.label)


def _piece(tensor, index: int, label: str):
    if isinstance(tensor, Expression):
        return literal.as_node(Definition("TensorPiece", (tensor,), {"index": index, "label": label}))
    return np.asarray(tensor)[index]


@literal.node_type("TensorPiece")
def _tensor_piece(node, tile, tensor):
    label, index = node.definition.record["label"], node.definition.record["index"]
    if tensor.ndim not in (3, 5) or index >= len(tensor) or tensor.shape[1:-2] not in ((), (2, 2)):
        raise ContractError(f"The tensor of the Jones term {label} has the wrong shape.", got=tensor.shape[:-2],
                            expected="(source,) or (source, 2, 2)")  # fmt: skip
    return tensor[index]


def seeded(seed: int, label: str, what: str, module, function, /, *arguments, **keywords):
    """What a module's function returns; the random numbers of Python and numpy start from the seed and the label.

    Raises ContractError for whatever a module raises that is no ImagingError.
    """
    before, number = (random.getstate(), np.random.get_state()), zlib.crc32(label.encode()) + seed  # noqa: NPY002
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002
    try:
        return contracts.call(function, *arguments, **keywords)
    except ImagingError:
        raise
    except (Exception, SystemExit) as error:
        raise ContractError(f"{what} of {contracts.module_name(module)} failed.",
                            got=f"{type(error).__name__}: {error} ({contracts.place_of(error)})",
                            expected="nodes or arrays",
                            next_step=f"correct the module of {label}, or its options") from error  # fmt: skip
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


def checked_jones(term: Term, made, what: str = "Jones term"):
    if made is not None and not callable(made):
        pointings = what == "pointings"
        module, wanted = (term.pointing_module, "P(p) -> (dl, dm)") if pointings else (term.module, "J(p) or J(x, p)")
        raise ContractError(f"{contracts.module_name(module)} returned no {what}.",
                            got=type(made).__name__, expected=f"a callable {wanted}, or None",
                            next_step="docs/measurement.md")  # fmt: skip
    return made


def checked_process(term: Term, value, nodes: Node, ifrs, sources=None):
    """An ArrayProcess, one of the nodes that the module has bound, or None."""
    if value is None or isinstance(value, ArrayProcess) or hasattr(value, "apply"):
        return value
    made = literal.NodeProcess(nodes, ifrs, sources)
    missing = made.missing()
    if missing and len(missing) == made.number():
        raise ContractError(f"{contracts.module_name(term.module)} returned nothing that processes visibilities.",
                            got=f"{type(value).__name__}, and no node {nodes.name}(p, q) is bound",
                            expected="nodes(p, q) bound for each baseline, ArrayProcess(fn), or None",
                            next_step="docs/measurement.md")  # fmt: skip
    if missing:
        raise ContractError(f"{contracts.module_name(term.module)} leaves visibilities undefined.",
                            got=f"{len(missing)} nodes without a meaning, the first {missing[0]}",
                            expected="nodes(p, q) bound for each of ifrs", next_step="bind them with <<")  # fmt: skip
    return made
