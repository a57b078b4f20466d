"""Rule components: the model as a list of components."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "components"):
    from imaging.stages.components import components

    components(**snakemake.input, **snakemake.output, config=Settings.of(snakemake.params.config))
