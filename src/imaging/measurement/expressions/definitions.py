"""What nodes are to compute: tags, definitions with their arithmetic, and `Meq`, which makes them by class name."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

import numpy as np

NUMBERS = (bool, int, float, complex, np.number)


class NodeTags(set):
    """A set of tags from a string (several are parted by blanks), a list or another set; `+` adds more."""

    def __init__(self, *tags):
        if any(tags):
            super().__init__(tag for group in tags for tag in _as_tags(group))

    def __add__(self, tags):
        return NodeTags(self, tags)

    __radd__ = __or__ = __add__

    def matches(self, wanted) -> bool:
        """True if each of the wanted tags, which may have wildcards, is here."""
        return all(fnmatch.filter(self, tag) for tag in _as_tags(wanted))


def _as_tags(tags) -> Iterable[str]:
    if not tags:
        return ()
    return tags.split() if isinstance(tags, str) else [word for tag in tags for word in tag.split()]


class Expression:
    """Arithmetic that makes definitions."""

    __slots__ = ()

    def __add__(self, other):
        return Definition("Add", (self, other))

    def __radd__(self, other):
        return Definition("Add", (other, self))

    def __sub__(self, other):
        return Definition("Subtract", (self, other))

    def __rsub__(self, other):
        return Definition("Subtract", (other, self))

    def __mul__(self, other):
        return Definition("Multiply", (self, other))

    def __rmul__(self, other):
        return Definition("Multiply", (other, self))

    def __truediv__(self, other):
        return Definition("Divide", (self, other))

    def __rtruediv__(self, other):
        return Definition("Divide", (other, self))

    def __mod__(self, other):
        return Definition("Mod", (self, other))

    def __neg__(self):
        return Definition("Negate", (self,))

    def __abs__(self):
        return Definition("Abs", (self,))


class Definition(Expression):
    """What a node is to compute, before it has a name."""

    __slots__ = ("children", "class_name", "record", "tags")

    def __init__(self, class_name, children=(), record=None, tags=()):
        self.class_name, self.children, self.record = class_name, tuple(children), record or {}
        self.tags = NodeTags(tags)


def constant(value) -> Definition:
    return Definition("Constant", (), {"value": np.asarray(value)})


class record(dict):
    """A dictionary whose items are attributes too."""

    def __init__(self, *args, **items):
        super().__init__(*args, **items)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    __setattr__ = dict.__setitem__
    has_field = dict.__contains__
    __delattr__ = dict.__delitem__

    def get(self, name, default=None):
        return dict.get(self, name, default)


# The names of children that may be given as keywords, in the order the evaluators want them.
NAMED_CHILDREN = {
    "AzEl": ("radec", "xyz"),
    "AzElRaDec": ("azel", "xyz"),
    "LMN": ("radec_0", "radec", "pos_ang"),
    "LMRaDec": ("radec_0", "lm", "pos_ang"),
    "LST": ("xyz",),
    "ParAngle": ("radec", "xyz"),
    "RADec": ("azel", "xyz"),
    "UVW": ("radec", "xyz_0", "xyz"),
    "VisPhaseShift": ("lmn", "uvw"),
}


class NodeClass(Expression):
    """A class of nodes: called with children and parameters it makes a definition; on its own it is one without any."""

    __slots__ = ("_define",)

    def __init__(self, define):
        self._define = define

    def __call__(self, *args, **options) -> Definition:
        return self._define(*args, **options)


class NodeFactory:
    """`Meq`: every attribute is the node class of that name."""

    def __getattr__(self, class_name):
        if class_name.startswith("_"):
            raise AttributeError(class_name)
        define = _special.get(class_name) or (lambda *args, **options: _define(class_name, args, options))
        setattr(self, class_name, NodeClass(define))
        return getattr(self, class_name)

    def __getitem__(self, class_name):
        return getattr(self, class_name)


def _define(class_name, args, options):
    tags = options.pop("tags", ())
    children = list(options.pop("children", ())) or [child for arg in args for child in _unpacked(arg)]
    options.pop("stepchildren", None)
    named = {key: value for key, value in options.items() if isinstance(value, Expression)}
    for key in NAMED_CHILDREN.get(class_name, sorted(named)):
        if key in options:
            children.append(options.pop(key))
    return Definition(class_name, children, options, tags)


def _unpacked(arg):
    return arg if isinstance(arg, (list, tuple)) else [arg]


def _constant(value, **options):
    tags = options.pop("tags", ())
    return Definition("Constant", (), {"value": np.asarray(value)}, tags)


def _parm(value=0.0, *args, **options):
    tags = options.pop("tags", ())
    options.pop("children", None)
    return Definition("Parm", (), {"value": value, **options}, tags)


def _matrix22(a, b, c, d, **options):
    if all(isinstance(item, NUMBERS) for item in (a, b, c, d)):
        return _constant([[a, b], [c, d]], **options)
    return _define("Composer", (a, b, c, d), {"dims": [2, 2], **options})


def _conjugate_transpose(matrix, **options):
    return _define("Transpose", (matrix,), {"conj": True, **options})


_special = {
    "Constant": _constant, "Parm": _parm, "Matrix22": _matrix22, "ConjTranspose": _conjugate_transpose,
}  # fmt: skip
Meq = NodeFactory()
