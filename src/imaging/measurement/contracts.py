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
from typing import Any, Protocol, runtime_checkable

import numpy as np

from imaging.algorithms.jones import KINDS, as_kind
from imaging.errors import ImagingError
from imaging.measurement.tiles import Tile


class ContractError(ImagingError):
    """A module, or what it returned, is not what its contract says."""


@runtime_checkable
class Jones(Protocol):
    """One Jones matrix on a tile: (time | 1, chan | 1) and nothing (scalar), (2,) (diagonal) or (2, 2) behind."""

    def evaluate(self, tile: Tile) -> np.ndarray: ...


class StationJones(Protocol):
    """J(p) is a Jones for every station p, or None: this station has no such term."""

    def __call__(self, p: Any) -> Any: ...


class SkyJones(Protocol):
    """J(x) is a Station Jones, x a source or its name; J(x, p) is J(x)(p). None: this source has no such term."""

    def __call__(self, x: Any, p: Any = None) -> Any: ...


class StationPointings(Protocol):
    """P(p) is a real pair (dl, dm), rad: numbers, or an object with `evaluate(tile)` -> (time | 1, chan | 1, 2)."""

    def __call__(self, p: Any) -> Any: ...


class SkyComponent(Protocol):
    """A source: brightness(tile) is (time | 1, chan | 1, 2, 2) Jy, shape (ll, lm, mm) its second moments in rad^2."""

    name: str
    shape: tuple[float, float, float]

    def lmn(self, phase_centre: tuple[float, float]) -> Sequence[float]: ...
    def brightness(self, tile: Tile) -> np.ndarray: ...


class PointingModule(Protocol):
    """Returns Station Pointings, or None: no pointing errors."""

    def compute_pointings(self, node, stations=None, tags=None, inspectors=None, **kw): ...


class StationJonesModule(Protocol):
    """Returns a Station Jones, or None: no such term."""

    def compute_jones(self, Jones, stations=None, tags=None, inspectors=None, **kw): ...


class SkyJonesModule(Protocol):
    """Returns a Sky Jones good for every one of `sources`, or None. May put names into the set `solvable_sources`."""

    def compute_jones(self, Jones, sources, stations=None, pointing_offsets=None, tags=None, inspectors=None,
                      solvable_sources=None, **kw): ...  # fmt: skip


class SkyModel(Protocol):
    """source_list returns SkyComponents. It may have estimate_image_size(**kw): arcmin that hold them all."""

    def source_list(self, **kw) -> list: ...


class VisProcModule(Protocol):
    """Processes nodes(p, q) from input_nodes(p, q). None: nothing was done."""

    def process_visibilities(self, nodes, input_nodes, ifrs=None, tags=None, inspectors=None, **kw): ...


class ReversibleVisProcModule(VisProcModule, Protocol):
    """Also undoes what it does."""

    def correct_visibilities(self, nodes, input_nodes, ifrs=None, tags=None, inspectors=None, **kw): ...


class SkyVisProcModule(Protocol):
    """The same for each source: nodes(x, p, q). A reversible one has one or both of correct_visibilities, with the
    same arguments, and correct_visibilities_for_direction(nodes, input_nodes, source, ...)."""

    def process_visibilities(self, nodes, input_nodes, sources, ifrs=None, tags=None, inspectors=None, **kw): ...


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
    """Raise ContractError where a module lacks the function of its `role` (ROLES), or that lacks **kw (`strict`)."""
    for name in (*ROLES[role], *OPTIONAL.get(role, ())):
        function = getattr(module, name, None)
        if function is None and name in OPTIONAL.get(role, ()):
            continue
        if not callable(function):
            raise ContractError(f"{module_name(module)} is no {role} module.", got=f"no function {name}",
                                expected=f"{name}(…, **kw)", next_step="write it, or register the module as what it is"
                                )  # fmt: skip
        parameters = inspect.signature(function).parameters.values()
        if strict and not any(p.kind is p.VAR_KEYWORD for p in parameters):
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


def module_options(module: Any, which: str, declared: Callable[[Any, str], list] | None = None) -> list:
    """The options of a module: its own `<which>_options()` or else, and only else, those `declared` in its scope."""
    function = getattr(module, f"{which}_options", None)
    if callable(function):
        return list(function())
    return list(declared(module, which)) if declared and inspect.ismodule(module) else []


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
        value, ends = np.asarray(self.fn(tile)), KINDS.index(self.kind)
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


class _Station:
    def __init__(self, jones: ArrayJones, station: str, source: str | None = None):
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
        value = np.asarray(self.fn(tile), float)
        return value.reshape((1,) * (4 - value.ndim) + value.shape)


class _Pointing:
    def __init__(self, pointings: ArrayPointings, station):
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
        made = self.fn(vis, tile)
        made, flag = made if isinstance(made, tuple) else (made, None)
        if np.shape(made) != np.shape(vis):
            raise ContractError("A visibility processor returned the wrong shape.", got=np.shape(made),
                                expected=np.shape(vis), next_step="return an array like the one it was given"
                                )  # fmt: skip
        return np.asarray(made, complex), flag


def value(jones: Any, tile: Tile, name: str = "") -> np.ndarray:
    """One Jones on a tile: (time | 1, chan | 1) and nothing, (2,) or (2, 2)."""
    if not hasattr(jones, "evaluate"):
        constant = np.asarray(jones)
        if constant.dtype.kind in "biufc" and constant.shape in ((), (2,), (2, 2)):
            return _finite(constant[None, None], name)
        raise ContractError(f"The Jones term {name} is neither a number, an array nor evaluated on tiles.",
                            got=type(jones).__name__, expected="a number, (2,), (2, 2) or evaluate(tile)",
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
    return _stack([_or_one(jones(p), tile, f"{name}({p})") for p in tile.stations], 2)[None]


def sky_array(jones: SkyJones, tile: Tile, name: str = "") -> tuple[np.ndarray, np.ndarray]:
    """A Sky Jones on a tile: (source | 1, station | 1, time | 1, chan | 1) and its kind, and which sources have it.

    The array is good for those sources only, in the tile's order.
    """
    if isinstance(jones, ArrayJones) and jones.sources is not None:
        has = np.array([name_of(x) in jones.sources for x in tile.sources], bool)
        some = (
            tile if has.all() else tile.with_sources([x for x, there in zip(tile.sources, has, strict=True) if there])
        )
        return jones.array(some), has
    found = [[jones(x, p) for p in tile.stations] for x in tile.sources]
    has = np.array([any(_is_there(one) for one in row) for row in found], bool)
    rows = [
        _stack([_or_one(one, tile, f"{name}({name_of(x)}, {p})") for p, one in zip(tile.stations, row, strict=True)], 2)
        for x, row, there in zip(tile.sources, found, has, strict=True)
        if there
    ]
    return (_stack(rows, 3) if rows else np.ones((1, 1, 1, 1), complex)), has


def pointing_array(pointings: StationPointings | None, tile: Tile) -> np.ndarray:
    """Station Pointings on a tile: (station | 1, time | 1, chan | 1, 2), zero where there are none."""
    if pointings is None:
        return np.zeros((1, 1, 1, 2))
    if isinstance(pointings, ArrayPointings):
        return pointings.array(tile)
    each = [pointings(p) for p in tile.stations]
    made = [np.asarray(one.evaluate(tile) if hasattr(one, "evaluate") else one, float) for one in each]
    return np.stack(np.broadcast_arrays(*[one.reshape((1,) * (3 - one.ndim) + one.shape) for one in made]))


def _is_there(jones) -> bool:
    return jones is not None and (not hasattr(jones, "initialized") or jones.initialized())


def _or_one(jones, tile, name) -> np.ndarray:
    return value(jones, tile, name) if _is_there(jones) else np.ones((1, 1))


def _stack(values: list[np.ndarray], axes: int) -> np.ndarray:
    """Along a new first axis, in the largest kind among them; `axes` is what stands before the kind."""
    kind = KINDS[max(v.ndim for v in values) - axes]
    return np.stack(np.broadcast_arrays(*(as_kind(v, kind, axes) for v in values)))


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ContractError(f"The Jones term {name} is not finite.", got=f"{array[where]} at {where}",
                            expected="finite numbers", next_step="look for a division by zero in the module"
                            )  # fmt: skip
    return array
