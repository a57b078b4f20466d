"""Rule corrupt: DATA of MODEL_DATA."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "corrupt"):
    from imaging.stages.corrupt import corrupt

    corrupt(
        snakemake.params.ms,
        out=snakemake.output.out,
        config=Settings.of(snakemake.params.config),
        inspected=snakemake.output.get("npz", ""),
        threads=snakemake.threads,
    )
