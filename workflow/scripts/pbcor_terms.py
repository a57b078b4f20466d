"""Rule pbcor_terms: take the primary beam's spectrum out of images of Taylor terms."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "pbcor_terms"):
    from imaging.stages.pbcor_terms import pbcor_terms

    pbcor_terms(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
