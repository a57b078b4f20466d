"""Rule mfs: one image of all channels that were cleaned together."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "mfs"):
    from imaging.stages.mfs import mfs

    mfs(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
