"""Rule plot_solutions: a picture of the gains of all stations."""

from imaging.log import log_to

with log_to(snakemake.log[0], "plot_solutions"):
    from imaging.stages.plot_solutions import plot_solutions

    plot_solutions(
        **snakemake.input,
        **snakemake.output,
    )
