"""What a run says of itself while it goes on, whoever drives it."""

from __future__ import annotations

import math

from imaging.algorithms.selfcal import Verdict
from imaging.state import CleanState
from imaging.units import format_angle, format_flux


def cycle_line(state: CleanState, exactly: bool = False) -> str:
    """What was found in a cycle and decided; `exactly` where it was done again on an exact residual."""
    where = "in the mask" if state.mask_pixels else "in the image, the mask is empty"
    line = (
        f"cycle {state.cycle}{' exactly' if exactly else ''}: peak {format_flux(state.peak or 0)}/beam {where},"
        f" {state.iterdone} iterations"
    )
    if state.stop:
        return f"{line}; stop: {state.reason}"
    return f"{line}; cleaning to {format_flux(state.cycle_threshold)}/beam"


def round_line(verdict: Verdict) -> str:
    """What came of a round of self-calibration, and what follows."""
    now, before = verdict.rounds[-1], [f"{one.dynamic_range:.0f}" for one in verdict.rounds[:-1]]
    line = f"round {now.round}: dynamic range {now.dynamic_range:.0f}" + (
        f", after {', '.join(before)}" if before else ""
    )
    if now.flagged:
        line += f"; {100 * now.flagged:.2g} % of the solutions are flagged"
    return line + (f"; stop: {verdict.reason}; the best is round {verdict.best}" if verdict.stop else "")


def image_line(report: dict) -> str:
    """Peak, noise and beam of the image, as the end of a line; "" where it is blank."""
    beams = [beam for beam in report["beams_rad"] if beam[0] > 0]
    if report["image_peak"] is None or not beams:
        return ""
    major, minor, pa = max(beams)
    more = f" (the largest of {len(beams)})" if len(set(map(tuple, beams))) > 1 else ""
    return (
        f", peak {format_flux(report['image_peak'])}/beam, rms {format_flux(report['image_rms'])}/beam,"
        f" beam {format_angle(major)} x {format_angle(minor)}, PA {math.degrees(pa):.0f} deg{more}"
    )
