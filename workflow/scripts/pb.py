"""Rule pb: primary beam."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "pb"):
    from imaging.stages.pb import pb

    pb(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
