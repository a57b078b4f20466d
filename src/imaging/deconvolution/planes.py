"""What the built-in deconvolvers share: planes one by one, each with its threshold, bookkeeping and stop code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.cycle_control import plane_stop
from imaging.contracts import Meta
from imaging.kernels import clean as kernel
from imaging.state import PlaneResult, PlaneStop

CHUNK = 20_000  # components for which there is room at first
GROWTH = (4.0, 1.0)  # of the figure of merit, against the smallest, that counts as divergence
NO_SCALES = np.ones((1, 1, 1))


@dataclass(frozen=True, slots=True)
class PlaneJob:
    """One plane's work: images (ny, nx) of one dtype, `mask` bool, `threshold` Jy/beam, iterations allowed."""

    residual: np.ndarray
    model: np.ndarray
    psf: np.ndarray
    mask: np.ndarray
    gain: float
    threshold: float
    max_iterations: int
    options: dict
    compat: str


def clean_planes(residual, model, psf, meta: Meta, clean_plane: Callable[[PlaneJob], int]) -> dict:
    """The Deconvolver contract from `clean_plane`, which updates a job's residual and model and counts iterations."""
    residual, model = np.ascontiguousarray(residual), np.ascontiguousarray(model)
    budget = meta.max_iterations - meta.iteration_number
    level, proceed = 0.0, False
    for chan in range(residual.shape[0]):
        for pol in range(residual.shape[1]):
            result = _clean_one(residual[chan, pol], model[chan, pol], psf[chan], meta, chan, pol, budget, clean_plane)
            meta.plane_results.append(result)
            meta.iteration_number += result.iterations
            level = max(level, result.peak_after or 0.0)
            proceed |= result.iterations > 0 and (result.peak_after or 0.0) > meta.final_threshold
    return {"residual": residual, "model": model, "level": level, "continue": bool(proceed)}


def _clean_one(residual, model, psf, meta, chan, pol, budget, clean_plane) -> PlaneResult:
    finite = np.isfinite(residual)
    mask = finite if meta.mask is None else meta.mask[chan, pol] & finite
    before = peak(residual, mask)
    if before is None or not psf.any():
        return PlaneResult(chan, pol, 0, before, before, float(model[finite].sum()), PlaneStop.SKIPPED)
    cycle = max(meta.major_iter_threshold, meta.final_threshold)
    if meta.major_iter_threshold == 0 and meta.mgain < 1:
        cycle = max(cycle, before * (1 - meta.mgain))
    nsigma = 0.0 if meta.plane_thresholds is None else float(meta.plane_thresholds[chan, pol])
    job = PlaneJob(
        residual, model, np.ascontiguousarray(psf, residual.dtype), mask, meta.gain, max(cycle, nsigma), budget,
        meta.options, meta.compat,
    )  # fmt: skip
    done = clean_plane(job) if budget > 0 and before > job.threshold else 0
    after = peak(residual, mask)
    stop = plane_stop(done, budget, before, after, cycle, nsigma)
    flux = float(model[finite].sum(dtype=np.float64))
    return PlaneResult(chan, pol, done, before, after, flux, stop, peak(residual, finite))


def peak(image: np.ndarray, mask: np.ndarray) -> float | None:
    """max |image| in the mask; None where it is empty."""
    values = image[mask]
    return float(np.abs(values).max()) if values.size else None


class Search:
    """The component search of `kernels.clean` on images (scale, ny, nx), psfs (scale, scale, py, px) and masks.

    All arithmetic is in the dtype of `images`, which is brought up to date only where needed.
    """

    def __init__(self, images, psfs, masks):
        self.images, self.psfs, self.bits = images, psfs, images.view(f"i{images.itemsize}")
        found = [kernel.find_runs(np.ascontiguousarray(mask)) for mask in masks]
        before = np.cumsum([0] + [len(runs) for runs, _ in found])
        self.starts = np.cumsum([0] + [len(tiles) for _, tiles in found])
        self.runs = np.concatenate([runs for runs, _ in found])
        self.tiles = np.concatenate([tiles for _, tiles in found])
        for a, n in enumerate(before[:-1]):
            self.tiles[self.starts[a] : self.starts[a + 1], :2] += n
        self.reach = np.stack([[kernel.psf_bounds(psf, *images.shape[1:]) for psf in row] for row in psfs])
        self.bounds, self.applied = np.empty(len(self.tiles)), np.zeros(len(self.tiles), np.int64)

    def __call__(self, volumes, biases, gain, threshold, limit, growth):
        """Components (n, 3), fluxes (n,) and the kernel's code; n is `limit` at most.

        What comes after the smallest figure of merit is left out where it grew too much above that (`growth`).
        """
        real = self.images.dtype.type
        found = np.empty((0, 3), np.int64), np.empty(0, self.images.dtype), np.empty(0), np.empty(0, np.int64)
        done, code = 0, kernel.GOING_ON
        while done < limit and code == kernel.GOING_ON:
            room = min(limit, max(CHUNK, 2 * done))
            found = tuple(np.concatenate([f, np.empty((room - done, *f.shape[1:]), f.dtype)]) for f in found)
            done, code = kernel.clean(
                self.images, self.bits, self.psfs, self.reach, volumes.astype(real), biases.astype(real), self.runs,
                self.tiles, self.starts, real(gain), real(threshold), growth, *found, done, self.bounds, self.applied,
            )  # fmt: skip
        if code == kernel.DIVERGING and growth[1] == 1:
            done = int(np.argmin(found[2][:done]))
        return found[0][:done], found[1][:done], code
