"""corrupt: DATA of MODEL_DATA through the terms of the stations and the processors of visibilities."""

from __future__ import annotations

from imaging.measurement.build import STATIONS, build
from imaging.stages.inspected import Inspected
from imaging.stages.measured import carry, groups, written


def corrupt(ms: str, *, out: str, config, inspected: str = "", threads: int = 1) -> None:
    """Write DATA and FLAG of the selected rows and channels, as predict does MODEL_DATA."""
    section, seen = config.measurement, Inspected(inspected)
    with written(ms, out, section) as path, groups(path, config.data) as found:
        for group in found:
            maker = build(section, STATIONS, group.observation, threads)
            carry(group, maker, lambda data, maker=maker: maker.corrupt_uv_data(None, data), "MODEL_DATA", "DATA",
                  section.tile_memory, seen)  # fmt: skip
    seen.save()
