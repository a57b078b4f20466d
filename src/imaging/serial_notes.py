"""What SerialImager leaves beside its products, so that nobody takes them for those of another configuration."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from imaging.config import Config, digest
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path
from imaging.names import Names


def _digests(config: Config, identity: list[dict]) -> dict[str, str]:
    def of(settings: dict) -> str:
        return digest({"settings": settings, "identity": identity})

    if there := [Path(path) for path in config.solution_files() if Path(path).exists()]:
        identity = [*identity, {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in there}]
    stages = {stage: of(config.settings(stage)) for stage in ("ingest", "weights")}
    return stages | {"run": of(config.values())}


def _path(names: Names) -> Path:
    return Path(names.folder) / f"{names.name}.serial.json"


def still_good(config: Config, identity: list[dict], names: Names) -> set[str]:
    """Which of ingest and weights need not be done again: an earlier SerialImager did the same."""
    if not _path(names).exists():
        return set()
    before, now = json.loads(_path(names).read_text()), _digests(config, identity)
    there = {"ingest": Path(names.vis()).exists(), "weights": Path(names.weights()).exists()}
    good = {stage for stage in there if there[stage] and before.get(stage) == now[stage]}
    return good if "ingest" in good else set()


def forget(names: Names) -> None:
    _path(names).unlink(missing_ok=True)


def remember(config: Config, identity: list[dict], names: Names, whole: bool) -> None:
    """Note what the products are made of; `whole` if all of them are made now."""
    notes = _digests(config, identity) | ({} if whole else {"run": ""})
    with atomic_path(_path(names)) as partial:
        partial.write_text(json.dumps(notes, indent=1, sort_keys=True) + "\n")


def check_serial(config: Config, identity: list[dict], names: Names) -> None:
    """Raises ImagingError where SerialImager made the products that are there with another configuration.

    Snakemake would take them for up to date: it knows what its own jobs were told, and nothing of these files.
    """
    if _path(names).exists():
        made = json.loads(_path(names).read_text())["run"]
        if made != _digests(config, identity)["run"]:
            raise ImagingError(f"The products in {names.folder} were made by SerialImager.",
                               got="another configuration or other data" if made else "parts of several runs",
                               expected="the configuration of this run, or an empty folder",
                               next_step=f"choose another name, or remove {names.folder}")  # fmt: skip
