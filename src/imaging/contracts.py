"""What plug-ins must offer and what they are given."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np

from imaging.errors import ImagingError
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
    at (1 - mgain) of the peak. spectral_fitter : `fit` and `fit_and_evaluate` (algorithms.spectral_fitting).
    mask (chan, pol, y, x) bool: where components may be. rms (chan, pol): robust noise of the residual, Jy/beam.
    pb (chan, 1, y, x): primary beam. plane_thresholds (chan, pol) Jy/beam: each plane's own n-sigma threshold, or None.
    options : the deconvolver's parameters by tclean's names. compat : "casa" to repeat CASA's quirks.
    plane_results : what was done to each plane, filled by the deconvolver.
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
    rms: np.ndarray | None = None
    pb: np.ndarray | None = None
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

    def part(self, chans: slice, pols: slice) -> Meta:
        """What there is to know of some of the planes."""
        both = ("mask", "rms", "plane_thresholds")
        cut = {name: None if (value := getattr(self, name)) is None else value[chans, pols] for name in both}
        pb = None if self.pb is None else self.pb[chans]
        return replace(self, channels=self.channels[chans], pb=pb, plane_results=[], **cut)

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


REQUIRED = ("residual", "model", "level", "continue")


def private(image: np.ndarray) -> np.ndarray:
    """A copy that a deconvolver may do anything with: float64, C order."""
    return np.array(image, np.float64, order="C", subok=False)


def private_psf(psf: np.ndarray) -> np.ndarray:
    """A private copy of psf (chan, y, x) whose peak is exactly 1 at [y//2, x//2]; a channel without data is zero."""
    psf = private(psf)
    middle = psf[:, psf.shape[1] // 2, psf.shape[2] // 2].copy()
    psf /= np.where(middle > 0, middle, 1)[:, None, None]
    return psf


def checked(result: Any, shape: tuple[int, ...], psf: np.ndarray | None = None, dtype=np.float64) -> dict[str, Any]:
    """What a deconvolver returned, as arrays (chan, pol, y, x) of `shape` and `dtype`, a float and a bool.

    Arrays of any type, order and stride are taken, and (chan, y, x) where there is one polarisation. A plane whose
    channel has an empty psf may hold NaN, which become zeros. Raises ImagingError, in WSClean's words where it has any.
    """
    if not isinstance(result, dict):
        raise _refused("Return value of deconvolve() should be a dictionary", type(result).__name__,
                       "a dictionary of " + ", ".join(REQUIRED))  # fmt: skip
    missing = [key for key in REQUIRED if key not in result]
    if missing:
        raise _refused("Dictionary returned by deconvolve() is missing items; should have 'residual', 'model', 'level'"
                       " and 'continue'", "no " + ", ".join(missing), ", ".join(REQUIRED))  # fmt: skip
    residual, model = (_as_images(result[key], key, shape, dtype) for key in ("residual", "model"))
    if psf is not None:
        model[~psf.any((1, 2))] = np.nan_to_num(model[~psf.any((1, 2))], posinf=np.nan, neginf=np.nan)
    if not np.isfinite(model).all():
        chan, pol, y, x = (int(i) for i in np.argwhere(~np.isfinite(model))[0])
        raise _refused("The model returned by deconvolve() is not finite", f"{model[chan, pol, y, x]} at"
                       f" [{chan}, {pol}, {y}, {x}], {np.count_nonzero(~np.isfinite(model))} such pixels",
                       "finite numbers: flagged channels have a weight of 0 and an empty psf")  # fmt: skip
    return {"residual": residual, "model": model, "level": _as_number(result["level"]),
            "continue": _as_truth(result["continue"])}  # fmt: skip


def _refused(what: str, got: str, expected: str) -> ImagingError:
    return ImagingError(what + ".", got=got, expected=expected,
                        next_step="mend what deconvolve() returns: docs/plugins.md")  # fmt: skip


def _as_images(value: Any, key: str, shape: tuple[int, ...], dtype) -> np.ndarray:
    expected = f"an array of shape {shape}" + (f" or {(shape[0], *shape[2:])}" if shape[1] == 1 else "")
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if not np.can_cast(array.dtype, np.float64, "same_kind"):
        raise _refused(f"The {key} returned by deconvolve() is no array of real numbers",
                       f"{type(value).__name__} of {array.dtype}", expected)  # fmt: skip
    if array.shape != shape and (shape[1] != 1 or array.shape != (shape[0], *shape[2:])):
        raise _refused(f"The {key} returned by deconvolve() has the wrong shape", f"{array.shape}", expected)
    with np.errstate(over="ignore"):
        return np.array(array, dtype, order="C", subok=False).reshape(shape)


def _as_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise _refused("The level returned by deconvolve() is no number", repr(value), "the peak that is left, Jy/beam"
                       ) from None  # fmt: skip


def _as_truth(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise _refused("What deconvolve() returned as 'continue' is neither True nor False", repr(value), "True or False")
