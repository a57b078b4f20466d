"""corrupt: DATA of MODEL_DATA through the terms of the stations and the processors of visibilities."""

from __future__ import annotations

from imaging.io.ms_columns import Column
from imaging.measurement.build import STATIONS, build
from imaging.measurement.trees import Data
from imaging.stages.inspected import Inspected
from imaging.stages.measured import groups, written
from imaging.stages.predict import SETTING


def corrupt(ms: str, *, out: str, config, inspected: str = "", threads: int = 1) -> None:
    """Write DATA and FLAG of the selected rows and channels, as predict does MODEL_DATA."""
    section, seen = config.measurement, Inspected(inspected)
    with written(ms, out, section.write) as path, groups(path, config.data) as found:
        for group in found:
            maker, meta = build(section, STATIONS, group.observation, threads), group.reader.meta
            here: dict = {}
            tree = maker.corrupt_uv_data(None, Data(lambda tile, here=here: here["vis"]))
            with Column(meta, "DATA", SETTING) as column, Column(meta, "FLAG", SETTING) as flags:
                for rows, tile in group.tiles(section.tile_memory):
                    here["vis"] = group.read("MODEL_DATA", rows)
                    vis, flag = tree.evaluate(tile)
                    group.write(column, rows, vis)
                    group.flag(flags, rows, flag)
                    seen.take(maker, tile)
    seen.save()
