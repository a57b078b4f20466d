"""Rule pbcor: divide the restored image by the primary beam."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "pbcor"):
    from imaging.stages.pbcor import pbcor

    pbcor(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
