"""Rule minor_cycle: find model components down to this cycle's threshold."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "minor_cycle"):
    from imaging.stages.minor_cycle import minor_cycle

    minor_cycle(
        **snakemake.input,
        **snakemake.output,
        config=Settings.of(snakemake.params.config),
        timeout=snakemake.resources.script_timeout,
    )
