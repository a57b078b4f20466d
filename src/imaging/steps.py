"""Which files the steps of the section `measurement` read and make."""

from __future__ import annotations

from pathlib import Path

from imaging.config import Config
from imaging.errors import ImagingError
from imaging.names import Names

SIMULATED = "array"
"""Stands for the name of a set where there is none yet."""


class Steps:
    """The chain of MeasurementSets: `sets` (a wildcard's value → the user's path, or "" for one that is simulated)."""

    def __init__(self, config: Config, names: Names):
        self.section, self.names = config.measurement, names
        self.order = list(self.section.steps)
        if self.order[:1] == ["simulate"]:
            if config.data.vis:
                raise ImagingError("A set is to be simulated, and one is given.", got=f"data.vis: {config.data.vis[0]}",
                                   expected="measurement.steps without simulate, or no data.vis",
                                   next_step="leave out one of them")  # fmt: skip
            self.sets = {SIMULATED: ""}
        else:
            self.sets = {}
            for path in config.data.vis:
                stem = Path(path).name.removesuffix(".ms").replace(".", "_") or "set"
                self.sets[stem if stem not in self.sets else f"{stem}_{len(self.sets)}"] = path

    def made(self, step: str, name: str = "{ms}") -> str:
        """The new set, or the record of what was written to the user's."""
        ending = "json" if self.section.write == "input" else "ms"
        return f"{self.names.folder}/{self.names.name}.{name}.{step}.{ending}"

    def inspected(self, step: str, name: str = "{ms}", ending: str = "npz") -> str:
        return f"{self.names.folder}/{self.names.name}.{name}.{step}.inspect.{ending}"

    def truth(self) -> str:
        return f"{self.names.folder}/{self.names.name}.truth.csv"

    def before(self, step: str, name: str) -> str:
        """The product of the step before this one, or "" at the beginning."""
        earlier = self.order[: self.order.index(step)] if step in self.order else []
        return self.made(earlier[-1], name) if earlier else ""

    def read(self, step: str, name: str) -> str:
        """The MeasurementSet that a step reads, whether or not it is the one to write to."""
        return self.sets[name] if self.section.write == "input" else self.before(step, name) or self.sets[name]

    def last(self) -> list[str]:
        """What the chain ends with."""
        return [self.made(self.order[-1], name) for name in self.sets] if self.order else []

    def imaged(self) -> list[str]:
        """The MeasurementSets to image."""
        return self.last() if self.order and self.section.write == "new" else list(self.sets.values())

    def pictures(self) -> list[str]:
        steps = [step for step in self.order if step != "simulate"] if self.section.inspect else []
        return [self.inspected(step, name, ending) for step in steps for name in self.sets for ending in ("npz", "png")]
