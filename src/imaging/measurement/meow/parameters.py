"""Values with names that may be numbers, parameters to be solved for, or nodes."""

from __future__ import annotations

import numpy as np

from imaging.measurement.expressions.definitions import NUMBERS, Definition, Expression, Meq, NodeTags
from imaging.measurement.expressions.nodes import Node

__all__ = ["Parameterization", "Parm", "create_polc", "resolve_parameter"]


class Parm:
    """A parameter that could be solved for: a first value, tags, and over what it is constant (`tiling`)."""

    def __init__(self, value=0, tags=(), tiling=None, time_deg=0, freq_deg=0, **options):
        self.value, self.tags, self.options = value, NodeTags(tags), options
        if tiling is not None:
            self.options["tiling"] = tiling if isinstance(tiling, dict) else {"time": tiling}
        if time_deg or freq_deg:
            self.options["shape"] = [time_deg + 1, freq_deg + 1]

    def new(self, value):
        other = Parm(value, self.tags)
        other.options = dict(self.options)
        return other

    def make(self, tags=()) -> Definition:
        return Meq.Parm(self.value, tags=self.tags + tags, **self.options)


def create_polc(c00=0.0, deg_f=0, deg_t=0):
    """The coefficients of a polynomial, all zero but the first."""
    coefficients = np.zeros((deg_t + 1, deg_f + 1))
    coefficients[0, 0] = c00
    return {"coeff": coefficients}


def is_number(value) -> bool:
    return isinstance(value, NUMBERS)


def resolve_parameter(name, node, value, tags=(), solvable=True, solvables=None) -> Node:
    """The node of a value. Parameters and numbers are bound to `node`; a node stands for itself."""
    if isinstance(value, Node):
        return value
    if node.initialized():
        return node
    tags = NodeTags(tags) + name
    if isinstance(value, Parm):
        node << value.make(tags + ("solvable" if solvable else ()))
        if solvable and solvables is not None:
            solvables.append(node)
    elif isinstance(value, Expression):
        node << value
    else:
        node << Meq.Constant(value, tags=tags)
    return node


class Parameterization:
    """Something with a name, nodes of its own (`ns`, qualified by the name) and named values."""

    def __init__(self, ns, name, quals=(), kwquals=None):
        self.name, self.ns0 = name, ns
        quals = ([name] if name else []) + list(quals)
        self.ns = ns.QualScope(*quals, **(kwquals or {})) if quals or kwquals else ns
        self._parmdefs, self._solvables = {}, []

    def _add_parm(self, name, value, tags=(), solvable=True):
        self._parmdefs[name] = value, tags, solvable

    def _parm(self, name, value=None, tags=(), nodename=None, solvable=True) -> Node:
        if value is None:
            value, tags, solvable = self._parmdefs[name]
        return resolve_parameter(name, self.ns[nodename or name], value, tags, solvable, self._solvables)

    def _is_constant(self, name) -> bool:
        return is_number(self._parmdefs[name][0])

    def _get_constant(self, name):
        """The number under a name, or None if it is not one."""
        return self._parmdefs[name][0] if self._is_constant(name) else None

    def get_value(self, name, default=None):
        """The number under a name, a parameter's first one included."""
        value = self._parmdefs.get(name, (default,))[0]
        value = value.value if isinstance(value, Parm) else value
        return value if is_number(value) else default

    def get_solvables(self):
        return list(self._solvables)
