"""Finding the parts that can be exchanged by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from imaging.errors import ImagingError

DECONVOLVERS = ("clark", "hogbom", "multiscale", "wideband")


def deconvolver_module(name: str) -> str:
    """Where the deconvolver `name` is."""
    if name not in DECONVOLVERS:
        raise ImagingError(f"Unknown deconvolver {name!r}.", got=name, expected=", ".join(DECONVOLVERS),
                           next_step="set clean.deconvolver to one of these")  # fmt: skip
    return f"imaging.deconvolution.{name}"


def find_deconvolver(name: str) -> Callable[..., dict]:
    """The `deconvolve(residual, model, psf, meta)` function called `name` (contracts.Deconvolver)."""
    return import_module(deconvolver_module(name)).deconvolve
