"""What plug-ins must offer and what they are given."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from imaging.state import PlaneResult


@dataclass(slots=True)
class Channel:
    """An image channel: `frequency` in Hz and the sum of its imaging `weight` (also readable as `weights`)."""

    frequency: float
    weight: float

    @property
    def weights(self) -> float:
        return self.weight


@dataclass(slots=True)
class Meta:
    """What a deconvolver may know besides the images: WSClean's names, then ours. Both meta.gain and meta["gain"].

    iteration_number : cumulative; the deconvolver adds what it did. max_iterations : where it must stop, on the same
    count, for every plane of which the count starts where the call started. major_iter_threshold, final_threshold :
    Jy/beam, where this call and the whole clean may stop; with the former 0 and mgain below 1 the deconvolver stops
    at (1 - mgain) of the peak. mask (chan, pol, y, x) bool: where components may be. plane_thresholds (chan, pol)
    Jy/beam: each plane's own n-sigma threshold, or None. options : the deconvolver's parameters by tclean's names.
    compat : "casa" to repeat CASA's quirks. plane_results : what was done to each plane, filled by the deconvolver.
    state : what a deconvolver wants to find again in the next cycle; numbers, arrays and dictionaries of these.
    """

    iteration_number: int = 0
    max_iterations: int = 0
    gain: float = 0.1
    mgain: float = 1.0
    major_iter_threshold: float = 0.0
    final_threshold: float = 0.0
    channels: list[Channel] = field(default_factory=list)
    square_joined_channels: bool = False
    spectral_fitter: Any = None
    mask: np.ndarray | None = None
    plane_thresholds: np.ndarray | None = None
    options: dict[str, Any] = field(default_factory=dict)
    compat: str = ""
    plane_results: list[PlaneResult] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "iteration_number":
            value = operator.index(value)
            if value < 0:
                raise TypeError(f"meta.iteration_number must be an integer >= 0, got {value}")
        object.__setattr__(self, name, value)

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self.keys():
            raise KeyError(name)
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __iter__(self):
        return iter(self.keys())

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name) if name in self.keys() else default

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        return tuple(f.name for f in fields(cls))


class Deconvolver(Protocol):
    """Explain a residual by model components: residual = dirty - psf convolved with the model, per plane.

    residual, model : (chan, pol, y, x), Jy/beam and Jy/pixel; model is the whole model so far. psf : (chan, y, x),
    peak 1 at [y//2, x//2]. All three are the callee's to write to. Returns {"residual", "model"} of the same shapes,
    "level" (the peak that remains, Jy/beam) and "continue" (whether another major cycle is worth it).
    """

    def __call__(self, residual: np.ndarray, model: np.ndarray, psf: np.ndarray, meta: Meta) -> dict[str, Any]: ...
