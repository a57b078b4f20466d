"""Sources as both dialects know them, and the observation as Meow's Context.

Modules that make nodes ask a source for its direction's nodes; arrays want `lmn`, `brightness` and `shape`.
"""

from __future__ import annotations

import sys
import types
from contextlib import contextmanager

import numpy as np

from imaging.measurement import literal
from imaging.measurement.contracts import ContractError
from imaging.measurement.expressions import Meq, NodeScope
from imaging.measurement.expressions import Tile as NodeTile
from imaging.measurement.expressions.definitions import NUMBERS
from imaging.measurement.meow.sources import SkyComponent
from imaging.measurement.tiles import Observation, Tile
from imaging.units import SPEED_OF_LIGHT


class Located(SkyComponent):
    """A source of arrays for modules that make nodes: all that it is, a `direction` and its nodes."""

    def __init__(self, source, ns: NodeScope, observation: Observation):
        self._source, self._ns, self._observation, self._direction = source, ns, observation, None

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._source, name)

    def get_attr(self, name, default=None):
        return self._source.get_attr(name, default)

    def set_attr(self, name, value):
        self._source.set_attr(name, value)

    def lmn(self, about=None):
        """Numbers about a phase centre (ra, dec), or the node about a direction of Meow's."""
        nodes = about is None or hasattr(about, "radec")
        return self.direction.lmn(about) if nodes else self._source.lmn(about)

    @property
    def direction(self):
        if self._direction is None:
            l, m, _ = self._source.lmn(self._observation.phase_centre)
            with meow_context(self._ns, self._observation):
                self._direction = _meow().LMDirection(self._ns, self._source.name, float(l), float(m))
        return self._direction


class NodeSource:
    """A point or a Gaussian of nodes (Meow's) for arrays: what `protocols.SkyComponent` says.

    Where its direction changes with time (`moves`) its direction cosines are those of the middle of a tile, and
    `drift` are the phases beside it.
    """

    def __init__(self, component, ns: NodeScope, observation: Observation):
        self.original, self.name = component, component.name
        static = component.direction.lmn_static()
        self.static_lmn = None if static is None else tuple(map(float, static))
        self.moves, self._track = static is None, component.direction.lmn() if static is None else None
        self._read(component, observation)

    def _read(self, component, observation: Observation) -> None:
        light = component.brightness()
        self._light = np.asarray(light) if isinstance(light, NUMBERS) else literal.as_node(light)
        self.shape = _moments(component)

    def get_attr(self, name, default=None):
        return self.original.get_attr(name, default)

    def get_value(self, name, default=None):
        return self.original.get_value(name, default)

    def brightness(self, tile: Tile) -> np.ndarray:
        """(time | 1, chan | 1, 2, 2) Jy."""
        if isinstance(self._light, np.ndarray):
            return (self._light * np.eye(2))[None, None]
        value = literal.evaluated([self._light], literal.node_tile(tile))[0]
        if value.ndim == 2:
            return value[..., None, None] * np.eye(2)
        return np.moveaxis(value, (0, 1), (2, 3))

    def track(self, tile: Tile) -> np.ndarray:
        """(time | 1, chan | 1, 3)."""
        return np.moveaxis(literal.evaluated([literal.as_node(self._track)], literal.node_tile(tile))[0], 0, -1)

    def mean_lmn(self, tile: Tile):
        if self.static_lmn is not None:
            return self.static_lmn
        l, m = self.track(tile)[..., :2].mean((0, 1))
        return np.array([l, m, np.sqrt(1 - l * l - m * m)])

    def drift(self, tile: Tile, lmn) -> np.ndarray:
        """What the fringe lacks toward `lmn`, as a scalar Jones term: (station, time, chan)."""
        if tile.stations_uvw is None:
            raise ContractError(f"The source {self.name} moves, and the stations have no coordinates.",
                                got="uvw that are no differences of stations'", expected="uvw of stations",
                                next_step="take it out of the sky model")  # fmt: skip
        apart = self.track(tile) - lmn
        path = np.einsum("tac,tfc->atf", tile.stations_uvw, np.broadcast_to(apart, (len(tile.time), *apart.shape[1:])))
        return np.exp(2j * np.pi / SPEED_OF_LIGHT * path * tile.freq)


class VisibilitySource(NodeSource):
    """Any other source of nodes, by its visibilities on each baseline: disks, patches, sources that are corrupted."""

    def _read(self, component, observation: Observation) -> None:
        nodes, self.moves = component.visibilities(), False

        def either(p, q):
            if nodes(p, q).initialized():
                return nodes(p, q)
            if nodes(q, p).initialized():
                return Meq.ConjTranspose(nodes(q, p))
            raise ContractError(f"The source {self.name} has no visibilities of the baseline {p}-{q}.",
                                got=type(component).__name__, expected="a node for each baseline",
                                next_step="leave autocorrelations out, or the source")  # fmt: skip

        self._visibilities = literal.Visibilities(either, observation.ifrs())

    def degridded(self, tile: Tile, threads: int = 1) -> np.ndarray:
        """(row, chan, 2, 2) Jy, fringes included."""
        return self._visibilities.evaluate(tile)[0]


COHERENCIES = ("PointSource", "GaussianSource")  # those of which a brightness and a shape are all there is


def _is_plain(component) -> bool:
    kind = type(component)
    made = (getattr(kind, name, None) for name in ("coherency", "visibilities"))
    owners = [getattr(one, "__qualname__", "").split(".")[0] for one in made]
    return owners[0] in COHERENCIES and owners[1] in (*COHERENCIES, "SkyComponent")


def for_arrays(source, ns: NodeScope, observation: Observation):
    """The source itself, or a NodeSource of Meow's."""
    if isinstance(source, (Located, NodeSource)):
        return source
    if hasattr(source, "array_source"):  # an image of our Meow's
        return source.array_source()
    if not hasattr(source, "direction"):
        missing = [name for name in ("name", "lmn", "brightness", "shape") if not hasattr(source, name)]
        if missing:
            raise ContractError("A sky model has something that is no source.", got=f"{type(source).__name__} without "
                                + ", ".join(missing), expected="sources of Meow, or name, lmn, brightness and shape",
                                next_step="docs/measurement.md")  # fmt: skip
        return source
    return (NodeSource if _is_plain(source) else VisibilitySource)(source, ns, observation)


def for_nodes(source, ns: NodeScope, observation: Observation):
    """The source itself where it has a direction, or a Located one."""
    return source if hasattr(source, "direction") else Located(source, ns, observation)


def _moments(component) -> tuple[float, float, float]:
    """Second moments (ll, lm, mm), rad^2, of Meow's FWHM sin(PA), FWHM cos(PA), minor/major; 0 of a point."""
    if not hasattr(component, "shape_static"):
        return 0.0, 0.0, 0.0
    known = component.shape_static()
    if not known:
        nodes = [literal.as_node(node) for node in component.shape()]
        known = [float(v.item()) for v in literal.evaluated(nodes, NodeTile([0.0], [1.0]))]
    along_l, along_m, ratio = known
    unit = 1 / (8 * np.log(2))
    across = ratio**2 * unit
    return (
        float(along_l**2 * unit + along_m**2 * across), float(along_l * along_m * (unit - across)),
        float(along_m**2 * unit + along_l**2 * across),
    )  # fmt: skip


def _meow():
    """The Meow that modules import, or ours."""
    if "Meow" in sys.modules:
        return sys.modules["Meow"]
    from imaging.measurement.meow import context, directions, observation

    return types.SimpleNamespace(
        Context=context, LMDirection=directions.LMDirection, IfrArray=observation.IfrArray,
        Observation=observation.Observation,
    )  # fmt: skip


@contextmanager
def meow_context(ns: NodeScope, observation: Observation):
    """While it lasts Meow's Context is this observation's, in this scope."""
    if observation is None or not isinstance(ns, NodeScope):
        yield
        return
    package = _meow()
    context = package.Context
    before = context.array, context.observation
    if None in before or before[0].ns._nodes is not ns._nodes:
        context.set(*_context_of(package, ns, observation))
    try:
        yield
    finally:
        context.array, context.observation = before


def _context_of(package, ns: NodeScope, observation: Observation):
    known = ns._evaluators.get(id(package))
    if known is None:
        ends = ns._evaluators.setdefault(literal.ENDS, {})
        for name, numbers in (("time", observation.time), ("freq", observation.freq)):
            ends |= {name + "0": float(np.min(numbers)), name + "1": float(np.max(numbers))}
        circular, positions = observation.feeds == "circular", observation.positions
        known = ns._evaluators[id(package)] = (
            package.IfrArray(ns, list(observation.stations), ms_uvw=True, positions=positions),
            package.Observation(ns, circular=circular, linear=not circular, phase_centre=observation.phase_centre),
        )  # fmt: skip
    return known
