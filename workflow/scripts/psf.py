"""Rule psf: point spread function, sum of weights, restoring beam."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "psf"):
    from imaging.stages.psf import psf

    psf(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
        threads=snakemake.threads,
    )
