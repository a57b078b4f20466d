"""report: what was done, and how it went, in one file."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np

from imaging.algorithms.major_cycle import measure_accuracy
from imaging.algorithms.source_measuring import robust_rms
from imaging.io.atomic import atomic_path
from imaging.io.images import load_image
from imaging.stages.plan import accuracy, open_parts
from imaging.state import CleanState, MinorResult


def report(states: list[str], minors: list[str], vis: str, weights: str, image: str, *, report: str, config) -> None:
    """Write `report`: the cycles, why the loop stopped, the image's noise and peak, the accuracy of the sums."""
    decisions = [CleanState.from_json(Path(path).read_text()) for path in states]
    found = [MinorResult.from_json(Path(path).read_text()) for path in minors]
    restored = load_image(image)
    store, grid, parts = open_parts(vis, weights, config.image)
    last = decisions[-1]
    values = restored.data[restored.usable(restored.data.shape)]
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # no sampled pixel may be on the sky
        error = measure_accuracy(parts, grid, accuracy(config.gridding))
    summary = {
        "stopcode": int(last.stop),
        "stopDescription": last.stop.sentence,
        "final_cycle": last.best_cycle,
        "iterdone": last.iterdone,
        "cycles": [
            {
                "cycle": d.cycle,
                "peak": d.peak,
                "rms": max((p.rms for chan in d.planes for p in chan if p.rms is not None), default=None),
                "cycle_threshold": d.cycle_threshold,
                "mask_pixels": d.mask_pixels,
                "psf_error": d.psf_error,
                "iterations": m.iterdone if m else 0,
                "model_flux": m.model_flux if m else last.model_flux,
            }
            for d, m in zip(decisions, [*found, None], strict=True)
        ],
        "beams_rad": [[b.major, b.minor, b.pa] for b in restored.beams],
        "image_peak": float(values.max()) if values.size else None,
        "image_rms": robust_rms(values) if values.size else None,
        "direct_sum_error": error if error is not None and np.isfinite(error) else None,
        "epsilon": config.gridding.epsilon,
        "data": store.meta["parts"],
    }
    with atomic_path(report) as partial:
        partial.write_text(json.dumps(summary, indent=1, sort_keys=True, allow_nan=False) + "\n")
