"""All that one clean cycle tells the next, as small frozen records that are stored as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from enum import IntEnum


class _Code(IntEnum):
    """A number with the sentence the user reads."""

    def __new__(cls, value: int, sentence: str):
        code = int.__new__(cls, value)
        code._value_ = value
        code.sentence = sentence
        return code


class StopCode(_Code):
    """Why the whole clean stopped; tclean's numbers, and from 10 on ours."""

    GO_ON = 0, "not finished"
    NITER = 1, "iteration limit reached"
    THRESHOLD = 2, "peak residual is below the threshold"
    FORCED = 3, "stopped on request"
    NO_CHANGE = 4, "peak residual no longer changes"
    DIVERGED = 5, "peak residual jumped to more than three times its last value"
    DIVERGED_SLOWLY = 6, "peak residual rose to more than three times above its minimum"
    EMPTY_MASK = 7, "the mask is empty: nothing to clean"
    NSIGMA = 8, "peak residual is below the n-sigma threshold"
    NMAJOR = 9, "major-cycle limit reached"
    DECONVOLVER = 10, "the deconvolver says that it is done"


class PlaneStop(_Code):
    """Why the minor cycle of one plane stopped; tclean's numbers."""

    SKIPPED = 0, "skipped: no mask"
    CYCLENITER = 1, "reached cycleniter"
    CYCLETHRESHOLD = 2, "reached the cycle threshold"
    NO_ITERATIONS = 3, "no iterations done"
    DIVERGED = 4, "peak residual rose 10 % above its minimum"
    EARLY = 5, "the algorithm returned early"
    NSIGMA = 6, "reached the n-sigma threshold"


@dataclass(frozen=True, slots=True)
class PlaneResult:
    """What a minor cycle did to one plane. Peaks are max |residual| in the mask, peak_nomask that after it without
    the mask (Jy/beam); model_flux in Jy."""

    chan: int
    pol: int
    iterations: int
    peak_before: float | None
    peak_after: float | None
    model_flux: float
    stop: PlaneStop
    peak_nomask: float | None = None


@dataclass(frozen=True, slots=True)
class MinorResult:
    """What a minor cycle did; `iterdone` counts the iterations of this cycle over all planes.

    go_on : False where the deconvolver wants no further major cycle. judges : it compares with the final and the
    n-sigma thresholds itself, with more than the peaks of pixels.
    """

    iterdone: int
    planes: tuple[PlaneResult, ...] = ()
    go_on: bool = True
    judges: bool = False

    @property
    def model_flux(self) -> float:
        return math.fsum(p.model_flux for p in self.planes)

    def to_json(self) -> str:
        return _write(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> MinorResult:
        data = json.loads(text)
        planes = tuple(PlaneResult(**p | {"stop": PlaneStop(p["stop"])}) for p in data["planes"])
        return cls(data["iterdone"], planes, data["go_on"], data["judges"])


@dataclass(frozen=True, slots=True)
class PlaneStatistics:
    """Numbers of one residual plane; Jy/beam, mask_pixels a count. `peak` is None where the mask is empty."""

    peak: float | None
    peak_nomask: float | None
    mask_pixels: int
    median: float | None = None
    rms: float | None = None
    nsigma_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class CleanState:
    """The decision before minor cycle `cycle`: go on with this threshold and these iterations, or stop and why.

    cycle : clean major cycles done. iterdone : iterations so far, all planes. peak, peak_nomask : max |residual| of
    all planes within the mask (of everything where it is empty) and without it; prev_ and min_: at the last cycle,
    and smallest so far, min_cycle the cycle of the latter. sidelobe : largest of the psf, as a fraction.
    cycle_threshold : Jy/beam; cycle_niter : iterations a plane. threshold_reached : the cycle threshold is the
    user's own. best_cycle : whose model and residual are the products if the loop ends here. psf_error : the most that
    the residual is off, as a fraction of the dirty peak, where it was made by convolution; None where from the
    visibilities.
    """

    cycle: int
    iterdone: int
    stop: StopCode
    peak: float | None
    peak_nomask: float | None
    prev_peak: float | None
    prev_peak_nomask: float | None
    min_peak: float | None
    min_peak_nomask: float | None
    min_cycle: int
    best_cycle: int
    mask_pixels: int
    sidelobe: float
    psf_fraction: float
    threshold: float
    cycle_threshold: float
    cycle_niter: int
    threshold_reached: bool
    model_flux: float = 0.0
    psf_error: float | None = None
    planes: tuple[tuple[PlaneStatistics, ...], ...] = ()

    @property
    def reason(self) -> str:
        return self.stop.sentence

    def to_json(self) -> str:
        return _write(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CleanState:
        data = json.loads(text)
        data["stop"] = StopCode(data["stop"])
        data["planes"] = tuple(tuple(PlaneStatistics(**p) for p in chan) for chan in data["planes"])
        return cls(**{f.name: data[f.name] for f in fields(cls)})


def _write(data: dict) -> str:
    """The same text for the same values: sorted keys; a number that is not finite is a mistake of the writer."""
    return json.dumps(data, sort_keys=True, indent=1, allow_nan=False) + "\n"
