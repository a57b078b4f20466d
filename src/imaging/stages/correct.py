"""correct: CORRECTED_DATA of DATA, by the inverses of the terms of the stations, and of the sky toward a source."""

from __future__ import annotations

from pathlib import Path

from imaging.log import logger
from imaging.measurement.build import build, toward
from imaging.stages.inspected import Inspected
from imaging.stages.measured import carry, groups, written


def correct(ms: str, *, out: str, config, inspected: str = "", threads: int = 1) -> None:
    """Write CORRECTED_DATA and FLAG of the selected rows and channels, as predict does MODEL_DATA.

    Samples whose Jones matrices have no inverse stay as they are and are flagged.
    """
    section, seen, singular, outside = config.measurement, Inspected(inspected), 0, 0
    with written(ms, out, section) as path, groups(path, config.data) as found:
        for group in found:
            maker = build(section, context=group.observation, threads=threads)
            source = toward(section, maker)
            tree = carry(group, maker, lambda data, maker=maker, source=source: maker.correct_uv_data(
                None, data, sky_correct=source), "DATA", "CORRECTED_DATA", section.tile_memory, seen)  # fmt: skip
            feeds = group.reader.meta.correlations(group.ddid)
            singular, outside = singular + tree.singular, outside + tree.out_of_bounds
            if tree.mixes and len(feeds) < 4:
                logger.warning("%s has only %s: terms that mix the feeds are undone in part", Path(ms).name,
                               ", ".join(feeds))  # fmt: skip
    if singular:
        logger.warning("%d samples have no correction: they are flagged", singular)
    if outside:
        logger.warning("%d samples have terms outside their bounds: they are flagged", outside)
    seen.save()
