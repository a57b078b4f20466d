"""What a job will need: memory and time computed from the sizes of the image and of the data."""

from __future__ import annotations

import functools
import math
import os
from dataclasses import dataclass
from pathlib import Path

from imaging.errors import ImagingError
from imaging.plugins import is_builtin

PLANES = {"ingest": 0, "weights": 2, "psf": 8, "psf_double": 100, "pb": 4, "major_cycle": 10, "automask": 12,
          "startmodel": 6, "components": 4,
          "decide": 6, "minor_cycle": 14, "restore": 12, "mfs": 8, "pbcor": 5, "restore_terms": 12, "pbcor_terms": 6,
          "report": 4, "savemodel": 4, "simulate": 0, "beams": 2, "predict": 0, "corrupt": 0, "correct": 0,
          "modelvis": 4, "solve": 0, "judge": 6}  # fmt: skip
"""Copies of the image in float32 that a stage holds at its peak."""
SCRIPT_PLANES = 30
"""Further ones of a script: its process has its own, in float64."""
MEASURING = ("beams", "predict", "corrupt", "correct")
GRIDDING = ("psf", "psf_double", "major_cycle", "report", "savemodel", "modelvis")


@dataclass(frozen=True)
class Estimate:
    mem_mb: int
    minutes: int


def estimate(config, stage: str) -> Estimate:
    """Memory (MB) and time (minutes) to ask a scheduler for; generous, and doubled at a second attempt."""
    nx, ny = config.image.imsize
    # psf_double takes one channel at a time, for all polarisations.
    image_mb = (nx * ny * 4 if stage == "psf_double" else _image_bytes(config)) / 2**20
    memory = 500 + PLANES[stage] * image_mb
    if stage == "minor_cycle" and config.clean.multiterm:
        memory += 2 * max(len(config.clean.scales), 1) * image_mb  # residuals of each term and scale
    if stage in MEASURING:
        memory += 2 * config.measurement.tile_memory / 2**20
    if stage in GRIDDING:
        memory += 1.5 * config.gridding.memory / 2**20
    if stage == "minor_cycle" and config.clean.deconvolver == "wideband":
        memory += 1200  # transforms that are kept
    data_gb = sum(_size(Path(path)) for path in config.data.vis) / 2**30
    reads_data = stage in (*GRIDDING, *MEASURING, "ingest", "weights", "solve")
    minutes = 10 + 20 * data_gb * reads_data + image_mb / 16
    if stage == "minor_cycle" and not all(map(is_builtin, config.deconvolvers())):
        memory += SCRIPT_PLANES * image_mb
        minutes += config.clean.script_timeout / 60
    return Estimate(round(memory), round(minutes))


def _image_bytes(config) -> int:
    """All planes in float32."""
    from imaging.units import parse_stokes

    nx, ny = config.image.imsize
    planes = len(parse_stokes(config.image.stokes)) * (_channels(config) if config.image.specmode == "cube" else 1)
    return nx * ny * planes * 4 * (2 * config.nterms - 1)


def _channels(config) -> int:
    """Channels of a cube: as set, or all of those selected."""
    if config.image.nchan > 0:
        return config.image.nchan
    selected = max((_selected(path, config.data.spw) for path in config.data.vis), default=1)
    width = config.image.width if isinstance(config.image.width, int) else 1
    return max(1, math.ceil(selected / config.data.chanaverage / max(abs(width), 1)))


@functools.cache
def _selected(ms: str, spw: str) -> int:
    from imaging.io.ms import read_metadata
    from imaging.io.selection import parse_spw

    try:
        windows = read_metadata(ms).windows
        masks = parse_spw(spw, windows).values() if spw.strip() else ()
    except ImagingError:  # ingest will say so
        return 1
    return sum(int(mask.sum()) for mask in masks) if masks else sum(len(window.freq) for window in windows)


def _size(ms: Path) -> int:
    return sum(path.stat().st_size for path in ms.glob("*.f*"))


def check_memory(config) -> None:
    """Raises ImagingError where this machine cannot hold the image a major cycle works on."""
    nx, ny = config.image.imsize
    needed = PLANES["major_cycle"] * _image_bytes(config)
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise ImagingError("The image is too large for the memory of this machine.",
                           got=f"image.imsize: [{nx}, {ny}], which needs {needed / 2**30:.1f} GiB",
                           expected=f"at most the {there / 2**30:.1f} GiB that the machine has",
                           next_step="set a smaller image.imsize, fewer channels or Stokes planes, or use a larger"
                           " machine: docs/clusters.md")  # fmt: skip
