"""What a clean did, in the words of tclean's return dictionary."""

from __future__ import annotations

from typing import Any

from imaging.state import CleanState, MinorResult, PlaneStatistics

BRIEF = ("iterDone", "peakRes", "modelFlux", "cycleThresh")
"""What tclean tells of each minor cycle unless fullsummary is asked for."""


def summarise(clean, states: list[CleanState], minors: list[MinorResult], *, fullsummary: bool = False) -> dict:
    """tclean's return dictionary, with pclean's keys `converged` (the stop code) and `major_cycles`.

    clean : the section of the configuration, or anything with its attributes. states : one a cycle, the last one that
    of the end; minors : one for each state that was followed by a minor cycle. `nmajordone` counts the first residual
    as tclean does, `major_cycles` those after a minor cycle. Fluxes in Jy, peaks in Jy/beam.
    """
    last = states[-1]
    return {
        "converged": int(last.stop),
        "major_cycles": last.cycle,
        "cleanstate": "running",
        "cyclefactor": clean.cyclefactor,
        "cycleiterdone": minors[-1].iterdone if minors else 0,
        "cycleniter": last.cycle_niter,
        "cyclethreshold": last.cycle_threshold,
        "interactiveiterdone": 0,
        "interactivemode": False,
        "interactiveniter": 0,
        "interactivethreshold": 0.0,
        "iterdone": last.iterdone,
        "loopgain": clean.gain,
        "maxpsffraction": clean.maxpsffraction,
        "maxpsfsidelobe": last.sidelobe,
        "minpsffraction": clean.minpsffraction,
        "niter": clean.niter,
        "nmajordone": last.cycle + 1,
        "nsigma": clean.nsigma,
        "stopcode": int(last.stop),
        "stopDescription": last.reason,
        "summarymajor": [state.iterdone for state in states],
        "summaryminor": {0: _of_planes(states, minors, fullsummary)},
        "threshold": clean.threshold,
    }


def _of_planes(states: list[CleanState], minors: list[MinorResult], fullsummary: bool) -> dict:
    """{chan: {pol: {name: one value a minor cycle}}}."""
    planes: dict[int, dict[int, dict[str, list[Any]]]] = {}
    flux: dict[tuple[int, int], float] = {}
    for state, minor in zip(states, minors, strict=False):
        start = state.iterdone
        for plane in minor.planes:
            before = _statistics(state, plane.chan, plane.pol)
            values = {
                "startIterDone": start,
                "iterDone": plane.iterations,
                "startPeakRes": plane.peak_before,
                "peakRes": plane.peak_after,
                "startModelFlux": flux.get((plane.chan, plane.pol), 0.0),
                "modelFlux": plane.model_flux,
                "startPeakResNM": before.peak_nomask if before else None,
                "peakResNM": plane.peak_nomask,
                "cycleThresh": max(state.cycle_threshold, (before.nsigma_threshold or 0.0) if before else 0.0),
                "cycleStartIters": state.iterdone,
                "masksum": before.mask_pixels if before else None,
                "mpiServer": 0,
                "stopCode": int(plane.stop),
            }
            start += plane.iterations
            flux[plane.chan, plane.pol] = plane.model_flux
            told = planes.setdefault(plane.chan, {}).setdefault(plane.pol, {})
            for name in values if fullsummary else BRIEF:
                told.setdefault(name, []).append(values[name])
    return planes


def _statistics(state: CleanState, chan: int, pol: int) -> PlaneStatistics | None:
    """Those of a plane; of all planes together where they are judged together; None where there are none."""
    planes = [plane for one in state.planes for plane in one]
    if len(planes) == 1:
        return planes[0]
    return state.planes[chan][pol] if chan < len(state.planes) and pol < len(state.planes[chan]) else None
