"""Names of what modules make, where there are no nodes: the first argument of compute_jones and the like."""

from __future__ import annotations


class Name:
    """An unqualified node without a value: Name("G")("0") is G:0, its Subscope().lm is G:0::lm."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, *quals, **kwquals) -> Name:
        ends = [str(getattr(q, "name", q)) for q in quals] + [f"{k}={v}" for k, v in sorted(kwquals.items())]
        return Name(":".join([self.name, *ends]))

    def Subscope(self) -> Scope:
        return Scope(self.name)


class Scope:
    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> Name:
        if name.startswith("__"):
            raise AttributeError(name)
        return Name(f"{self._name}::{name}")

    __getitem__ = __getattr__
