"""Rule startmodel: the sky that the clean starts from, on the grid of the image."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "startmodel"):
    from imaging.stages.startmodel import startmodel

    startmodel(**snakemake.input, **snakemake.output, config=Settings.of(snakemake.params.config))
