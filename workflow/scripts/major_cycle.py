"""Rule major_cycle: residual image of the data less the model."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "major_cycle"):
    from imaging.stages.major_cycle import major_cycle

    major_cycle(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
        threads=snakemake.threads,
    )
