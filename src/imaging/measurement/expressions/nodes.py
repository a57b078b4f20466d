"""Lazy expressions by name: scopes, qualified nodes and `<<`.

A node is a class name, children and a record of parameters. It is known by its qualified name: `ns.G('s0', 'p')` is
`G:s0:p`, the same object each time it is asked for, and has no meaning until `ns.G('s0', 'p') << definition` binds it.
Unnamed definitions inside others are interned by what they say, so that equal expressions are one node.
"""

from __future__ import annotations

import difflib
import fnmatch
import sys

import numpy as np

from imaging.measurement.expressions.definitions import NUMBERS, Definition, Expression, NodeClass, constant, record
from imaging.measurement.expressions.errors import ExpressionError, NodeRedefinedError, UndefinedNodeError


class Node(Expression):
    """A named place in a scope, bound or not. Call it with qualifiers for another one.

    name : the qualified name. basename, quals, kwquals : what it is made of. definition : None until it is bound,
    then the `Definition` with nodes (or None) for children. place : "file:line" of the binding.
    """

    # __dict__: modules leave hints for parallel evaluation on nodes (`_multiproc`), which nobody reads here
    __slots__ = ("__dict__", "basename", "definition", "instance", "kwquals", "name", "place", "quals", "scope")

    def __init__(self, scope, name, basename, quals, kwquals):
        self.scope, self.name, self.basename, self.quals, self.kwquals = scope, name, basename, quals, kwquals
        self.definition = self.place = self.instance = None

    def __repr__(self):
        return f"<node {self.name}{'' if self.definition else ' (undefined)'}>"

    def __str__(self):
        return self.name

    def __bool__(self):
        return True

    def __call__(self, *quals, **kwquals):
        if not quals and not kwquals:
            return self
        return self.scope._stub(
            self.basename, self.quals + tuple(map(_qualifier, quals)), {**self.kwquals, **_qualifiers(kwquals)}
        )

    __getitem__ = __call__

    def qadd(self, *others, **kwquals):
        """This node with further qualifiers; a node among them gives its own."""
        quals = []
        for other in others:
            quals.extend(other.quals if isinstance(other, Node) else [other])
            kwquals = {**getattr(other, "kwquals", {}), **kwquals}
        return self(*quals, **kwquals)

    def __lshift__(self, meaning):
        return self._bind(meaning, sys._getframe(1))

    def __pow__(self, meaning):
        return self if self.definition else self._bind(meaning, sys._getframe(1))

    def _bind(self, meaning, frame):
        definition = self.scope._resolved(meaning)
        if self.definition is None:
            self.definition = definition
            self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else None
        elif meaning_of(self.definition) != meaning_of(definition):
            raise NodeRedefinedError(
                f"The node {self.name} is defined twice, and differently.",
                got=f"{_sentence(definition)} in {frame.f_code.co_filename}:{frame.f_lineno}" if frame else definition,
                expected=f"{_sentence(self.definition)}, from {self.place}",
                next_step="Derive every node's name from the node that the function was given.",
            )
        else:
            self.definition.tags.update(definition.tags)
        return self

    def initialized(self) -> bool:
        return self.definition is not None

    def initrec(self) -> dict:
        return record(self._defined.record, **{"class": "Meq" + self.classname})

    @property
    def _defined(self) -> Definition:
        if self.definition is None:
            raise ExpressionError(f"The node {self.name} has no definition yet.", next_step="Bind it with << first.")
        return self.definition

    @property
    def classname(self):
        return self._defined.class_name

    @property
    def children(self):
        return list(enumerate(self._defined.children))

    @property
    def tags(self):
        return self._defined.tags

    def num_children(self):
        return len(self._defined.children)

    def add_children(self, *children):
        self._defined.children += tuple(map(self.scope._child, children))
        return self

    def add_stepchildren(self, *children):
        """Step-children are computed and not used: there is nothing to keep."""
        return self

    def set_options(self, **options):
        self._defined.record.update(options)
        return self

    def Subscope(self, name=None):
        return NodeScope(parent=self.scope, prefix=self.name if name is None else f"{self.name}::{name}")

    def QualScope(self, *quals, **kwquals):
        return self.scope.QualScope(*self.quals, *quals, **{**self.kwquals, **kwquals})

    def family(self) -> list[Node]:
        """The bound nodes of this name in this scope whose qualifiers start with this one's, itself among them."""
        return [
            node
            for node in self.scope._nodes.values()
            if node.definition is not None
            and node.basename == self.basename
            and node.scope.name == self.scope.name
            and node.quals[: len(self.quals)] == self.quals
            and self.kwquals.items() <= node.kwquals.items()
        ]

    def search(self, **criteria):
        """Nodes among the family and all below it."""
        return select(in_order(self.family()), **criteria)


def _qualifier(qualifier) -> str:
    return str(getattr(qualifier, "name", qualifier))


def _qualifiers(kwquals) -> dict:
    return {key: _qualifier(value) for key, value in kwquals.items()}


class NodeScope:
    """Names for nodes: `ns.x`, `ns['x']`. All scopes made from one share its nodes.

    Nodes of another scope may be used too (modules keep some between calls): nodes are told apart by identity.

    prefix : put before names with "::". quals, kwquals : given to every node.
    """

    def __init__(self, name=None, parent=None, test=False, *, prefix=None, quals=(), kwquals=None):
        set_ = super().__setattr__
        prefix = name if prefix is None else prefix
        set_("name", prefix or "")
        set_("_quals", tuple(quals))
        set_("_kwquals", kwquals or {})
        set_("_nodes", parent._nodes if parent is not None else {})
        set_("_unnamed", parent._unnamed if parent is not None else {})
        set_("_evaluators", parent._evaluators if parent is not None else {})

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._stub(name, self._quals, self._kwquals)

    def __getitem__(self, name):
        return self._stub(str(name), self._quals, self._kwquals)

    def __setattr__(self, name, meaning):
        self[name]._bind(meaning, sys._getframe(1))

    def __setitem__(self, name, meaning):
        self[name]._bind(meaning, sys._getframe(1))

    def __lshift__(self, meaning):
        return self._child(meaning)

    def _stub(self, basename, quals, kwquals):
        name = basename if not self.name else f"{self.name}::{basename}"
        if quals:
            name = f"{name}:{':'.join(quals)}"
        if kwquals:
            name += "".join(f":{key}={kwquals[key]}" for key in sorted(kwquals))
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = Node(self, name, basename, quals, kwquals)
        return node

    def Subscope(self, name, *quals, **kwquals):
        scope = NodeScope(parent=self, prefix=f"{self.name}::{name}" if self.name else name)
        return scope.QualScope(*quals, **kwquals) if quals or kwquals else scope

    def QualScope(self, *quals, **kwquals):
        quals = self._quals + tuple(map(_qualifier, quals))
        return NodeScope(parent=self, prefix=self.name, quals=quals, kwquals={**self._kwquals, **_qualifiers(kwquals)})

    def Search(self, **criteria):
        return select(self.AllNodes().values(), **criteria)

    def AllNodes(self):
        return {node.name: node for node in (*self._nodes.values(), *self._unnamed.values()) if node.definition}

    def Resolve(self):
        """Check that all that is used is defined."""
        in_order([node for node in self._nodes.values() if node.definition])
        return self

    def _child(self, meaning):
        """The node for something inside a definition: itself, or an unnamed one of that meaning."""
        if meaning is None or isinstance(meaning, Node):
            return meaning
        definition = self._resolved(meaning)
        key = meaning_of(definition)
        node = self._unnamed.get(key)
        if node is None:
            inside = ",".join(child.name if child else "" for child in definition.children)
            stem = f"{definition.class_name.lower()}({inside})" if inside else definition.class_name.lower()
            name = f"{stem[:60]}#{len(self._unnamed)}"
            node = self._unnamed[key] = Node(self, name, stem, (), {})
            node.definition = definition
        node.definition.tags.update(definition.tags)
        return node

    def _resolved(self, meaning) -> Definition:
        if isinstance(meaning, NodeClass):
            meaning = meaning()
        if isinstance(meaning, Definition):
            children = tuple(map(self._child, meaning.children))
            return Definition(meaning.class_name, children, dict(meaning.record), meaning.tags)
        if isinstance(meaning, Node):
            return Definition("Identity", (meaning,))
        if isinstance(meaning, (*NUMBERS, np.ndarray)):
            return constant(meaning)
        if isinstance(meaning, (list, tuple)):
            if all(isinstance(item, NUMBERS) for item in meaning):
                return constant(meaning)
            return Definition("Composer", tuple(map(self._child, meaning)))
        raise ExpressionError(
            "A node was given a meaning that is none.", got=f"{meaning!r} ({type(meaning).__name__})",
            expected="a node, an expression of nodes (Meq.Xxx(...), a + b ...) or a number",
        )  # fmt: skip


def meaning_of(definition) -> tuple:
    """What is equal for definitions that say the same."""
    return definition.class_name, definition.children, _frozen(definition.record)


def _frozen(value):
    if isinstance(value, dict):
        return tuple((key, _frozen(value[key])) for key in sorted(value))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    return repr(value)


def _sentence(definition):
    inside = [child.name if child else "None" for child in definition.children]
    if definition.class_name in ("Constant", "Parm"):
        inside.append(str(definition.record.get("value")).replace("\n", "")[:60])
    return f"{definition.class_name}({', '.join(inside)})"


def select(nodes, *, tags=None, name=None, class_name=None, return_names=False, **_):
    """The nodes with all of these tags, this name (shell wildcards) and this class."""
    found = [
        node
        for node in nodes
        if (not tags or node.tags.matches(tags))
        and (not name or fnmatch.fnmatchcase(node.name, name))
        and (not class_name or node.classname == class_name.removeprefix("Meq"))
    ]
    return [node.name for node in found] if return_names else found


def in_order(roots) -> list[Node]:
    """Roots and all below them, each once, children before parents, in a fixed order.

    Raises UndefinedNodeError (a node that is used has no definition) and ExpressionError (a node depends on itself).
    """
    order, done, open_ = [], set(), set()
    stack = [(root, None, False) for root in reversed(list(roots))]
    while stack:
        node, user, leaving = stack.pop()
        if leaving:
            open_.discard(node)
            done.add(node)
            order.append(node)
            continue
        if node in done:
            continue
        if node in open_:
            raise ExpressionError(f"The node {node.name} depends on itself.", got=f"it is used by {user.name}")
        if node.definition is None:
            raise UndefinedNodeError(
                f"The node {node.name} is used and was never defined.",
                got=f"it is used by {user.name}" + (f", {user.place}" if user.place else "") if user else None,
                next_step=f"Bind it with << ; names that look like it: {_alike(node)}.",
            )
        open_.add(node)
        stack.append((node, user, True))
        stack.extend((child, node, False) for child in reversed(node.definition.children) if child is not None)
    return order


def _alike(node):
    defined = [name for name, other in node.scope._nodes.items() if other.definition]
    return ", ".join(difflib.get_close_matches(node.name, defined)) or "none"


def is_node(thing) -> bool:
    """True for nodes and for what may be bound to one, numbers apart."""
    return isinstance(thing, Expression)
