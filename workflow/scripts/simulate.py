"""Rule simulate: a MeasurementSet of an array that follows a field."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "simulate"):
    from imaging.observation import Observation
    from imaging.stages.simulate import simulate

    values = Observation.parse(snakemake.params.config["measurement"]["observe"]).values()
    simulate(**snakemake.output, config=Settings.of(values))
