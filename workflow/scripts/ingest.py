"""Rule ingest: read the MeasurementSets once into the visibility store."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "ingest"):
    from imaging.stages.ingest import ingest

    ingest(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
