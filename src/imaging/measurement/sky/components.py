"""Sky models of points and Gaussians: component lists of BBS, DP3 and WSClean, and components made in a script."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from imaging.algorithms.components import Component, spectra
from imaging.algorithms.rime import brightness
from imaging.image import radec_to_lmn
from imaging.measurement.tiles import Tile


class Source:
    """A component of the sky as modules see it: `name`, `component`, tags by get_attr and set_attr."""

    def __init__(self, component: Component, **attrs):
        self.component, self.name, self.attrs = component, component.name, dict(attrs)
        covariance = component.covariance()
        self.shape = (covariance[0, 0], covariance[0, 1], covariance[1, 1])

    def get_attr(self, name: str, default=None):
        return self.attrs.get(name, default)

    def set_attr(self, name: str, value) -> None:
        self.attrs[name] = value

    def lmn(self, phase_centre: tuple[float, float]) -> tuple[float, float, float]:
        return tuple(float(x) for x in radec_to_lmn(self.component.ra, self.component.dec, phase_centre))

    def brightness(self, tile: Tile) -> np.ndarray:
        """(1, chan, 2, 2) Jy."""
        return brightnesses([self], tile)[0]


def brightnesses(sources: list[Source], tile: Tile) -> np.ndarray:
    """Those of many sources at once, (source, 1, chan, 2, 2) Jy."""
    return brightness(spectra([source.component for source in sources], tile.freq), tile.feeds)[:, None]


class ComponentSky:
    """Sky model of components: a list of them, or the path of a text file (docs/conventions.md)."""

    solvable = False

    def __init__(self, components: str | Iterable[Component]):
        if isinstance(components, str):
            from imaging.io.component_list import load_components

            components = load_components(components)
        self.sources = [Source(component) for component in components]

    def source_list(self, **kw) -> list[Source]:
        return list(self.sources)

    def estimate_image_size(self, **kw) -> float:
        """Arcmin: twice the distance of the farthest component from the mean direction, and its extent."""
        if not self.sources:
            return 0.0
        parts = [source.component for source in self.sources]
        ra, dec = np.array([(c.ra, c.dec) for c in parts]).T
        x = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], 1)
        middle = x.mean(axis=0) / np.linalg.norm(x.mean(axis=0))
        apart = 2 * np.arcsin(np.clip(np.linalg.norm(x - middle, axis=1) / 2, 0, 1)) + [c.major for c in parts]
        return math.degrees(2 * apart.max()) * 60
