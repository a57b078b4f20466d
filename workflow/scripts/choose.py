"""Rule choose: the products of the best round under the names of the run."""

from imaging.log import log_to

with log_to(snakemake.log[0], "choose"):
    from imaging.stages.choose import choose

    choose(
        **snakemake.input,
        **snakemake.output,
        best=snakemake.params.best,
    )
