"""The contracts of modules as types, after MeqTrees' "standard contracts" (Smirnov); `contracts` checks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from imaging.measurement.tiles import Tile


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
