"""Rule weights: imaging weights."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "weights"):
    from imaging.stages.weights import weights

    weights(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
