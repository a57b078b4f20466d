"""Weight densities on disk, so that shares of the data can be weighted by the density of all of them."""

from __future__ import annotations

import os

import numpy as np

from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path

ENDING = ".gridwt.npz"


def save_density(path: str | os.PathLike, grid: np.ndarray, gridded: np.ndarray) -> None:
    """grid (plane, v, u) and its sums of weights (plane,), as `algorithms.weighting.Density` has them."""
    with atomic_path(path) as partial:
        np.savez(partial, grid=grid, gridded=gridded)


def load_density(path: str | os.PathLike, first: int = 0, shape: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Both, of the planes from `first` on where a `shape` (plane, v, u) is asked for."""
    try:
        with np.load(path) as saved:
            grid, gridded = saved["grid"], saved["gridded"]
    except FileNotFoundError:
        raise ImagingError(f"There is no weight density {path}.", got="no such file",
                           expected="what make_weight_density or gather_weight_density writes",
                           next_step="gather the weight density of all parts first") from None  # fmt: skip
    if not shape:
        return grid, gridded
    grid, gridded = grid[first : first + shape[0]], gridded[first : first + shape[0]]
    if grid.shape != shape:
        raise ImagingError(f"The weight density {path} is of another image.", got=f"{grid.shape}", expected=f"{shape}",
                           next_step="use the same imsize, cell and channels for all parts")  # fmt: skip
    return grid, gridded


def add_densities(paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The sum over the files, in their order. Raises ImagingError where they are not of one image."""
    grid, gridded = load_density(paths[0])
    for path in paths[1:]:
        more = load_density(path, 0, grid.shape)
        grid, gridded = grid + more[0], gridded + more[1]
    return grid, gridded
