"""Rule judge: whether self-calibration goes on."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "judge"):
    from imaging.stages.judge import judge

    judge(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
        number=snakemake.params.number,
    )
