"""`imaging check`: what a run would refuse, as far as the configuration and small columns of the data tell."""

from __future__ import annotations

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
    if config.measurement.steps:
        check_steps(config)
        return
    image = config.image
    readers, parts, _ = prepare(list(config.data.vis), Settings.of(config.settings("ingest")))
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
    """Raise what the steps would refuse of the section measurement: its modules are made, the sets looked into."""
    from imaging.measurement.build import build, toward
    from imaging.names import Names
    from imaging.observation import Observation
    from imaging.stages.measured import groups
    from imaging.steps import Steps

    section = Settings.of(config.values())
    steps = Steps(config, Names(config.name))
    maker = build(section.measurement)
    if steps.order[0] == "simulate":
        Observation.parse(config.measurement.observe)
    toward(section.measurement, maker)
    for path in filter(None, steps.sets.values()):
        with groups(path, section.data):
            pass


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
        solving.feeds_of(readers, selfcal.gaintype)
        for number in range(1, 1 + min(selfcal.rounds, max(len(selfcal.calmode), len(selfcal.solint)))):
            solving.windows_of(readers, Settings.of(config.settings("solve", number)).selfcal, stations)
