"""solve: gains of the stations, from the visibilities of MeasurementSets and of a model."""

from __future__ import annotations

from collections import Counter

import numpy as np

from imaging.algorithms.calibration import GainTable, normalise, refer
from imaging.io.ms import data_column
from imaging.io.ms_reader import open_readers
from imaging.io.solutions import save_solutions
from imaging.log import logger
from imaging.stages import solving
from imaging.stages.modelvis import model_table


def solve(ms: list[str], modelvis: str = "", *, solutions: str, config) -> None:
    """Write `solutions` for the selected rows and channels; the model is in `modelvis`, or in MODEL_DATA of the sets.

    `config` holds data and selfcal (calmode, solint, ... of one round). Raises ImagingError where nothing can be
    solved for.
    """
    paths, wishes = [ms] if isinstance(ms, str) else list(ms), config.selfcal
    readers = open_readers(paths, config.data)
    stations, feeds = solving.stations_of(readers), solving.feeds_of(readers, wishes.gaintype)
    windows = solving.windows_of(readers, wishes, stations)
    counts, seen = Counter(), set()
    for number, reader in enumerate(readers):
        place = np.array([stations.index(name) for name in reader.meta.antennas])
        all_names = {ddid: reader.meta.correlations(ddid) for ddid in reader.survey.rows}
        wanted = {ddid: solving.places_of(names, wishes.gaintype) for ddid, names in all_names.items()}
        model = model_table(modelvis, paths.index(reader.meta.path)) if modelvis else reader.meta.path
        for chunk in reader.chunks(data_column(reader.meta, config.data.datacolumn), wanted, model):
            weight = solving.usable_weight(chunk, counts)
            rows = weight.any((1, 2))
            seen |= {stations[i] for i in place[np.unique([chunk.antenna1[rows], chunk.antenna2[rows]])]}
            names = [all_names[chunk.ddid][i] for i in wanted[chunk.ddid]]
            windows[solving.Window.key(reader, chunk.ddid)].take(number, chunk, weight, place, names)
        reader.close()
    found = [window.gains for window in windows.values()]
    solving.check_result(found, counts, len(seen), wishes)
    found = tuple(normalise(gains) if wishes.solnorm else gains for gains in found)
    table = refer(GainTable(stations, feeds, found, wishes.calmode), wishes.refant)
    logger.info("phases are those relative to %s", table.refant)
    save_solutions(table, solutions)
