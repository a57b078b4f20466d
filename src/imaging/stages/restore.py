"""restore: final residual, model and mask; the model with the restoring beam on the residual."""

from __future__ import annotations

import numpy as np

from imaging import units
from imaging.algorithms import restoring
from imaging.algorithms.beams import common_beam, deconvolve_beam
from imaging.image import Beam
from imaging.io.images import load_image, save_image
from imaging.log import logger
from imaging.state import CleanState


def restore(residual: str, mask: str, psf: str, pb: str, state: str, loop: str = "", model: str = "", *, image: str,
            residual_out: str, model_out: str, mask_out: str, config, provenance: dict) -> None:  # fmt: skip
    """Make `image` and the final `residual_out`, `model_out`, `mask_out`; no `model` is an empty one."""
    left, beam_image = load_image(residual), load_image(psf)
    components = load_image(model).data if model else np.zeros_like(left.data)
    cleaned = load_image(mask)
    shape = left.data.shape
    valid = load_image(pb).usable(shape, config.primary_beam.pblimit) & beam_image.usable(shape)
    own = beam_image.beams
    targets = restoring_beams(config.restore.restoringbeam, own, config.compat)
    data = np.zeros_like(left.data)
    for chan, pol in np.ndindex(shape[:2]):
        if own[chan].major > 0:
            data[chan, pol] = restoring.restore(
                components[chan, pol], left.data[chan, pol], targets[chan], left.grid.cell, own[chan], config.compat
            )
    with open(state) as file:
        decision = CleanState.from_json(file.read())
    header = left.header | _provenance(decision, provenance, left.header.get("HISTORY", []))
    left = left.with_data(left.data, header=header)
    save_image(left.with_data(data, beams=targets, valid=valid), image)
    save_image(left.with_data(left.data, beams=own, valid=valid), residual_out)
    save_image(left.with_data(components, unit="Jy/pixel"), model_out)
    save_image(cleaned.with_data(cleaned.data, header=header | {"BTYPE": "Mask"}), mask_out)


def restoring_beams(restoringbeam: list[str], own: tuple[Beam, ...], compat: str) -> tuple[Beam, ...]:
    """The beam of each channel of the restored image."""
    if not restoringbeam:
        return tuple(own)
    beam = common_beam(list(own), compat) if restoringbeam == ["common"] else Beam(*units.parse_beam(restoringbeam))
    if any(beam != psf_beam and deconvolve_beam(beam, psf_beam) is None for psf_beam in own):
        logger.warning("restore.restoringbeam does not contain the psf's beam: the residual keeps its resolution")
    return (beam,) * len(own)


def _provenance(decision: CleanState, provenance: dict, history: list[str]) -> dict:
    """What the headers of the final products say of how they were made."""
    import yaml

    versions = [f"{name} {version}" for name, version in provenance["versions"].items()]
    configuration = yaml.safe_dump(provenance["config"], sort_keys=False, width=70).splitlines()
    return {
        "CONFHASH": (provenance["digest"], "hash of the whole configuration"),
        "NITER": (decision.iterdone, "clean iterations"),
        "NMAJOR": (decision.best_cycle, "clean major cycles"),
        "STOPCODE": (int(decision.stop), "why clean stopped, tclean's number"),
        "STOPDESC": decision.stop.sentence,
        "HISTORY": [*history, *versions, "configuration:", *configuration],
    }
