"""Sums over all visibilities: the dirty image, the psf, and the residual of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from imaging.image import Grid


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How the Fourier sums are made: `epsilon`, w-term, precision, backend, working memory in bytes."""

    epsilon: float = 1e-4
    wterm: bool = True
    precision: str = "auto"
    backend: str = "numba"
    memory: float = 2.0**31


@dataclass(frozen=True, slots=True)
class Part:
    """Visibilities that share their channels.

    uvw (row, 3) m; freq (chan,) Hz; vis (pol, row, chan) Jy; weight (row, chan) imaging weight, 0 for no sample;
    plane (chan,) the image channel each channel goes to, -1 for none. Arrays may be memory-mapped.
    """

    uvw: np.ndarray
    freq: np.ndarray
    vis: np.ndarray
    weight: np.ndarray
    plane: np.ndarray


def image_sums(parts: Iterable[Part], grid: Grid, accuracy: Accuracy, *, model=None, psf=False, threads=1):
    """Weighted Fourier sums Σ w Re(V exp(−2πi(ul+vm+w(n−1)))) of the visibilities less those of a model.

    Parameters
    ----------
    model : (chan, pol, y, x) Jy/pixel, subtracted from the visibilities first; None for no model.
    psf : take every visibility as 1, and one polarisation.

    Returns
    -------
    (sums, sumwt): (chan, pol, y, x) float64, and (chan,) float64 Σ w.

    Parts, channels and row batches are added in the order they come, so that the sums depend on the data and
    the accuracy only, never on `threads`.
    """
    npol = 1 if psf else len(grid.stokes)
    sums = np.zeros((len(grid.freq), npol, *grid.shape))
    sumwt = np.zeros(len(grid.freq))
    for part in parts:
        for plane in np.unique(part.plane[part.plane >= 0]):
            channels = _as_slice(np.flatnonzero(part.plane == plane))
            used = None if model is None or not np.any(model[plane]) else model[plane]
            for rows in _row_batches(part, channels, npol, accuracy.memory):
                weight = np.asarray(part.weight[rows, channels])
                total = float(weight.sum(dtype=np.float64))
                if total == 0:
                    continue
                sumwt[plane] += total
                vis = None if psf else np.asarray(part.vis[:, rows, channels])
                operator = _operator(part.uvw[rows], part.freq[channels], grid, accuracy, threads)
                if used is not None:
                    vis = vis - operator.dirty2vis(used, weight)
                sums[plane] += operator.vis2dirty(vis, weight)
    return sums, sumwt


def normalise(sums: np.ndarray, sumwt: np.ndarray) -> np.ndarray:
    """sums / sumwt as float32, 0 where a channel has no weight."""
    scale = np.divide(1.0, sumwt, out=np.zeros_like(sumwt), where=sumwt > 0)
    return (sums * scale[:, None, None, None]).astype(np.float32)


def _operator(uvw, freq, grid: Grid, accuracy: Accuracy, threads: int):
    if accuracy.backend == "reference":
        from imaging.algorithms.gridding import DirectSum as Operator
    else:
        from imaging.algorithms.gridding import Gridder as Operator
    precision = accuracy.precision
    if precision == "auto":
        precision = "single" if accuracy.epsilon >= 1e-5 else "double"
    return Operator(uvw, freq, grid.shape, grid.cell, accuracy.epsilon, wterm=accuracy.wterm, precision=precision,
                    memory=accuracy.memory, threads=threads)  # fmt: skip


def _as_slice(index: np.ndarray):
    """A slice where the indices are consecutive, so that memory maps are read without copying what is not used."""
    if index[-1] - index[0] + 1 == len(index):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def _row_batches(part: Part, channels, npol: int, memory: float) -> list[slice]:
    """Row ranges whose arrays take about a quarter of the memory; they depend on the data and `memory` only."""
    nrow = len(part.uvw)
    nchan = len(part.freq[channels])
    rows = max(1024, int(memory / 4 / (nchan * (24 * npol + 24))))
    return [slice(first, min(first + rows, nrow)) for first in range(0, nrow, rows)]
