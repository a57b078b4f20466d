"""savemodel: the visibilities of the final model, in the column MODEL_DATA of the MeasurementSets."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import numpy as np

from imaging.algorithms import phase_rotation, polarisation, spectral
from imaging.algorithms.major_cycle import predict
from imaging.algorithms.taylor import Taylor
from imaging.io.atomic import atomic_path
from imaging.io.images import load_image
from imaging.io.ms import Metadata
from imaging.io.ms_columns import Column
from imaging.log import logger
from imaging.stages.ingest import prepare
from imaging.stages.plan import accuracy, open_store


def savemodel(ms: list[str], vis: str, model: str | list[str], *, savemodel: str, config, threads: int = 1) -> None:
    """Write MODEL_DATA of the selected rows and channels, and the record `savemodel` of what was written.

    Channels that were not imaged, autocorrelations and other rows keep what they have, zeros in a new column. Several
    images `model` are Taylor terms.
    """
    written = write_model(ms, vis, model, config, threads, lambda meta: Column(meta))
    with atomic_path(savemodel) as unfinished:
        unfinished.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")


def write_model(ms, vis: str, model, config, threads: int, column_of: Callable[[Metadata], Column]) -> list[dict]:
    """The visibilities of a model, to the column that is opened for each set; returns what was written."""
    store, grid, _ = open_store(vis, config.image)
    images = [load_image(path) for path in ([model] if isinstance(model, str) else model)]
    pixels = np.concatenate([image.data for image in images])
    taylor = Taylor(len(images), images[0].grid.freq[0]) if len(images) > 1 else None
    paths = [ms] if isinstance(ms, str) else list(ms)
    readers, all_parts, place = prepare(paths, config)
    written = []
    for reader, parts in zip(readers, all_parts, strict=True):
        count = 0
        with column_of(reader.meta) as column:
            for ddid, rows, uvw, fields in reader.baselines():
                part, channels = parts[ddid], reader.channels(ddid)
                plane = spectral.planes_of(part.freq, grid, config.image.specmode)
                imaged = np.flatnonzero(plane >= 0)
                for field in np.unique(fields).tolist():
                    own = fields == field
                    old, twist = part.centres[field]
                    model_vis = partial(predict, freq=part.freq, plane=plane, model=pixels, grid=grid,
                                        accuracy=accuracy(config.gridding), threads=threads, taylor=taylor)  # fmt: skip
                    found = phase_rotation.predict_back(
                        uvw[own], part.freq, old, place["phase_centre"], twist, model_vis
                    )
                    values = polarisation.make_correlations(found, grid.stokes, reader.meta.correlations(ddid))
                    column.put(rows[own], channels[imaged], values[:, imaged])
                count += len(rows)
        logger.info("%s: MODEL_DATA of %d rows", reader.meta.path, count)
        written.append({"path": reader.meta.path, "rows": count})
        reader.close()
    return written
