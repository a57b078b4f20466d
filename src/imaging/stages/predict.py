"""predict: MODEL_DATA of the sky models through the terms of the sky."""

from __future__ import annotations

from imaging.io.ms_columns import Column
from imaging.measurement.build import SKY, build, some_sources
from imaging.stages.inspected import Inspected
from imaging.stages.measured import SETTING, groups, written


def predict(ms: str, *, out: str, config, inspected: str = "", threads: int = 1) -> None:
    """Write MODEL_DATA of the selected rows and channels: a copy `out` of `ms`, or `ms` itself and a record `out`."""
    section = config.measurement
    seen = Inspected(inspected)
    with written(ms, out, section) as path, groups(path, config.data) as found:
        for group in found:
            maker = build(section, SKY, group.observation, threads)
            some_sources(maker)
            tree = maker.make_predict_tree()
            with Column(group.reader.meta, "MODEL_DATA", SETTING) as column:
                for rows, tile in group.tiles(section.tile_memory):
                    vis, _ = tree.evaluate(tile)
                    group.write(column, rows, vis)
                    seen.take(maker, tile, group.key)
    seen.save()
