"""When to stop, and how deep the next minor cycle may go: pure functions of small numbers.

Thresholds, limits and stop codes are those of tclean. Where `compat` is not "casa", a diverged clean points back to
the cycle with the lowest peak, and a plane that is done (at its n-sigma threshold) neither sets how deep the others
may go nor ends the loop because its peak stays as it is. A minor cycle that did nothing ends the loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imaging.algorithms.masking import Noise, robust_noise
from imaging.state import CleanState, MinorResult, PlaneStatistics, PlaneStop, StopCode

TOLERANCE = 0.01  # a peak within 1 % of a threshold has reached it
DIVERGENCE = 3.0  # relative increase of the peak that counts as divergence
PLANE_DIVERGENCE = 0.1  # relative rise of a plane's peak in one minor cycle
NO_CHANGE = 1e-10


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user allows, in tclean's words; `threshold` in Jy/beam, -1 for no limit of cycleniter and nmajor."""

    niter: int
    threshold: float = 0.0
    nsigma: float = 0.0
    cycleniter: int = -1
    cyclefactor: float = 1.0
    minpsffraction: float = 0.05
    maxpsffraction: float = 0.8
    nmajor: int = -1


def _peak(values: np.ndarray) -> float | None:
    return float(np.abs(values).max()) if values.size else None


def residual_statistics(
    residual: np.ndarray,
    mask: np.ndarray,
    valid: np.ndarray,
    *,
    noise_valid: np.ndarray | None = None,
    nsigma: float = 0.0,
    noise: list[list[Noise]] | None = None,
    automasking: bool = False,
    fastnoise: bool = True,
) -> tuple[tuple[PlaneStatistics, ...], ...]:
    """Peak, mask size, noise and n-sigma threshold of each plane of `residual` (chan, pol, y, x), Jy/beam.

    `mask` and `valid` as `residual`, bool. The n-sigma threshold is nsigma * rms, with automasking the median added
    to it. `noise` saves measuring it again (what `automask` returned); otherwise it comes from the pixels of
    `noise_valid` (pb > pbmask), or `valid`.
    """
    planes = []
    for chan in range(residual.shape[0]):
        planes.append([])
        for pol in range(residual.shape[1]):
            values, ok = residual[chan, pol], valid[chan, pol] & np.isfinite(residual[chan, pol])
            inside = mask[chan, pol] & ok
            quiet = ok if noise_valid is None else ok & noise_valid[chan, pol]
            own = noise[chan][pol] if noise else robust_noise(values, quiet, mask[chan, pol], fastnoise)
            level = nsigma * own.sigma + (own.median if automasking else 0.0)
            planes[-1].append(
                PlaneStatistics(
                    peak=_peak(values[inside]),
                    peak_nomask=_peak(values[ok]),
                    mask_pixels=int(np.count_nonzero(mask[chan, pol])),
                    median=own.median,
                    rms=own.sigma,
                    nsigma_threshold=level if nsigma > 0 else None,
                )
            )
    return tuple(tuple(chan) for chan in planes)


def _largest(values) -> float | None:
    return max((v for v in values if v is not None), default=None)


def _smallest(*values: float | None) -> float | None:
    return min((v for v in values if v is not None), default=None)


def psf_fraction(sidelobe: float, limits: Limits) -> float:
    """How far below the peak a minor cycle may go, as a fraction of it."""
    return min(max(sidelobe * limits.cyclefactor, limits.minpsffraction), limits.maxpsffraction)


def _reached(peak: float, level: float) -> bool:
    return peak <= level or (level > 0 and (peak - level) / level < TOLERANCE)


def _unfinished(planes) -> list[PlaneStatistics]:
    """The planes with something to clean that are not at their own n-sigma threshold; one without data is blank."""
    return [
        p for p in planes
        if p.peak and not ((p.nsigma_threshold or 0) > 0 and _reached(p.peak, p.nsigma_threshold))
    ]  # fmt: skip


def _relative(increase: float, reference: float | None) -> float:
    return increase / abs(reference) if reference else 0.0


def _unchanged(previous: CleanState, planes: list[PlaneStatistics]) -> bool:
    """Whether no plane's peak has changed; an empty mask counts as a peak of 0."""
    before = [p for chan in previous.planes for p in chan]
    return all(abs((p.peak or 0) - (q.peak or 0)) < NO_CHANGE for p, q in zip(before, planes, strict=True))


def _stop_code(cycle, iterdone, peak, peak_nomask, mask_pixels, planes, previous, limits, compat, wanted) -> StopCode:
    """The global stop code; later tests overrule earlier ones, nmajor comes last.

    wanted: a deconvolver that judges thresholds itself wants to go on.
    """
    first = cycle == 0 and iterdone == 0
    stop = StopCode.GO_ON
    if (first and mask_pixels == 0) or peak is None:
        return StopCode.EMPTY_MASK
    below, noisy = _reached(peak, limits.threshold), limits.nsigma > 0 and mask_pixels > 0 and not _unfinished(planes)
    below, noisy = below and not wanted, noisy and not wanted
    if iterdone >= limits.niter or below or noisy:
        if iterdone >= limits.niter:
            stop = StopCode.NITER
        if below:
            stop = StopCode.THRESHOLD
        elif noisy:
            stop = StopCode.NSIGMA
    else:
        moved = previous is not None and iterdone > 0 and cycle > previous.cycle
        if mask_pixels == 0:
            stop = StopCode.EMPTY_MASK
        elif moved and abs(previous.peak - peak) < NO_CHANGE and (compat == "casa" or _unchanged(previous, planes)):
            stop = StopCode.NO_CHANGE
        if moved and _relative(abs(peak_nomask - previous.peak_nomask), previous.peak_nomask) > DIVERGENCE:
            stop = StopCode.DIVERGED
        if moved and _relative(peak_nomask - previous.min_peak_nomask, previous.min_peak_nomask) > DIVERGENCE:
            stop = StopCode.DIVERGED_SLOWLY
    if stop == StopCode.GO_ON and -1 < limits.nmajor <= cycle:
        stop = StopCode.NMAJOR
    return stop


def next_state(
    previous: CleanState | None,
    minor: MinorResult | None,
    planes: tuple[tuple[PlaneStatistics, ...], ...],
    limits: Limits,
    sidelobe: float,
    compat: str = "",
) -> CleanState:
    """Decide after a major cycle.

    previous, minor : the last decision and what came of it; None at the start. planes : of the new residual in the
    new mask, from `residual_statistics`. sidelobe : largest of the psf (fraction).
    """
    cycle = 0 if previous is None else previous.cycle + 1
    iterdone = (previous.iterdone if previous else 0) + (minor.iterdone if minor else 0)
    flat = [p for chan in planes for p in chan]
    mask_pixels = sum(p.mask_pixels for p in flat)
    peak_nomask = _largest(p.peak_nomask for p in flat)
    peak = _largest(p.peak for p in flat)
    peak = peak_nomask if peak is None else peak
    wanted = minor is not None and minor.judges and minor.go_on
    stop = _stop_code(cycle, iterdone, peak, peak_nomask, mask_pixels, flat, previous, limits, compat, wanted)
    if stop in (StopCode.GO_ON, StopCode.NO_CHANGE) and minor is not None and not minor.go_on:
        stop = StopCode.DECONVOLVER
    elif stop == StopCode.GO_ON and minor is not None and minor.iterdone == 0:
        stop = StopCode.NO_CHANGE
    fraction = psf_fraction(sidelobe, limits)
    # A plane of much noise would keep the others from being cleaned after it is done.
    brightest = None if compat == "casa" else _largest(p.peak for p in _unfinished(flat))
    cycle_threshold = max((brightest or peak or 0.0) * fraction, limits.threshold)
    per_cycle = limits.cycleniter if limits.cycleniter > 0 else limits.niter
    min_nomask = _smallest(peak_nomask, previous.min_peak_nomask if previous else None)
    lowest = previous is None or min_nomask != previous.min_peak_nomask
    min_cycle = cycle if lowest else previous.min_cycle
    roll_back = stop in (StopCode.DIVERGED, StopCode.DIVERGED_SLOWLY) and compat != "casa"
    return CleanState(
        cycle=cycle,
        iterdone=iterdone,
        stop=stop,
        peak=peak,
        peak_nomask=peak_nomask,
        prev_peak=previous.peak if previous else None,
        prev_peak_nomask=previous.peak_nomask if previous else None,
        min_peak=_smallest(peak, previous.min_peak if previous else None),
        min_peak_nomask=min_nomask,
        min_cycle=min_cycle,
        best_cycle=min_cycle if roll_back else cycle,
        mask_pixels=mask_pixels,
        sidelobe=sidelobe,
        psf_fraction=fraction,
        threshold=limits.threshold,
        cycle_threshold=cycle_threshold,
        cycle_niter=max(min(per_cycle, limits.niter - iterdone), 0),
        threshold_reached=cycle_threshold == limits.threshold,
        model_flux=minor.model_flux if minor else (previous.model_flux if previous else 0.0),
        planes=planes,
    )


def plane_stop(done: int, budget: int, before: float, after: float, cycle: float, nsigma: float) -> PlaneStop:
    """tclean's code for one plane's minor cycle; later tests overrule earlier ones."""
    code = PlaneStop.EARLY
    if done >= budget:
        code = PlaneStop.CYCLENITER
    if cycle >= nsigma and after <= cycle:
        code = PlaneStop.CYCLETHRESHOLD
    elif cycle < nsigma and after <= nsigma:
        code = PlaneStop.NSIGMA
    if done == 0 and code == PlaneStop.EARLY:
        code = PlaneStop.NO_ITERATIONS
    if done > 0 and after > (1 + PLANE_DIVERGENCE) * before:
        code = PlaneStop.DIVERGED
    return code
