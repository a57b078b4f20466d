"""The names under which modules written for MeqTrees import what they need.

`install()` puts packages called Timba and Kittens into sys.modules that are made of `imaging.measurement.expressions`,
and Meow, made of `imaging.measurement.meow`, where none can be imported or ours is asked for. Nothing is installed by
an import of this file, and a real Timba that was imported before is left alone.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import os
import re
import sys
import types

import numpy as np

from imaging.errors import ImagingError
from imaging.measurement import expressions
from imaging.measurement.expressions import nodes, options, python_nodes
from imaging.measurement.expressions.definitions import Definition, record


class Hiid(str):
    """A dotted name."""

    __slots__ = ()


class Verbosity:
    """Messages of modules, which go nowhere unless the level is raised."""

    def __init__(self, level=0, *_, name="", **__):
        self.level, self.verbosity_name = level, name

    def dprint(self, level, *words):
        if level <= self.level:
            print(*words)

    def dprintf(self, level, text, *values):
        self.dprint(level, text % values if values else text)

    def get_verbose(self):
        return self.level

    def set_verbose(self, level):
        self.level = level

    verbose = get_verbose


def curry(function, *args, **kw):
    """`function` with its first arguments given."""
    return lambda *more, **others: function(*args, *more, **{**kw, **others})


def _polc(coeff=0.0, shape=None, offset=None, scale=None, domain=None, **_):
    """A polynomial in time and frequency: sum of coeff[i, j] ((t - t0)/ts)^i ((f - f0)/fs)^j."""
    pairs = (0.0 if offset is None else offset), (1.0 if scale is None else scale)
    offset, scale = (tuple(np.broadcast_to(pair, 2).tolist()) for pair in pairs)
    return record(coeff=np.asarray(coeff, float), offset=offset, scale=scale)


AXES = ("time", "freq", "l", "m")


def _axis(name) -> int:
    """The place of an axis in an array of cells; the third and fourth have length one here."""
    return AXES.index(str(name).lower())


class _Settings(record):
    """Options of the tree compiler: any may be asked for and set."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self.setdefault(name, _Settings() if name == "forest_state" else None)


def _module(name, **contents):
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    module.__path__ = []
    return module


def _pyfits():
    from astropy.io import fits

    return fits


def _modules() -> dict[str, types.ModuleType]:
    scope = {
        name: getattr(expressions, name) for name in ("Meq", "NodeScope", "NodeTags", "is_node", "record")
    } | {name: thing for name, thing in vars(options).items() if name.startswith("TDL")}  # fmt: skip
    settings = _Settings()
    settings.forest_state = _Settings()
    dmi = _module("Timba.dmi", record=record, hiid=Hiid, conv_float=float)
    helpers = {
        name: getattr(python_nodes, name)
        for name in ("shape", "vells", "complex_vells", "sca_vells", "vellset", "result")
    }
    utils = _module(
        "Timba.utils", verbosity=Verbosity, curry=curry, PersistentCurrier=lambda: types.SimpleNamespace(curry=curry)
    )
    meq = _module("Timba.Meq.meq", polc=_polc, **helpers)
    array = _module("Timba.array", array=np.array, **{n: getattr(np, n) for n in ("zeros", "ones", "asarray")})
    impl = _module(
        "Timba.TDL.TDLimpl", _NodeStub=nodes.Node, _NodeDef=Definition, is_node=nodes.is_node,
        NodeScope=nodes.NodeScope, NodeTags=expressions.NodeTags, NodeRedefinedError=nodes.NodeRedefinedError,
    )  # fmt: skip
    option_impl = _module(
        "Timba.TDL.TDLOptions", **{name: thing for name, thing in scope.items() if name.startswith("TDL")}
    )
    option_impl.__dict__.update(_TDLOptionItem=options.Option, _TDLBaseOption=options.Item, _TDLSubmenu=options.Menu)
    timba = _module(
        "Timba", dmi=dmi, utils=utils, array=array, Meq=_module("Timba.Meq", meq=meq),
        pynode=_module("Timba.pynode", PyNode=python_nodes.PyNode, PyFunctionNode=python_nodes.PyFunctionNode),
        mequtils=_module(
            "Timba.mequtils", get_axis_number=_axis, add_axis=lambda name: None, get_axis_id=lambda i: AXES[i]
        ),
        Apps=_module("Timba.Apps", app_nogui=None, assayer=None, meqserver=None), pretty_print=print,
    )  # fmt: skip
    timba.TDL = _module(
        "Timba.TDL", **scope, hiid=Hiid, dmi=dmi, Settings=settings, Timba=timba, re=re, np=np, math=math,
        inspect=inspect, os=os, sys=sys, TDLimpl=impl, TDLOptions=option_impl,
    )  # fmt: skip
    kittens = _module(
        "Kittens", utils=_module("Kittens.utils", verbosity=Verbosity, curry=curry, import_pyfits=_pyfits),
        config=_module("Kittens.config"),
    )  # fmt: skip
    children = [timba.dmi, timba.utils, timba.array, timba.Meq, meq, timba.pynode, timba.mequtils, timba.Apps]
    children += [timba.TDL, impl, option_impl, kittens.utils, kittens.config]
    return {module.__name__: module for module in (timba, kittens, *children)}


def install(meow: bool | None = None) -> None:
    """Let `import Timba`, `import Kittens` and `import Meow` find this package.

    meow : ours (True), the one that can be imported (False), or ours where there is none. Raises ImagingError if
    another Timba, or where ours is asked for another Meow, has been imported.
    """
    _refuse_another("Timba")
    if "Timba" not in sys.modules:
        made = _modules()
        if importlib.util.find_spec("past") is None:  # the Cattery's bridge to Python 2, of which it uses one function
            builtins = _module("past.builtins", cmp=lambda a, b: (a > b) - (a < b))
            made |= {"past": _module("past", builtins=builtins, __fringeflow__=True), "past.builtins": builtins}
        made["Timba"].__fringeflow__ = True
        sys.modules.update(made)
    if "Meow" not in sys.modules and (importlib.util.find_spec("Meow") is None if meow is None else meow):
        from imaging.measurement import meow as ours

        sys.modules.update(ours.modules())
        if importlib.util.find_spec("Cattery") is None:
            sys.modules["Cattery"] = _module("Cattery", __fringeflow__=True)
    elif meow:
        _refuse_another("Meow")


def _refuse_another(name: str) -> None:
    present = sys.modules.get(name)
    if present is not None and not hasattr(present, "__fringeflow__"):
        raise ImagingError(
            f"Another {name} has been imported already.", got=getattr(present, "__file__", name),
            next_step=f"Call imaging.measurement.compat.install() before anything that imports {name}.",
        )  # fmt: skip


def uninstall() -> None:
    """Take away what `install` put there."""
    names = ("Timba", "Meow", "past", "Cattery")
    ours = {name for name in names if hasattr(sys.modules.get(name), "__fringeflow__")}
    ours |= {"Kittens"} if "Timba" in ours else set()
    if "Meow" in ours:
        sys.modules["Meow.Context"].clear()
        for name in ("Cattery.Meow", "Cattery.Meow.MeqMaker"):
            sys.modules.pop(name, None)
    for name in [name for name in sys.modules if name.split(".")[0] in ours]:
        del sys.modules[name]
