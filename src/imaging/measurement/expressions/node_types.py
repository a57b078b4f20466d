"""Node classes of plain arithmetic and of tensors. Values are (dims..., T or 1, F or 1)."""

from __future__ import annotations

import zlib

import numpy as np

from imaging.measurement.expressions.errors import ExpressionError
from imaging.measurement.expressions.evaluation import ENDS, node_type


def _elementwise(function, *names):
    node_type(*names)(lambda node, tile, *children: function(*children))


def _folded(function, *names):
    def fold(node, tile, *children):
        total = children[0]
        for child in children[1:]:
            total = function(total, child)
        return total

    node_type(*names)(fold)


for _name, _function in {
    "Identity": lambda x: x, "Negate": np.negative, "Invert": lambda x: 1 / x, "Abs": np.abs, "Fabs": np.abs,
    "Conj": np.conj, "Real": np.real, "Imag": np.imag, "Arg": np.angle, "Sqr": np.square, "Exp": np.exp,
    "Log": np.log, "Sin": np.sin, "Cos": np.cos, "Tan": np.tan, "Asin": np.arcsin, "Acos": np.arccos,
    "Atan": np.arctan, "Sinh": np.sinh, "Cosh": np.cosh, "Tanh": np.tanh, "Ceil": np.ceil, "Floor": np.floor,
    "Sqrt": np.sqrt, "Atan2": np.arctan2, "Mod": np.mod, "Subtract": np.subtract, "ToComplex": lambda x, y: x + 1j * y,
    "Polar": lambda r, phi: r * np.exp(1j * phi),
}.items():  # fmt: skip
    _elementwise(_function, _name)
for _power in range(2, 9):
    _elementwise(lambda x, power=_power: x**power, f"Pow{_power}")
_folded(np.add, "Add")
_folded(np.multiply, "Multiply")


@node_type("Divide")
def _divide(node, tile, above, below):
    if not np.all(below):  # numpy lets 1/0 pass for some complex numbers
        raise FloatingPointError("the denominator is zero")
    return above / below


@node_type("Pow")
def _power_of(node, tile, base, exponent):
    return np.power(np.asarray(base, np.result_type(base, float)), exponent)


@node_type("Constant")
def _constant(node, tile):
    value = node.definition.record["value"]
    value = np.asarray(tile.values.get(node.name, value) if node.name in ENDS else value)
    return value.reshape(*value.shape, 1, 1)


@node_type("Time", varies=True)
def _time(node, tile):
    return tile.time[:, None]


@node_type("Freq", varies=True)
def _frequency(node, tile):
    return tile.frequency[None, :]


@node_type("Grid", varies=True)
def _grid(node, tile):
    axis = str(node.definition.record.get("axis", "time")).lower()
    if axis == "freq":
        return tile.frequency[None, :]
    value = {"time": tile.time, "l": tile.l, "m": tile.m}.get(axis)
    if value is None:
        raise ExpressionError(
            f"The node {node.name} asks for the axis {axis}.",
            expected="time, freq; l and m on tiles that have directions (Tile.over)",
        )
    return value[:, None]


@node_type("Parm", varies=True)
def _parameter(node, tile):
    if node.name in tile.values:
        value = np.asarray(tile.values[node.name])
        return value if value.ndim >= 2 else value.reshape(-1, 1)
    value = node.definition.record["value"]
    if value is None:
        value = 0.0
    if not isinstance(value, dict):
        return np.asarray(value, np.result_type(value, float)).reshape(*np.shape(value), 1, 1)
    coefficients = np.asarray(value["coeff"])
    coefficients = coefficients.reshape(coefficients.shape + (1,) * (2 - coefficients.ndim))
    (offset_t, offset_f), (scale_t, scale_f) = value.get("offset", (0.0, 0.0)), value.get("scale", (1.0, 1.0))
    t, f = (tile.time - offset_t) / scale_t, (tile.frequency - offset_f) / scale_f
    return np.polynomial.polynomial.polygrid2d(t, f, coefficients)


def _reduction(reduce, pair, *names):
    """One child: over time and frequency (or `reduction_axes`), each element. Several: cell by cell."""

    def compute(node, tile, *children):
        if len(children) > 1 and pair is not None:
            total = children[0]
            for child in children[1:]:
                total = pair(total, child)
            return total
        axes = node.definition.record.get("reduction_axes", ("time", "freq"))
        axes = [axes] if isinstance(axes, str) else axes
        axes = tuple({"time": -2, "freq": -1}[str(axis).lower()] for axis in axes)
        return reduce(children[0], axis=axes, keepdims=True)

    node_type(*names)(compute)


_reduction(np.mean, None, "Mean")
_reduction(np.std, None, "StdDev")
_reduction(np.max, np.maximum, "Max")
_reduction(np.min, np.minimum, "Min")


@node_type("Sum", "Product", varies=True)
def _sum(node, tile, child):
    full = np.broadcast_to(child, (*child.shape[:-2], len(tile.time), len(tile.frequency)))
    return (np.sum if node.classname == "Sum" else np.prod)(full, axis=(-2, -1), keepdims=True)


@node_type("Norm")
def _norm(node, tile, child):
    axes = tuple(range(child.ndim - 2))
    return np.sqrt(np.sum(np.abs(child) ** 2, axis=axes)) if axes else np.abs(child)


@node_type("Bessel")
def _bessel(node, tile, x):
    from scipy.special import jv

    record = node.definition.record
    return jv(int(record.get("bessel_order", record.get("order", 0))), x)


@node_type("Composer")
def _compose(node, tile, *children):
    """A tensor of `dims`. Without them children of one kind are stacked; those of several kinds, and the elements of
    one that is a tensor, become one vector, as with dims=[0]."""
    dims = node.definition.record.get("dims")
    if dims is not None and np.ndim(dims) == 0:
        dims = [dims]
    cells = np.broadcast_shapes(*(child.shape[-2:] for child in children))
    unequal = len({child.shape[:-2] for child in children}) > 1
    alone = len(children) == 1 and children[0].ndim > 2
    if (dims is None and (unequal or alone)) or (dims is not None and list(dims) == [0]):
        return np.concatenate([np.broadcast_to(c.reshape(-1, *c.shape[-2:]), (_size(c), *cells)) for c in children])
    inner = np.broadcast_shapes(*(child.shape[:-2] for child in children))
    stacked = np.stack([np.broadcast_to(child, (*inner, *cells)) for child in children])
    return stacked if dims is None else stacked.reshape(*dims, *cells)


def _size(value):
    return int(np.prod(value.shape[:-2]))


@node_type("Selector")
def _select(node, tile, child):
    index = node.definition.record.get("index", 0)
    child = child[None] if child.ndim == 2 else child
    if np.ndim(index) == 0:
        return child[index]
    if node.definition.record.get("multi"):
        return child[list(index)]
    return child[tuple(slice(None) if i < 0 else i for i in index)]


@node_type("Paster")
def _paste(node, tile, tensor, piece):
    index = node.definition.record.get("index", 0)
    cells = np.broadcast_shapes(tensor.shape[-2:], piece.shape[-2:])
    result = np.array(np.broadcast_to(tensor, (*tensor.shape[:-2], *cells)), np.result_type(tensor, piece))
    result[index if np.ndim(index) == 0 else tuple(index)] = piece
    return result


@node_type("Transpose")
def _transpose(node, tile, child):
    """Of a matrix, of each matrix of a tensor (S, 2, 2), of a vector, which becomes one row."""
    value = child if child.ndim == 2 else child[None] if child.ndim == 3 else child.swapaxes(-4, -3)
    return value.conj() if node.definition.record.get("conj") else value


@node_type("MatrixMultiply")
def _matrix_multiply(node, tile, *children):
    """Scalars multiply everything; of two vectors the products of the second with each piece of the first that long."""
    total = children[0]
    for child in children[1:]:
        if total.ndim == 2 or child.ndim == 2:
            total = total * child
        elif total.ndim == child.ndim == 3:
            pieces = total.reshape(-1, len(child), *total.shape[-2:])
            total = np.sum(pieces * child, axis=1)
        else:
            total = np.einsum("ij...,jk...->ik..." if child.ndim == 4 else "ij...,j...->i...", total, child)
    return total


@node_type("MatrixInvert22")
def _invert(node, tile, child):
    """The inverse; NaN where there is none."""
    if child.ndim == 2:
        raise ExpressionError(f"The node {node.name} inverts a scalar.", expected="a 2x2 matrix")
    (a, b), (c, d) = child
    determinant = a * d - b * c
    with np.errstate(all="ignore"):
        inverse = np.array([[d, -b], [-c, a]]) / determinant
    return np.where(determinant == 0, np.nan, inverse)


@node_type("GaussNoise", "RandomNoise", varies=True)
def _noise(node, tile):
    """Normal (or uniform) numbers that follow from the seed, the node's name and the tile."""
    record = node.definition.record
    shape = (*np.atleast_1d(record.get("dims", [])).astype(int), len(tile.time), len(tile.frequency))
    random = np.random.default_rng([tile.seed, zlib.crc32(node.name.encode()), tile.number])
    if node.classname == "RandomNoise":
        return random.uniform(record.get("lower", 0.0), record.get("upper", 1.0), shape)
    draw = random.standard_normal((2, *shape)) * record.get("stddev", 1.0)
    return record.get("mean", 0.0) + (draw[0] + 1j * draw[1] if record.get("complex") else draw[0])
