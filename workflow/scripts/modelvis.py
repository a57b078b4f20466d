"""Rule modelvis: visibilities of a model, in tables of their own."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "modelvis"):
    from imaging.stages.modelvis import modelvis

    modelvis(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
        threads=snakemake.threads,
    )
