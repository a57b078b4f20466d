"""Rule decide: go on (with this cycle's threshold and iterations) or stop (why)."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "decide"):
    from imaging.stages.decide import decide

    decide(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
