"""Rule automask: where this cycle may clean."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "automask"):
    from imaging.stages.automask import automask

    automask(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
