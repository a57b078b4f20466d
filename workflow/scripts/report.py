"""Rule report: what was done, and how it went, in one file."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "report"):
    from imaging.stages.report import report

    report(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
    )
