"""Sums over all visibilities: the dirty image, the psf, and the residual of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.taylor import Taylor
from imaging.image import Grid
from imaging.kernels import gridding_reference
from imaging.units import SPEED_OF_LIGHT


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


def image_sums(parts: Iterable[Part], grid: Grid, accuracy: Accuracy, *, model=None, psf=False, threads=1,
               taylor: Taylor | None = None):  # fmt: skip
    """Weighted Fourier sums Σ w Re(V exp(−2πi(ul+vm+w(n−1)))) of the visibilities less those of a model.

    Parameters
    ----------
    model : (chan, pol, y, x) Jy/pixel, subtracted from the visibilities first; None for no model.
    psf : take every visibility as 1, and one polarisation.
    taylor : make Taylor terms of the one channel of the grid, in the place of channels: its terms, or the psfs these
        need. Term t is the sum with weights w x^t; the model's terms are those of a spectrum.

    Returns
    -------
    (sums, sumwt): (chan, pol, y, x) float64, and (chan,) float64 Σ w.

    Parts, channels and row batches are added in the order they come, so that the sums depend on the data and
    the accuracy only, never on `threads`.
    """
    npol = 1 if psf else len(grid.stokes)
    count = len(grid.freq) if taylor is None else taylor.npsf if psf else taylor.nterms
    sums, sumwt = np.zeros((count, npol, *grid.shape)), np.zeros(count)
    for part in parts:
        for plane in np.unique(part.plane[part.plane >= 0]):
            channels = as_slice(np.flatnonzero(part.plane == plane))
            target = slice(plane, plane + 1) if taylor is None else slice(count)
            powers = None if taylor is None else taylor.powers(part.freq[channels], count)
            used = None if model is None or not np.any(model[target]) else model[target]
            for rows in row_batches(part, channels, npol * sums[target].shape[0], accuracy.memory):
                weight = np.asarray(part.weight[rows, channels])
                mask = weight > 0
                if not mask.any():
                    continue
                weight = weight[None] if powers is None else (weight * powers[:, None]).astype(weight.dtype)
                sumwt[target] += weight.sum(axis=(1, 2), dtype=np.float64)
                vis = None if psf else np.asarray(part.vis[:, rows, channels])
                operator = make_operator(part.uvw[rows], part.freq[channels], mask, grid, accuracy, threads)
                if used is not None:
                    vis = vis - _predict(operator, used, powers)
                sums[target] += _grid_terms(operator, vis, weight)
    return sums, sumwt


def predict(uvw, freq, plane, model: np.ndarray, grid: Grid, accuracy: Accuracy, threads=1, taylor=None) -> np.ndarray:
    """Visibilities (pol, row, chan) complex64, Jy, of a model (chan, pol, y, x) in Jy/pixel.

    uvw (row, 3) m; freq (chan,) Hz; plane (chan,) the image channel each channel sees, -1 for none (and nothing).
    taylor : the model's planes are terms of this spectrum, not channels.
    """
    vis = np.zeros((model.shape[1], len(uvw), len(freq)), np.complex64)
    for image in np.unique(plane[plane >= 0]):
        used = model[image : image + 1] if taylor is None else model
        if np.any(used):
            channels = as_slice(np.flatnonzero(plane == image))
            everything = np.ones(vis[0, :, channels].shape, bool)
            operator = make_operator(uvw, freq[channels], everything, grid, accuracy, threads)
            powers = None if taylor is None else taylor.powers(freq[channels], len(used))
            vis[:, :, channels] = _predict(operator, used, powers)
    return vis


def _predict(operator, model, powers):
    """Visibilities (pol, row, chan) of one channel's model, or of its Taylor terms (term, pol, y, x)."""
    if powers is None:
        return operator.dirty2vis(model[0])
    terms, npol = model.shape[:2]
    vis = operator.dirty2vis(model.reshape(terms * npol, *model.shape[2:]))
    return np.einsum("tprc,tc->prc", vis.reshape(terms, npol, *vis.shape[1:]), powers[:terms].astype(vis.real.dtype))


def _grid_terms(operator, vis, weight):
    """Sums (term, pol, y, x) of vis (pol, row, chan) or unit ones, with weight (term, row, chan)."""
    if len(weight) == 1 or vis is None:
        image = operator.vis2dirty(vis, weight)
        return image[None] if len(weight) == 1 else image[:, None]
    return np.stack([operator.vis2dirty(vis[pol : pol + 1], weight) for pol in range(len(vis))], axis=1)


def normalise(sums: np.ndarray, sumwt: np.ndarray) -> np.ndarray:
    """sums (chan, pol, y, x) / sumwt (chan,) as float32, 0 where a channel has no weight."""
    scale = np.divide(1.0, sumwt, out=np.zeros_like(sumwt), where=sumwt > 0)
    return (sums * scale[:, None, None, None]).astype(np.float32)


def make_operator(uvw, freq, mask, grid: Grid, accuracy: Accuracy, threads: int):
    """The operator pair `vis2dirty`, `dirty2vis` of one batch of samples; those where `mask` is false are left out."""
    if accuracy.backend == "reference":
        return _DirectSum(np.asarray(uvw), freq, grid, accuracy.wterm)
    from imaging.algorithms.gridding import EPSILON, Gridder

    precision = accuracy.precision
    if precision == "auto":
        precision = "single" if accuracy.epsilon >= 1e-5 else "double"
    # The gridder's epsilon bounds the rms over the image; a third of it keeps every pixel within epsilon of the peak.
    epsilon = min(max(accuracy.epsilon / 3, EPSILON[precision]), accuracy.epsilon)
    return Gridder(uvw, freq, grid.shape, grid.cell, epsilon, mask=mask, wterm=accuracy.wterm,
                   precision=precision, memory=accuracy.memory, threads=threads)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _DirectSum:
    """The operator pair as direct sums, for `backend: reference`."""

    uvw: np.ndarray
    freq: np.ndarray
    grid: Grid
    wterm: bool

    def vis2dirty(self, vis, weight):
        planes = np.ones((1, *weight.shape[-2:])) if vis is None else vis.astype(complex)
        planes, weights = np.broadcast_arrays(planes, weight.astype(float))
        return gridding_reference.vis2dirty(
            self.uvw, self.freq, planes, weights, self.grid.shape, self.grid.cell, wterm=self.wterm
        )

    def dirty2vis(self, image):
        return gridding_reference.dirty2vis(self.uvw, self.freq, image, self.grid.cell, wterm=self.wterm)


def as_slice(index: np.ndarray):
    """A slice where the indices are consecutive, so that memory maps are read without copying what is not used."""
    if index[-1] - index[0] + 1 == len(index):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def row_batches(part: Part, channels, npol: int, memory: float) -> list[slice]:
    """Row ranges whose arrays take about a quarter of the memory; they depend on the data and `memory` only."""
    nrow = len(part.uvw)
    nchan = len(part.freq[channels])
    rows = max(1024, int(memory / 4 / (nchan * (24 * npol + 24))))
    return [slice(first, min(first + rows, nrow)) for first in range(0, nrow, rows)]


def measure_accuracy(parts: list[Part], grid: Grid, accuracy: Accuracy, samples: int = 100_000) -> float | None:
    """Error of the gridded sums against direct Fourier sums: rms over some pixels, relative to the dirty peak.

    Taken on up to `samples` visibilities of the first part with any weight, spread over its rows, and on 40
    pixels spread over the image.
    """
    for part in parts:
        step = -(-part.vis[0].size // samples)
        weight = np.asarray(part.weight[::step])
        if weight.any():
            break
    else:
        return None
    uvw, vis = np.asarray(part.uvw[::step]), np.asarray(part.vis[:1, ::step])
    image = make_operator(uvw, part.freq, weight > 0, grid, accuracy, 1).vis2dirty(vis, weight)[0]
    weighted = np.where(weight > 0, vis[0], 0) * weight
    (l, m), (ny, nx) = grid.lm(), grid.shape
    errors = []
    for y in np.linspace(0, ny - 1, 8).astype(int):
        for x in np.linspace(0, nx - 1, 5).astype(int):
            r2 = l[x] ** 2 + m[y] ** 2
            if r2 < 1:
                n1 = -r2 / (1 + np.sqrt(1 - r2)) if accuracy.wterm else 0.0
                turns = np.multiply.outer(uvw @ (l[x], m[y], n1), part.freq / SPEED_OF_LIGHT)
                errors.append(image[y, x] - np.sum(weighted * np.exp(-2j * np.pi * turns)).real)
    peak = np.abs(image).max()
    return float(np.sqrt(np.mean(np.square(errors))) / peak) if peak > 0 else None
