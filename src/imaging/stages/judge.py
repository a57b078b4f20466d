"""judge: whether self-calibration goes on, by the image of this round."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from imaging.algorithms.selfcal import Round, Verdict, next_differs, peak_and_noise
from imaging.algorithms.selfcal import judge as decide
from imaging.image import term
from imaging.io.atomic import atomic_path
from imaging.io.images import load_image
from imaging.log import logger


def judge(image: str, residual: str, mask: str, previous: str = "", solutions: str = "", *, verdict: str, config,
          number: int) -> None:  # fmt: skip
    """Write the `verdict` on round `number`; round 0, before any solutions, has no `previous` one."""
    restored, left, cleaned = (term(load_image(path), 0) for path in (image, residual, mask))
    valid = restored.usable(restored.data.shape) & left.usable(left.data.shape)
    peak, rms = peak_and_noise(restored.data, left.data, cleaned.data > 0, valid)
    flagged, signal = _quality(solutions) if solutions else (None, None)
    selfcal = config.selfcal
    differs = next_differs(number, selfcal.calmode, selfcal.solint)
    earlier = Verdict.of(json.loads(Path(previous).read_text())) if previous else None
    found = decide(earlier, Round(number, peak, rms, flagged, signal), selfcal.mingain, selfcal.rounds, differs)
    logger.info("round %d: dynamic range %.0f; best is round %d; %s", number, found.rounds[-1].dynamic_range,
                found.best, found.reason)  # fmt: skip
    with atomic_path(verdict) as partial:
        partial.write_text(json.dumps(found.as_dict(), indent=1, sort_keys=True, allow_nan=False) + "\n")


def _quality(path: str) -> tuple[float, float]:
    """Fraction of the solutions that is flagged, stations without any left out, and the median signal to noise."""
    from imaging.io.solutions import load_solutions

    windows = load_solutions(path).windows
    flags = np.concatenate([window.flag.ravel() for window in windows])
    idle = np.all([window.flag.reshape(len(window.flag), -1).all(1) for window in windows], axis=0)
    counted = np.concatenate([window.flag[~idle].ravel() for window in windows])
    size = [abs(w.gain) if w.gain.ndim < 5 else np.sqrt((abs(w.gain) ** 2).sum((3, 4)) / 2) for w in windows]
    with np.errstate(divide="ignore", invalid="ignore"):
        signal = np.concatenate([(s / w.error).ravel() for s, w in zip(size, windows, strict=True)])[~flags]
    signal = signal[np.isfinite(signal)]
    return float(counted.mean()) if counted.size else 1.0, float(np.median(signal)) if signal.size else 0.0
