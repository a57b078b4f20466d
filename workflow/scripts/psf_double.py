"""Rule psf_double: psf on twice the image, for major cycles without visibilities."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "psf_double"):
    from imaging.stages.psf_double import psf_double

    psf_double(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
        threads=snakemake.threads,
    )
