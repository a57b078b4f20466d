"""Sky models of points and Gaussians: component lists of BBS, DP3 and WSClean, and components made in a script."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from imaging.algorithms.components import Component, spectra
from imaging.algorithms.rime import brightness
from imaging.image import radec_to_lmn
from imaging.measurement.tiles import Tile
from imaging.units import SPEED_OF_LIGHT


class Source:
    """A component of the sky as modules see it: `name`, `component`, tags by get_attr and set_attr.

    rotation_measure (rad/m^2) turns Q + iU by exp(2i RM (lambda^2 - lambda0^2)), of the component's reffreq.
    """

    def __init__(self, component: Component, rotation_measure: float = 0.0, **attrs):
        self.component, self.name, self.attrs = component, component.name, dict(attrs)
        self.rotation_measure = rotation_measure
        self._lmn: tuple = (None, None)  # the last phase centre, and what it came to
        covariance = component.covariance()
        self.shape = (covariance[0, 0], covariance[0, 1], covariance[1, 1])

    def get_attr(self, name: str, default=None):
        return self.attrs.get(name, default)

    def set_attr(self, name: str, value) -> None:
        self.attrs[name] = value

    def lmn(self, phase_centre: tuple[float, float]) -> tuple[float, float, float]:
        if self._lmn[0] != phase_centre:
            self._lmn = (
                phase_centre,
                tuple(map(float, radec_to_lmn(self.component.ra, self.component.dec, phase_centre))),
            )
        return self._lmn[1]

    def brightness(self, tile: Tile) -> np.ndarray:
        """(1, chan, 2, 2) Jy."""
        return brightnesses([self], tile)[0]


def brightnesses(sources: list[Source], tile: Tile) -> np.ndarray:
    """Those of many sources at once, (source, 1, chan, 2, 2) Jy."""
    stokes = spectra([source.component for source in sources], tile.freq)
    measures = np.array([source.rotation_measure for source in sources])
    if measures.any():
        reference = np.array([[source.component.reffreq] for source in sources])
        squares = (SPEED_OF_LIGHT / tile.freq) ** 2 - (SPEED_OF_LIGHT / reference) ** 2
        turned = (stokes[..., 1] + 1j * stokes[..., 2]) * np.exp(2j * measures[:, None] * squares)
        stokes[..., 1], stokes[..., 2] = turned.real, turned.imag
    return brightness(stokes, tile.feeds)[:, None]


class SourceSky:
    """A sky model of Sources: what `_load()` returns, asked for once."""

    solvable = False

    @cached_property
    def sources(self) -> list[Source]:
        return self._load()

    def source_list(self, **kw) -> list[Source]:
        return list(self.sources)

    def estimate_image_size(self, **kw) -> float:
        """Arcmin: twice the distance of the farthest component from the mean direction, and its extent."""
        parts = [source.component for source in self.source_list(**kw)]
        if not parts:
            return 0.0
        ra, dec = np.array([(c.ra, c.dec) for c in parts]).T
        x = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], 1)
        middle = x.mean(axis=0) / np.linalg.norm(x.mean(axis=0))
        apart = 2 * np.arcsin(np.clip(np.linalg.norm(x - middle, axis=1) / 2, 0, 1)) + [c.major for c in parts]
        return math.degrees(2 * apart.max()) * 60


@dataclass
class ComponentSky(SourceSky):
    """Components of a text file as BBS, DP3 and WSClean write it. A patch is the tag `cluster` of its components."""

    components: str
    """The file; in a script also a list of Components."""
    solvable = False

    def _load(self) -> list[Source]:
        components = self.components
        if isinstance(components, str):
            from imaging.io.component_list import load_components

            components = load_components(components)
        return [Source(c, **({"cluster": c.group} if c.group else {})) for c in components]
