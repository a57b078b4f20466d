"""modelvis: the visibilities of a model, row by row those of the MeasurementSets, in tables of their own."""

from __future__ import annotations

from pathlib import Path

from imaging.io.atomic import atomic_path
from imaging.io.ms_columns import model_beside
from imaging.stages.savemodel import write_model


def modelvis(ms: list[str], vis: str, model: str | list[str], *, modelvis: str, config, threads: int = 1) -> None:
    """Write MODEL_DATA of each set to a table in the folder `modelvis`: `model_table`. The sets stay as they are."""
    paths = [ms] if isinstance(ms, str) else list(ms)
    with atomic_path(modelvis) as folder:
        folder.mkdir()
        write_model(
            paths, vis, model, config, threads,
            lambda meta: model_beside(meta, model_table(folder, paths.index(meta.path))),
        )  # fmt: skip


def model_table(folder: str | Path, number: int) -> str:
    """The table of one of the sets, counted from 0."""
    return str(Path(folder) / f"{number:03d}.table")
