"""minor_cycle: find model components down to this cycle's threshold."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from imaging.contracts import Channel, Meta
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.plugins import find_deconvolver, is_builtin
from imaging.state import CleanState, MinorResult

JUDGES = ("wideband",)  # deconvolvers that compare with the final and n-sigma thresholds themselves
OPTIONS = ("scales", "smallscalebias", "scalebias", "join", "squared_join", "fit_spectrum", "fit_terms",
           "deconvolution_channels", "nsigma", "automask_sigma", "local_rms", "local_rms_window",
           "local_rms_strength")  # fmt: skip


def minor_cycle(residual: str, mask: str, psf: str, sumwt: str, state: str, model: str = "", memory: str = "",
                pb: str = "", *, model_out: str, minor: str, memory_out: str = "", residual_out: str = "", config,
                timeout: float = 0.0) -> None:  # fmt: skip
    """Make the image `model_out`, `model` (empty in the first cycle) and what was found, and the record `minor`.

    `memory` is the file of what the deconvolver kept in the last cycle, `memory_out` that of what it keeps in this one.
    `residual_out` is the residual as the deconvolver leaves it, for who goes on without a major cycle. A deconvolver of
    the user's may take `timeout` seconds (0 for any).
    """
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
        channels=[Channel(f, float(w)) for f, w in zip(image.grid.freq, weight, strict=False)],
        mask=load_image(mask).data > 0,
        plane_thresholds=np.array([[p.nsigma_threshold or 0.0 for p in chan] for chan in decision.planes]),
        options=_options(config, image.grid),
        compat=config.compat,
    )
    name, kept = config.clean.deconvolver, pickle.loads(Path(memory).read_bytes()) if memory else {}
    if not is_builtin(name):
        _add_extras(meta, decision, pb, config.clean, timeout)
    meta.state = kept.get(name, {})
    found = find_deconvolver(name)(image.data, before, beam_image.data[:, 0], meta)
    kept = {key: value for key, value in {**kept, name: meta.state}.items() if value}
    judges = name in JUDGES
    go_on = bool(found["continue"]) or not (judges or not is_builtin(name))
    result = MinorResult(meta.iteration_number - decision.iterdone, tuple(meta.plane_results), go_on, judges)
    logger.info("%d iterations, model flux %.6g Jy", result.iterdone, result.model_flux)
    with atomic_path(minor) as partial:
        partial.write_text(result.to_json())
    if memory_out:
        with atomic_path(memory_out) as partial:
            partial.write_bytes(pickle.dumps(kept, protocol=5))
    if residual_out:
        save_image(image.with_data(found["residual"]), residual_out)
    save_image(image.with_data(found["model"], unit="Jy/pixel"), model_out)


def _options(config, grid) -> dict:
    """The deconvolver's parameters."""
    clean, spectrum = config.clean, None
    if getattr(clean, "spectrum_map", ""):
        terms = load_image(clean.spectrum_map).data
        spectrum = terms.reshape(-1, *terms.shape[2:])
        if spectrum.shape[1:] != grid.shape:
            raise ImagingError("The map of spectra has another size than the image.",
                               got=f"{spectrum.shape[2]} x {spectrum.shape[1]} pixels",
                               expected=f"{grid.shape[1]} x {grid.shape[0]}",
                               next_step="regrid clean.spectrum_map to the image")  # fmt: skip
        spectrum = np.nan_to_num(spectrum)
    given = vars(clean)
    return {name: given[name] for name in OPTIONS if name in given} | {
        "stokes": grid.stokes,
        "spectrum": spectrum,
        "scale_shape": "gaussian" if config.restore.components else "tapered-quadratic",  # what a list can say
    }


def _add_extras(meta: Meta, decision: CleanState, pb: str, clean, timeout: float) -> None:
    """What the built-in deconvolvers find out for themselves, or do without."""
    from imaging.algorithms.spectral_fitting import SpectralFitter

    meta.options |= {"script_planes": clean.script_planes, "script_mask": clean.script_mask, "script_timeout": timeout}
    frequency, weight = [c.frequency for c in meta.channels], [c.weight for c in meta.channels]
    spectrum = meta.options["spectrum"]
    meta.spectral_fitter = SpectralFitter(clean.fit_spectrum, clean.fit_terms, frequency, weight, spectrum)
    meta.square_joined_channels = clean.squared_join
    meta.rms = np.array([[plane.rms or 0.0 for plane in chan] for chan in decision.planes])
    meta.pb = np.nan_to_num(load_image(pb).data) if pb else None
