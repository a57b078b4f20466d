"""Sky models that Tigger wrote."""

from __future__ import annotations

from dataclasses import dataclass

from imaging.measurement.sky.components import Source, SourceSky


@dataclass
class TiggerSky(SourceSky):
    """Points and Gaussians of Tigger's .lsm.html, or of its text; tags and attributes are those of the sources."""

    path: str
    """The file."""
    solvable = False

    def _load(self) -> list[Source]:
        from imaging.io.tigger import load_tigger

        return [Source(component, attrs.get("rm", 0.0), **attrs) for component, attrs in load_tigger(self.path)]
