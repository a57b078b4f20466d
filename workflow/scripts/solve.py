"""Rule solve: gains of the stations."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "solve"):
    from imaging.stages.solve import solve

    solve(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
