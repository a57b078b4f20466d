"""Rule predict: MODEL_DATA of the sky models."""

from imaging.log import log_to
from imaging.settings import Settings

with log_to(snakemake.log[0], "predict"):
    from imaging.stages.predict import predict

    predict(
        snakemake.params.ms,
        out=snakemake.output.out,
        config=Settings.of(snakemake.params.config),
        inspected=snakemake.output.get("npz", ""),
        threads=snakemake.threads,
    )
