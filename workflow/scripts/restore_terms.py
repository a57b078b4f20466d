"""Rule restore_terms: the final products of a clean with Taylor terms, and the spectral index."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "restore_terms"):
    from imaging.stages.restore_terms import restore_terms

    restore_terms(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
        provenance=snakemake.params.provenance,
    )
