"""Rule correct: CORRECTED_DATA of DATA."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "correct"):
    from imaging.stages.correct import correct

    correct(
        snakemake.params.ms,
        out=snakemake.output.out,
        config=Settings.of(snakemake.params.config),
        inspected=snakemake.output.get("npz", ""),
        threads=snakemake.threads,
    )
