"""The contracts of modules, after MeqTrees' "standard contracts" (Smirnov), and what is checked when one is registered.

A module is a Python module or any object. It may have `solvable` (True where it is missing; asked after it has
computed), `compile_options()` and `runtime_options()` (no arguments, lists). Where one of these functions is there,
options declared in the module's own scope are not looked for. All functions of modules end with **kw.

Jones terms are values on a tile of time and frequency: a number, an array constant in both (nothing, (2,) or (2, 2)),
or an object with `evaluate(tile)`, which gives an array (time | 1, chan | 1) with nothing, (2,) or (2, 2) behind.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from imaging.algorithms.jones import KINDS, as_kind
from imaging.errors import ImagingError
from imaging.log import logger
from imaging.measurement.expressions.definitions import Definition, Expression
from imaging.measurement.expressions.options import declared
from imaging.measurement.protocols import SkyJones, StationJones, StationPointings
from imaging.measurement.tiles import Tile


class ContractError(ImagingError):
    """A module, or what it returned, is not what its contract says."""


ROLES = {
    "pointing": ("compute_pointings",),
    "station jones": ("compute_jones",),
    "sky jones": ("compute_jones",),
    "sky model": ("source_list",),
    "visibilities": ("process_visibilities",),
    "sky visibilities": ("process_visibilities",),
}
OPTIONAL = {
    "sky model": ("estimate_image_size",),
    "visibilities": ("correct_visibilities",),
    "sky visibilities": ("correct_visibilities", "correct_visibilities_for_direction"),
}


def module_name(module: Any) -> str:
    return getattr(module, "__name__", None) or type(module).__name__


def check_module(module: Any, role: str, strict: bool = True) -> None:
    """Raise ContractError where a module lacks the function of its `role` (ROLES), or that lacks **kw (`strict`).

    Not strictly there is a warning, and such a function is given those keywords that it names.
    """
    for name in (*ROLES[role], *OPTIONAL.get(role, ())):
        function = getattr(module, name, None)
        if function is None and name in OPTIONAL.get(role, ()):
            continue
        if not callable(function):
            raise ContractError(f"{module_name(module)} is no {role} module.", got=f"no function {name}",
                                expected=f"{name}(…, **kw)", next_step="write it, or register the module as what it is"
                                )  # fmt: skip
        if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
            continue
        if not strict:
            logger.warning("%s of %s does not end with **kw: it is given what it names", name, module_name(module))
        else:
            raise ContractError(f"{name} of {module_name(module)} does not take further keyword arguments.",
                                got=f"{name}{inspect.signature(function)}", expected=f"{name}(…, **kw)",
                                next_step="end its arguments with **kw, or make the MeqMaker with strict=False"
                                )  # fmt: skip


def call(function: Callable, /, *arguments, **keywords) -> Any:
    """Call it with the keywords that it takes: all of them where it has **kw."""
    parameters = inspect.signature(function).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        keywords = {name: value for name, value in keywords.items() if name in parameters}
    return function(*arguments, **keywords)


def module_options(module: Any, which: str) -> list:
    """The options of a module: its own `<which>_options()` or else, and only else, those declared in its file."""
    function = getattr(module, f"{which}_options", None)
    if callable(function):
        return list(function())
    return declared(module, which == "runtime") if inspect.ismodule(module) else []


def is_solvable(module: Any) -> bool:
    """Whether a module may hold solvable parameters; to be asked after it has computed."""
    return bool(getattr(module, "solvable", True))


def name_of(x: Any) -> str:
    return str(getattr(x, "name", x))


class ArrayJones:
    """A Jones term as one function of arrays: a Station Jones, or a Sky Jones where `sources` are given.

    fn(tile) returns an array over the tile's (source, station, time, chan), without the first axis for a Station
    Jones; each may be 1 or absent from the left, as numpy broadcasts. By `kind` there follow: scalar nothing,
    diagonal (2,), full (2, 2). The tile holds whatever sources and stations are asked for.
    """

    def __init__(self, fn: Callable[[Tile], Any], kind: str, sources: Sequence | None = None, name: str = ""):
        if kind not in KINDS:
            raise ContractError("Unknown kind of Jones matrices.", got=kind, expected=", ".join(KINDS))
        self.fn, self.kind, self.name = fn, kind, name or getattr(fn, "__name__", "")
        self.sources = None if sources is None else frozenset(map(name_of, sources))
        self._made: dict = {}

    def __call__(self, *which):
        if len(which) > 1:
            station = self(which[0])
            return None if station is None else station(which[1])
        key = name_of(which[0])
        if self.sources is not None and key not in self.sources:
            return None
        if key not in self._made:
            self._made[key] = _Station(self, key) if self.sources is None else _Direction(self, key)
        return self._made[key]

    def array(self, tile: Tile) -> np.ndarray:
        """All of the tile: (source | 1, station | 1, time | 1, chan | 1) and what the kind has behind."""
        value, ends = np.asarray(called(self.fn, f"The Jones term {self.name}", tile)), KINDS.index(self.kind)
        axes, shape = value.ndim - ends, tile.shape if self.sources is not None else (1, *tile.shape[1:])
        wanted = "(source, station, time, chan)" if self.sources is not None else "(station, time, chan)"
        fits = 0 <= axes <= len(shape) and value.shape[axes:] == (2,) * ends
        if fits:
            value = value.reshape((1,) * (4 - axes) + value.shape)
            fits = all(have in (1, want) for have, want in zip(value.shape, shape, strict=False))
        if not fits or value.dtype.kind not in "biufc":
            raise ContractError(f"The Jones term {self.name} returned the wrong shape.",
                                got=f"{value.shape} of {value.dtype}",
                                expected=f"{wanted} {shape[4 - len(shape):]} or 1, and {(2,) * ends} for {self.kind}",
                                next_step="docs/measurement.md has examples")  # fmt: skip
        return _finite(value, self.name)


class _Leaf(Definition):
    """One station's part of an array term: evaluated on tiles, and a node for the arithmetic of other modules."""

    def __init__(self, vector: bool):
        super().__init__("ArrayTerm", record={"leaf": self, "vector": vector})


class _Station(_Leaf):
    def __init__(self, jones: ArrayJones, station: str, source: str | None = None):
        super().__init__(vector=False)
        self.jones, self.station, self.source = jones, station, source

    def evaluate(self, tile: Tile) -> np.ndarray:
        if self.source is not None:
            tile = tile.with_sources([x for x in tile.sources if name_of(x) == self.source])
        value = self.jones.array(tile)[0]
        return value[[name_of(p) for p in tile.stations].index(self.station) if value.shape[0] > 1 else 0]


class _Direction:
    def __init__(self, jones: ArrayJones, source: str):
        self.jones, self.source, self._made = jones, source, {}

    def __call__(self, p):
        key = name_of(p)
        if key not in self._made:
            self._made[key] = _Station(self.jones, key, self.source)
        return self._made[key]


class ArrayPointings:
    """Station Pointings as one function: fn(tile) -> (station | 1, time | 1, chan | 1, 2), dl and dm in rad."""

    def __init__(self, fn: Callable[[Tile], Any]):
        self.fn = fn

    def __call__(self, p):
        return _Pointing(self, p)

    def array(self, tile: Tile) -> np.ndarray:
        value = np.asarray(called(self.fn, "A pointing module's function", tile), float)
        return value.reshape((1,) * (4 - value.ndim) + value.shape)


class _Pointing(_Leaf):
    def __init__(self, pointings: ArrayPointings, station):
        super().__init__(vector=True)
        self.pointings, self.station = pointings, station

    def evaluate(self, tile: Tile) -> np.ndarray:
        value = self.pointings.array(tile)
        return value[[name_of(p) for p in tile.stations].index(name_of(self.station)) if len(value) > 1 else 0]


class ArrayProcess:
    """What a visibility processing module of the array dialect returns: fn(vis, tile) -> vis, or (vis, flag).

    vis (row, chan, 2, 2) complex128, the callee's to write to; for a sky module (source, row, chan, 2, 2) of the tile's
    sources. flag (row, chan) bool. To correct for a direction: one source, no axis of sources.
    """

    def __init__(self, fn: Callable[[np.ndarray, Tile], Any]):
        self.fn = fn

    def apply(self, vis: np.ndarray, tile: Tile) -> tuple[np.ndarray, np.ndarray | None]:
        before = np.isfinite(vis)
        made = called(self.fn, "A visibility processor", vis, tile)
        made, flag = made if isinstance(made, tuple) else (made, None)
        if np.shape(made) != np.shape(vis):
            raise ContractError("A visibility processor returned the wrong shape.", got=np.shape(made),
                                expected=np.shape(vis), next_step="return an array like the one it was given"
                                )  # fmt: skip
        made = np.asarray(made, complex)
        bad = before & ~np.isfinite(made)
        if bad.any():
            raise ContractError("A visibility processor made numbers that are not finite.",
                                got=f"{bad.sum()} of {bad.size}, from finite ones", expected="finite numbers; flags for"
                                " what cannot be told", next_step="correct its module, or its options")  # fmt: skip
        return made, flag


def called(function: Callable, what: str, *arguments) -> Any:
    """What a module's function returns. Raises ContractError, with file and line, for whatever it raises."""
    try:
        return function(*arguments)
    except ImagingError:
        raise
    except (Exception, SystemExit) as error:
        raise ContractError(f"{what} failed.", got=f"{type(error).__name__}: {error} ({place_of(error)})",
                            expected="an array", next_step="correct its module, or its options") from error  # fmt: skip


def place_of(error: BaseException) -> str:
    """The file and the line in which an error came up."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def value(jones: Any, tile: Tile, name: str = "") -> np.ndarray:
    """One Jones on a tile: (time | 1, chan | 1) and nothing, (2,) or (2, 2)."""
    return _values([jones], [name], tile)[0]


def _values(terms: Sequence, names: Sequence[str], tile: Tile) -> list[np.ndarray]:
    """Each on the tile; those that are nodes all at once. None and nodes that nothing was bound to are the identity."""
    made: list = [None] * len(terms)
    nodes = []
    for i, one in enumerate(terms):
        if not _is_there(one):
            made[i] = _ONE
        elif isinstance(one, Expression) and not hasattr(one, "evaluate"):
            nodes.append(i)
        else:
            made[i] = made[i - 1] if i and one is terms[i - 1] else _value(one, tile, names[i])
    if nodes:
        from imaging.measurement import literal

        found = literal.jones_values([terms[i] for i in nodes], [names[i] for i in nodes], tile)
        last = None
        for i, array in zip(nodes, found, strict=True):
            made[i] = array if array is last else _finite(array, names[i])
            last = array
    return made


def _value(jones: Any, tile: Tile, name: str) -> np.ndarray:
    if not hasattr(jones, "evaluate"):
        constant = np.asarray(jones)
        if constant.dtype.kind in "biufc" and constant.shape in ((), (2,), (2, 2)):
            return _finite(constant[None, None], name)
        raise ContractError(f"The Jones term {name} is neither a number, an array, a node nor evaluated on tiles.",
                            got=type(jones).__name__, expected="a number, (2,), (2, 2), a node or evaluate(tile)",
                            next_step="docs/measurement.md has examples")  # fmt: skip
    made = np.asarray(jones.evaluate(tile))
    if made.ndim not in (2, 3, 4) or made.shape[2:] not in ((), (2,), (2, 2)):
        raise ContractError(f"The Jones term {name} has the wrong shape.", got=made.shape,
                            expected="(time, chan) and nothing, (2,) or (2, 2)")  # fmt: skip
    return _finite(made, name)


def station_array(jones: StationJones, tile: Tile, name: str = "") -> np.ndarray:
    """A Station Jones on a tile, of either dialect: (1, station | 1, time | 1, chan | 1) and what the kind has."""
    if isinstance(jones, ArrayJones):
        return jones.array(tile)
    each = [jones(p) for p in tile.stations]
    if not any(map(_is_there, each)):
        raise ContractError(f"The Jones term {name} is there for no station.", got="none of its nodes is defined",
                            expected="J(p) for each station", next_step="bind them, or return None: no such term"
                            )  # fmt: skip
    return _stacked([_values(each, [f"{name}({p})" for p in tile.stations], tile)])


def sky_array(jones: SkyJones, tile: Tile, name: str = "") -> tuple[np.ndarray, np.ndarray]:
    """A Sky Jones on a tile: (source | 1, station | 1, time | 1, chan | 1) and its kind, and which sources have it.

    The array is good for those sources only, in the tile's order.
    """
    if isinstance(jones, ArrayJones) and jones.sources is not None:
        has = np.array([name_of(x) in jones.sources for x in tile.sources], bool)
        if not has.any():
            return np.ones((1, 1, 1, 1)), has
        some = (
            tile if has.all() else tile.with_sources([x for x, there in zip(tile.sources, has, strict=True) if there])
        )
        return jones.array(some), has
    found = [[jones(x, p) for p in tile.stations] for x in tile.sources]
    has = np.array([any(map(_is_there, row)) for row in found], bool)
    there = [(x, row) for x, row, one in zip(tile.sources, found, has, strict=True) if one]
    if not there:
        return np.ones((1, 1, 1, 1)), has
    names = [f"{name}({name_of(x)}, {p})" for x, _ in there for p in tile.stations]
    values, number = _values([one for _, row in there for one in row], names, tile), len(tile.stations)
    return _stacked([values[i : i + number] for i in range(0, len(values), number)]), has


def pointing_array(pointings: StationPointings | None, tile: Tile) -> np.ndarray:
    """Station Pointings on a tile: (station | 1, time | 1, chan | 1, 2), zero where there are none."""
    if pointings is None:
        return np.zeros((1, 1, 1, 2))
    if isinstance(pointings, ArrayPointings):
        return pointings.array(tile)
    each = [pointings(p) for p in tile.stations]
    if all(isinstance(one, Expression) and not hasattr(one, "evaluate") for one in each):
        from imaging.measurement import literal

        made = [np.moveaxis(one, 0, -1) for one in literal.evaluated(each, literal.node_tile(tile))]
    else:
        made = [np.asarray(one.evaluate(tile) if hasattr(one, "evaluate") else one, float) for one in each]
    if any(one.shape[-1:] != (2,) for one in made):
        raise ContractError("Pointings are no pairs (dl, dm).", got=[one.shape for one in made],
                            expected="(2,) behind time and frequency", next_step="return Station Pointings"
                            )  # fmt: skip
    return np.stack(np.broadcast_arrays(*[one.reshape((1,) * (3 - one.ndim) + one.shape) for one in made]))


_ONE = np.ones((1, 1))


def _is_there(jones) -> bool:
    return jones is not None and (not hasattr(jones, "initialized") or jones.initialized())


def _stacked(rows: list[list[np.ndarray]]) -> np.ndarray:
    """(source, station) lists of values, in the largest kind of them; an axis is 1 where one array is all along it."""
    if all(one is row[0] for row in rows for one in row):
        rows = [row[:1] for row in rows]
    if all(one is first for row in rows for one, first in zip(row, rows[0], strict=True)):
        rows = rows[:1]
    kind = KINDS[max(one.ndim for row in rows for one in row) - 2]
    cells = [max(one.shape[axis] for row in rows for one in row) for axis in (0, 1)]
    complex_ = any(np.iscomplexobj(one) for row in rows for one in row)
    ends = (2,) * KINDS.index(kind)
    whole = np.empty((len(rows), len(rows[0]), *cells, *ends), complex if complex_ else float)
    for s, row in enumerate(rows):
        for p, one in enumerate(row):
            whole[s, p] = one if one.ndim - 2 == len(ends) else as_kind(one, kind, 2).astype(whole.dtype)
    return whole


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        fine = np.isfinite(array.sum())  # half the time of looking at each
    if not fine and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ContractError(f"The Jones term {name} is not finite.", got=f"{array[where]} at {where}",
                            expected="finite numbers", next_step="look for a division by zero in the module"
                            )  # fmt: skip
    return array
