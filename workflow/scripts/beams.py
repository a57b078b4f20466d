"""Rule beams: terms of the sky as images."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "beams"):
    from imaging.stages.beams import beams

    beams(
        list(snakemake.input.ms),
        snakemake.input.vis,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
