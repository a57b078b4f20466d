"""savemodel: the visibilities of the final model, in the column MODEL_DATA of the MeasurementSets."""

from __future__ import annotations

import json

import numpy as np

from imaging.algorithms import phase_rotation, polarisation
from imaging.algorithms.major_cycle import predict
from imaging.algorithms.taylor import Taylor
from imaging.io.atomic import atomic_path
from imaging.io.images import load_image
from imaging.io.ms_model import ModelColumn
from imaging.log import logger
from imaging.stages.ingest import prepare
from imaging.stages.plan import accuracy, open_store


def savemodel(ms: list[str], vis: str, model: str | list[str], *, savemodel: str, config, threads: int = 1) -> None:
    """Write MODEL_DATA of the selected rows and channels, and the record `savemodel` of what was written.

    Channels that were not imaged, autocorrelations and other rows keep what they have, zeros in a new column. Several
    images `model` are Taylor terms.
    """
    store, grid, _ = open_store(vis, config.image)
    images = [load_image(path) for path in ([model] if isinstance(model, str) else model)]
    pixels = np.concatenate([image.data for image in images])
    taylor = Taylor(len(images), images[0].grid.freq[0]) if len(images) > 1 else None
    paths = [ms] if isinstance(ms, str) else list(ms)
    readers, all_parts, place = prepare(paths, config)
    written = []
    for reader, parts in zip(readers, all_parts, strict=True):
        count = 0
        with ModelColumn(reader.meta) as column:
            for ddid, rows, uvw, fields in reader.baselines():
                part, channels = parts[ddid], reader.channels(ddid)
                plane = _planes(part.freq, grid, config.image.specmode)
                imaged = np.flatnonzero(plane >= 0)
                for field in np.unique(fields).tolist():
                    own = fields == field
                    old, twist = part.centres[field]
                    found = _seen_from(uvw[own], part.freq, old, place["phase_centre"], twist, lambda turned, part=part,
                                       plane=plane: predict(turned, part.freq, plane, pixels, grid,
                                                            accuracy(config.gridding), threads, taylor))  # fmt: skip
                    values = polarisation.make_correlations(found, grid.stokes, reader.meta.correlations(ddid))
                    column.put(rows[own], channels[imaged], values[:, imaged])
                count += len(rows)
        logger.info("%s: MODEL_DATA of %d rows", reader.meta.path, count)
        written.append({"path": reader.meta.path, "rows": count})
        reader.close()
    with atomic_path(savemodel) as partial:
        partial.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")


def _planes(freq, grid, specmode: str) -> np.ndarray:
    """The image channel of each data channel, -1 for none."""
    if specmode == "mfs":
        return np.zeros(len(freq), np.int64)
    centres, widths = np.array(grid.freq), np.array(grid.width)
    nearest = np.abs(freq[:, None] - centres).argmin(axis=1)
    return np.where(np.abs(freq - centres[nearest]) <= widths[nearest] * (0.5 + 1e-6), nearest, -1)


def _seen_from(uvw, freq, old, new, twist: float, predicted) -> np.ndarray:
    """`predicted(uvw)` for the phase centre `new`, with the phases of `old` in which the set has it."""
    finite = np.where(np.isfinite(uvw), uvw, 0.0)
    turned, phases = phase_rotation.rotate(
        finite, np.ones((1, len(uvw), len(freq)), np.complex64), freq, old, new, twist
    )
    return predicted(turned) * phases.conj()
