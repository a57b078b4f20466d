"""correct: CORRECTED_DATA of DATA, by the inverses of the terms of the stations, and of the sky toward a source."""

from __future__ import annotations

from pathlib import Path

from imaging.io.ms_columns import Column
from imaging.log import logger
from imaging.measurement.build import build, toward
from imaging.measurement.trees import Data
from imaging.stages.inspected import Inspected
from imaging.stages.measured import groups, written
from imaging.stages.predict import SETTING


def correct(ms: str, *, out: str, config, inspected: str = "", threads: int = 1) -> None:
    """Write CORRECTED_DATA and FLAG of the selected rows and channels, as predict does MODEL_DATA.

    Samples whose Jones matrices have no inverse stay as they are and are flagged.
    """
    section, seen, singular, outside = config.measurement, Inspected(inspected), 0, 0
    with written(ms, out, section.write) as path, groups(path, config.data) as found:
        for group in found:
            maker, meta = build(section, context=group.observation, threads=threads), group.reader.meta
            here: dict = {}
            data = Data(lambda tile, here=here: here["vis"])
            tree = maker.correct_uv_data(None, data, sky_correct=toward(section, maker))
            with Column(meta, "CORRECTED_DATA", SETTING) as column, Column(meta, "FLAG", SETTING) as flags:
                for rows, tile in group.tiles(section.tile_memory):
                    here["vis"] = group.read("DATA", rows)
                    vis, flag = tree.evaluate(tile)
                    group.write(column, rows, vis)
                    group.flag(flags, rows, flag)
                    seen.take(maker, tile)
            singular, outside = singular + tree.singular, outside + tree.out_of_bounds
            if tree.mixes and len(meta.correlations(group.ddid)) < 4:
                logger.warning("%s has only %s: terms that mix the feeds are undone in part", Path(ms).name,
                               ", ".join(meta.correlations(group.ddid)))  # fmt: skip
    if singular:
        logger.warning("%d samples have no correction: they are flagged", singular)
    if outside:
        logger.warning("%d samples have terms outside their bounds: they are flagged", outside)
    seen.save()
