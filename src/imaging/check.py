"""`imaging check`: what a run would refuse, as far as the configuration and small columns of the data tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imaging.algorithms.spectral import output_channels
from imaging.config import Config
from imaging.resources import check_memory
from imaging.settings import Settings
from imaging.stages.ingest import prepare
from imaging.stages.weights import check_cell
from imaging.units import SPEED_OF_LIGHT


def check(config: Config, here: bool) -> None:
    """Raise what ingest and weights would, without reading a visibility; flags are not known here.

    here : it will run on this machine.
    """
    config.identify_data()
    config.check_files()
    if here:
        check_memory(config)
    settings = config.settings("ingest")
    if config.measurement.steps:
        check_steps(config)
        if not (config.data.vis and config.measurement.image):
            return
        settings["data"]["datacolumn"] = "data"  # what the steps will make is not there yet
    image = config.image
    readers, parts, _ = prepare(list(config.data.vis), Settings.of(settings))
    plans = [part.plan for some in parts for part in some.values()]
    output_channels([plan.freq for plan in plans], [plan.width for plan in plans],
                    image.specmode, image.nchan, image.start, image.width)  # fmt: skip
    longest = max(
        reader.survey.reach[ddid] * part.plan.freq.max()
        for reader, some in zip(readers, parts, strict=True)
        for ddid, part in some.items()
    )
    check_cell(longest / SPEED_OF_LIGHT, max(image.cell))
    check_solutions(config, readers)


def check_steps(config: Config) -> None:
    """Raise what the steps would refuse: modules are made, and asked for the first time of each field and window."""
    from imaging.measurement.build import build, some_sources, toward
    from imaging.names import Names
    from imaging.stages.measured import groups
    from imaging.steps import Steps

    section = Settings.of(config.values())
    steps = Steps(config, Names(config.name))
    maker = build(section.measurement)
    toward(section.measurement, maker)
    if "predict" in steps.order:
        some_sources(maker)
    if not any(steps.sets.values()):
        _try(section.measurement, _simulated(config.measurement.observe))
    for path in filter(None, steps.sets.values()):
        with groups(path, section.data) as found:
            if steps.order[0] == "corrupt":
                found[0].need("MODEL_DATA")
            for group in found:
                _try(section.measurement, group.observation)


def _try(section, observation) -> None:
    """Evaluate the whole equation at one time and channel."""
    from imaging.measurement.build import build

    first = observation.time == observation.time.min()
    rows = {name: getattr(observation, name)[first] for name in ("antenna1", "antenna2", "time", "uvw")}
    width = np.broadcast_to(observation.width, observation.freq.shape)[:1]
    little = replace(observation, **rows, freq=observation.freq[:1], width=width)
    maker = build(section, context=little)
    tree = maker.make_predict_tree()
    for _, tile in little.tiles():
        tree.evaluate(tile)


def _simulated(values: dict):
    """The first time of what simulate would observe."""
    from imaging.measurement.tiles import Observation as Context
    from imaging.observation import Observation
    from imaging.stages.simulate import tracks

    observe = Settings.of(Observation.parse(values).values())
    positions, names, (p, q, time, uvw), freq, centre = tracks(observe)
    return Context(tuple(names), p, q, time, uvw, freq, centre, observe.chanwidth, observe.integration, observe.feeds,
                   positions)  # fmt: skip


def check_solutions(config: Config, readers) -> None:
    """Raise what solve would refuse of the section selfcal, and ingest of data.solutions."""
    from imaging.stages import correcting

    if table := correcting.load(config.data.solutions):
        for reader in readers:
            correcting.Corrector(reader, table, config.data.interp)
    selfcal = config.selfcal
    if selfcal.rounds:
        from imaging.stages import solving

        stations = solving.stations_of(readers)
        solving.check_number(len(stations), "in the sets", selfcal)
        solving.feeds_of(readers, selfcal.gaintype)
        for number in range(1, 1 + min(selfcal.rounds, max(len(selfcal.calmode), len(selfcal.solint)))):
            solving.windows_of(readers, Settings.of(config.settings("solve", number)).selfcal, stations)
