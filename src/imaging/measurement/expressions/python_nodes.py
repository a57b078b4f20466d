"""Nodes computed by a Python class, named in the record as `class_name` of the module or file `module_name`."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import numpy as np

from imaging.measurement.expressions.definitions import record
from imaging.measurement.expressions.errors import ExpressionError
from imaging.measurement.expressions.evaluation import Tile, node_type


class PyNode:
    """What such a class derives from: `update_state(mystate)` is called once, `get_result` on each tile."""

    def __init__(self, *args):
        self.name = args[0] if args else ""

    def update_state(self, mystate):
        pass

    def set_symdeps(self, *deps):
        self.symdeps = deps

    def get_result(self, request, *children):
        raise NotImplementedError(f"{type(self).__name__} has no get_result")

    def get_result_dims(self, *childdims):
        return childdims[0] if childdims else []


class PyFunctionNode(PyNode):
    """A class with `evaluate(cells, *child values)` only; tensors are looped over by `get_result`."""

    def get_result(self, request, *children):
        return result(vellset(self.evaluate(request.cells, *(child.vellsets[0].value for child in children))))


def cells_of(tile: Tile):
    """A tile as PyNodes know it: cells.grid.time, cells.grid.freq, their cell sizes, one segment of each."""
    return record(
        segments=record(
            {
                axis: record(start_index=0, end_index=len(values) - 1)
                for axis, values in (("time", tile.time), ("freq", tile.frequency))
            }
        ),
        grid=record(time=tile.time, freq=tile.frequency),
        cell_size=record(time=tile.time_width, freq=tile.frequency_width),
        domain=record(
            time=(tile.time[0], tile.time[-1]), freq=(tile.frequency[0], tile.frequency[-1])
        ),
    )  # fmt: skip


def shape(*axes):
    """(T, F) of cells, of vells, or of the numbers given."""
    first = axes[0]
    if isinstance(first, dict):
        return len(first["grid"]["time"]), len(first["grid"]["freq"])
    if hasattr(first, "shape"):
        return first.shape
    return tuple(first) if isinstance(first, (tuple, list)) else axes


def vells(shape, is_complex=False, *, value=0.0):
    return np.full(shape, value, complex if is_complex else float)


def complex_vells(shape, value=0.0):
    return vells(shape, True, value=value)


def sca_vells(value):
    """A value that is the same on all cells."""
    return np.full((1, 1), value)


def vellset(value):
    return record(value=np.asarray(value))


def result(vellsets=None, cells=None, dims=None):
    vellsets = [vellsets] if isinstance(vellsets, dict) else list(vellsets or ())
    answer = record(vellsets=vellsets, cells=cells)
    if dims is not None:
        answer.dims = tuple(np.atleast_1d(dims))
    return answer


def _as_result(value, cells):
    dims = value.shape[:-2]
    flat = value.reshape(-1, *(value.shape[-2:] if value.shape[-1] > 1 else value.shape[-2:-1]))  # (T, F) or (T|1,)
    return record(vellsets=[record(value=item, shape=item.shape) for item in flat], cells=cells, dims=dims)


def _cell_shaped(value):
    """Vells as (T|1, F|1): none, time only, or both axes first; further axes must be of length one."""
    value = np.asarray(value)
    if value.ndim > 2:
        if any(n != 1 for n in value.shape[2:]):
            raise ExpressionError("A value has more axes than time and frequency.", got=f"the shape {value.shape}")
        return value.reshape(value.shape[:2])
    return value.reshape(value.shape + (1,) * (2 - value.ndim))


class _State(dict):
    """The node's record, called by the class for each attribute it keeps: mystate('name', default).

    As in MeqTrees a list of one string is that string.
    """

    def __init__(self, owner, items):
        lists = {name: item for name, item in items.items() if isinstance(item, (list, tuple)) and len(item) == 1}
        single = {name: item[0] for name, item in lists.items() if isinstance(item[0], str)}
        super().__init__({**items, **single})
        self._owner = owner

    def __call__(self, name, default=None, *_):
        value = self.get(name, default)
        setattr(self._owner, name, value)
        return value

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def _class_of(node):
    wanted = node.definition.record
    name, module_name = str(wanted.get("class_name", "")), str(wanted.get("module_name", ""))
    if not module_name and "." in name:
        module_name, name = name.rsplit(".", 1)
    try:
        module = _module(module_name)
        return getattr(module, name)
    except (ImportError, OSError, AttributeError, KeyError) as error:
        raise ExpressionError(
            f"The class of the node {node.name} could not be loaded.",
            got=f"class {name} of the module {module_name or '(none)'}: {error}",
        ) from error


def _module(name):
    """A module by its dotted name or by its file."""
    if not name.endswith((".py", ".pyc", ".pyo")):
        return importlib.import_module(name)
    path = name.rsplit(".", 1)[0] + ".py"
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == path:
            return module
    spec = importlib.util.spec_from_file_location(path.rsplit("/", 1)[-1][:-3], path)
    if spec is None:
        raise ImportError(f"no file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@node_type("PyNode", varies=True, quiet=True)
def _host(node, tile, *children):
    state = node.definition.record
    instance = node.instance
    if instance is None:
        instance = node.instance = _class_of(node)(node.name)
        instance.update_state(_State(instance, state))
    cells = cells_of(tile)
    answer = instance.get_result(record(cells=cells), *(_as_result(child, cells) for child in children))
    values = [_cell_shaped(item["value"]) for item in answer.vellsets]
    cells_shape = np.broadcast_shapes(*(value.shape for value in values))
    stacked = np.stack([np.broadcast_to(value, cells_shape) for value in values])
    dims = tuple(answer.get("dims") or (() if len(values) == 1 else (len(values),)))
    return stacked.reshape(*(int(n) for n in dims if len(values) > 1 or n != 1), *cells_shape)
