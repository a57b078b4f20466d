"""Rule savemodel: visibilities of the final model to MODEL_DATA."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "savemodel"):
    from imaging.stages.savemodel import savemodel

    savemodel(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
        threads=snakemake.threads,
    )
