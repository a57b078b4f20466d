"""minor_cycle: find model components down to this cycle's threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imaging.contracts import Channel, Meta
from imaging.io.atomic import atomic_path
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.plugins import find_deconvolver
from imaging.state import CleanState, MinorResult


def minor_cycle(residual: str, mask: str, psf: str, sumwt: str, state: str, model: str = "", *,
                model_out: str, minor: str, config) -> None:  # fmt: skip
    """Make the image `model_out`, `model` (empty in the first cycle) and what was found, and the record `minor`."""
    image, beam_image = load_image(residual), load_image(psf)
    decision = CleanState.from_json(Path(state).read_text())
    before = load_image(model).data if model else np.zeros_like(image.data)
    weight = load_image(sumwt).data[:, 0, 0, 0]
    meta = Meta(
        iteration_number=decision.iterdone,
        max_iterations=decision.iterdone + decision.cycle_niter,
        gain=config.clean.gain,
        mgain=1 - decision.psf_fraction,
        major_iter_threshold=decision.cycle_threshold,
        final_threshold=decision.threshold,
        channels=[Channel(f, float(w)) for f, w in zip(image.grid.freq, weight, strict=True)],
        mask=load_image(mask).data > 0,
        plane_thresholds=np.array([[p.nsigma_threshold or 0.0 for p in chan] for chan in decision.planes]),
        options={"scales": config.clean.scales, "smallscalebias": config.clean.smallscalebias},
        compat=config.compat,
    )
    found = find_deconvolver(config.clean.deconvolver)(image.data, before, beam_image.data[:, 0], meta)
    result = MinorResult(meta.iteration_number - decision.iterdone, tuple(meta.plane_results))
    logger.info("%d iterations, model flux %.6g Jy", result.iterdone, result.model_flux)
    with atomic_path(minor) as partial:
        partial.write_text(result.to_json())
    save_image(image.with_data(found["model"], unit="Jy/pixel"), model_out)
