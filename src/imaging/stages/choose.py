"""choose: the products of the best round of self-calibration, under the names of the run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from imaging.io.atomic import atomic_path
from imaging.io.solutions import load_solutions, save_solutions


def choose(products: list[str], solutions: str, *, chosen: list[str], table: str, best: int) -> None:
    """Copy `products` to `chosen`, one by one, and the solutions to `table`: gains of 1 where round 0 was the best."""
    for product, copy in zip(products, chosen, strict=True):
        with atomic_path(copy) as partial:
            if Path(product).is_dir():
                ignored = shutil.ignore_patterns(".snakemake_timestamp")
                shutil.copytree(product, partial, ignore=ignored, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(product, partial)
    found = load_solutions(solutions)
    save_solutions(found if best else replace(found, windows=tuple(map(_one, found.windows))), table)


def _one(window):
    gain = np.zeros_like(window.gain) + (np.eye(2) if window.gain.ndim == 5 else 1)
    return replace(window, gain=gain, flag=np.zeros_like(window.flag), error=np.zeros_like(window.error))
