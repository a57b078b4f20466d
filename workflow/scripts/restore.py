"""Rule restore: final residual, model and mask; the model with the restoring beam on the residual."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "restore"):
    from imaging.stages.restore import restore

    restore(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
        provenance=snakemake.params.provenance,
    )
