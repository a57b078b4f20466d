"""auto-multithresh: clean masks from the residual's own noise and the psf's sidelobes.

Kepley et al. 2020, PASP 132, 024505, in the form CASA 6.7 gives it. Masks are bool arrays; images (chan, pol, y, x).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from imaging.algorithms.beams import area_pixels, gaussian, gaussian_patch
from imaging.algorithms.convolving import convolve_patch
from imaging.image import Beam, Image

MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class AutomaskOptions:
    """The knobs of auto-multithresh, in tclean's words and with its defaults."""

    sidelobethreshold: float = 3.0
    noisethreshold: float = 5.0
    lownoisethreshold: float = 1.5
    negativethreshold: float = 0.0
    smoothfactor: float = 1.0
    minbeamfrac: float = 0.3
    cutthreshold: float = 0.01
    growiterations: int = 75
    dogrowprune: bool = True
    minpercentchange: float = -1.0
    fastnoise: bool = True
    pbmask: float = 0.0


@dataclass(frozen=True, slots=True)
class AutomaskState:
    """What one call leaves for the next, besides the mask: `posmask` (chan, pol, y, x) bool, `chanflag` (chan,) bool
    (channels that are left alone from now on), `iterdone` clean iterations at the time of the call."""

    posmask: np.ndarray
    chanflag: np.ndarray
    iterdone: int = 0

    @classmethod
    def empty(cls, shape: tuple[int, int, int, int]) -> AutomaskState:
        return cls(np.zeros(shape, bool), np.zeros(shape[0], bool))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Levels in Jy/beam of one plane, and whether the 'noise' or the 'sidelobe' level decided."""

    main: float
    low: float
    negative: float
    kind: str


@dataclass(frozen=True, slots=True)
class Noise:
    """Median and robust standard deviation of a plane and its largest absolute value, Jy/beam."""

    median: float
    sigma: float
    peak: float


def _median_and_sigma(values: np.ndarray) -> tuple[float, float]:
    if values.size == 0:
        return 0.0, 0.0
    median = float(np.median(values))
    return median, MAD_TO_SIGMA * float(np.median(np.abs(values - values.dtype.type(median))))


def _chauvenet(values: np.ndarray) -> np.ndarray:
    """`values` without those that Chauvenet's criterion calls improbable: one pass and at most five more."""
    from scipy.special import erfcinv

    for _ in range(6):
        if values.size < 2:
            break
        mean, std = values.mean(dtype=np.float64), values.std(dtype=np.float64, ddof=1)
        kept = values[np.abs(values - mean) <= math.sqrt(2) * erfcinv(0.5 / values.size) * std]
        if kept.size == values.size:
            break
        values = kept
    return values


def robust_noise(residual: np.ndarray, valid: np.ndarray, mask: np.ndarray, fastnoise: bool = True) -> Noise:
    """Median and 1.4826 MAD of one plane (ny, nx), Jy/beam.

    fastnoise: over all `valid` pixels. Otherwise outside `mask`, or where it is empty or full over what Chauvenet's
    criterion leaves of all of them. A plane without valid pixels has zeros.
    """
    everything = residual[valid]
    if everything.size == 0:
        return Noise(0.0, 0.0, 0.0)
    peak = float(np.abs(everything).max())
    if fastnoise:
        sample = everything
    elif not mask.any() or mask.all():
        sample = _chauvenet(everything)
    else:
        sample = residual[valid & ~mask]
    return Noise(*_median_and_sigma(sample), peak)


def sidelobe_level(psf: np.ndarray, beam: Beam, cell: tuple[float, float]) -> float:
    """Largest sidelobe of one psf plane (ny, nx; peak 1): max(|min psf|, max(psf - its Gaussian)). Dimensionless."""
    return max(abs(float(psf.min())), float((psf - gaussian(beam, cell, psf.shape)).max()))


def largest_sidelobe(psf: Image) -> float:
    """The sidelobe level of a psf: one number for all channels that have data."""
    planes = zip(psf.data[:, 0], psf.beams, strict=True)
    return max(sidelobe_level(plane, beam, psf.grid.cell) for plane, beam in planes if beam.major > 0)


def make_thresholds(noise: Noise, sidelobe: float, options: AutomaskOptions) -> Thresholds:
    """Levels above which (`main`, `low`) and below which (`negative`) a pixel is bright."""
    side = sidelobe * options.sidelobethreshold * noise.peak
    level = options.noisethreshold * noise.sigma
    main = max(side, level) + noise.median
    return Thresholds(
        main=main,
        low=max(side, options.lownoisethreshold * noise.sigma) + noise.median,
        negative=-max(side, options.negativethreshold * noise.sigma) + noise.median,
        kind="sidelobe" if side + noise.median == main else "noise",
    )


def why_empty(noise: Noise, sidelobe: float, options: AutomaskOptions) -> str:
    """What kept every pixel of a plane out of its first mask, and which setting lets some in."""
    level = make_thresholds(noise, sidelobe, options)
    begins = f"the mask begins at {level.main:.4g} Jy/beam ="
    if level.kind == "sidelobe":  # at half its peak a point source is large enough for minbeamfrac
        small = f", and what is above is smaller than minbeamfrac {options.minbeamfrac:g} of a beam"
        return (
            f"{begins} sidelobethreshold {options.sidelobethreshold:g} x largest sidelobe {sidelobe:.2f}"
            f" x peak {noise.peak:.4g} + median {noise.median:.4g}{small if noise.peak > level.main else ''}:"
            f" set mask.sidelobethreshold to"
            f" {max(math.floor(5 / sidelobe), 1) / 10:g}, or mask.usemask to pb"
        )
    return (
        f"{begins} noisethreshold {options.noisethreshold:g} x noise {noise.sigma:.4g} + median {noise.median:.4g},"
        f" the peak is {noise.peak:.4g}: set mask.noisethreshold or mask.minbeamfrac lower if there is a source"
    )


def _beyond(residual: np.ndarray, level: float) -> np.ndarray:
    """Above a positive level, below a negative one."""
    return residual < level if level < 0 else residual > level


def prune(mask: np.ndarray, smallest: float) -> np.ndarray:
    """`mask` (ny, nx) without its regions (four neighbours) of fewer than `smallest` pixels."""
    if smallest <= 0:
        return mask
    from imaging.kernels import labelling

    pruned = mask.copy()
    labelling.prune(pruned, smallest)
    return pruned


def smooth_and_cut(
    mask: np.ndarray, beam: Beam, cell: tuple[float, float], smoothfactor: float, cutthreshold: float
) -> np.ndarray:
    """`mask` (ny, nx) convolved with `smoothfactor` times the beam, where above `cutthreshold` of its maximum."""
    if not mask.any() or smoothfactor <= 0:
        return mask.copy()
    kernel = gaussian_patch(replace(beam, major=smoothfactor * beam.major, minor=smoothfactor * beam.minor), cell)
    smooth = convolve_patch(mask, kernel)
    return smooth > cutthreshold * smooth.max()


def grow(mask: np.ndarray, constraint: np.ndarray, iterations: int) -> np.ndarray:
    """`mask & constraint` (ny, nx) extended `iterations` times by the four neighbours that are in `constraint`."""
    from imaging.kernels import labelling

    return labelling.grow(np.ascontiguousarray(mask), np.ascontiguousarray(constraint), iterations)


def automask_plane(
    residual: np.ndarray,
    valid: np.ndarray,
    mask: np.ndarray,
    posmask: np.ndarray,
    thresholds: Thresholds,
    beam: Beam,
    cell: tuple[float, float],
    options: AutomaskOptions,
    growing: bool,
    beam_pixels: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """New (mask, posmask) of one plane (ny, nx); masks only ever grow, inside `valid`.

    beam_pixels : area of the beam that minbeamfrac refers to, where it is not that of `beam`.
    """
    smallest = options.minbeamfrac * (area_pixels(beam, cell) if beam_pixels is None else beam_pixels)

    def smooth(m):
        return smooth_and_cut(m, beam, cell, options.smoothfactor, options.cutthreshold)

    new = smooth(prune(_beyond(residual, thresholds.main) & valid, smallest))
    if growing and options.growiterations > 0 and mask.any():
        grown = grow(mask, _beyond(residual, thresholds.low), options.growiterations)
        if options.dogrowprune:
            grown = prune(grown, smallest)
        new |= smooth(grown)
    posmask = (posmask | new) & valid
    total = mask | posmask
    if options.negativethreshold > 0:
        total |= smooth((residual < thresholds.negative) & valid)
    return total & valid, posmask


def is_finished(before: int, after: int, kind: str, threshold_reached: bool, minpercentchange: float) -> bool:
    """Whether a channel's mask is left alone from now on: nothing in it, or hardly a change at the last threshold."""
    if kind != "noise":
        return False
    change = abs(after - before)
    settled = minpercentchange >= 0 and threshold_reached
    return after == 0 or (settled and (change == 0 or change < minpercentchange / 100 * before))


def automask(
    residual: np.ndarray,
    valid: np.ndarray,
    mask: np.ndarray,
    state: AutomaskState,
    *,
    sidelobe: float,
    beam: Beam,
    cell: tuple[float, float],
    options: AutomaskOptions,
    iterdone: int,
    threshold_reached: bool = False,
    pb: np.ndarray | None = None,
) -> tuple[np.ndarray, AutomaskState, list[list[Noise]]]:
    """New clean mask of a cube (chan, pol, y, x), the state for the next call, and each plane's noise.

    residual : Jy/beam. valid : where the primary beam counts. mask : the one before. sidelobe : of the whole cube,
    from `sidelobe_level`. beam : of the cube (the common one if its channels differ). iterdone : clean iterations so
    far; at 0 the mask is not grown and no channel is left alone. threshold_reached : the last cycle's threshold was
    the user's. pb : needed with `pbmask`; the mask is then cleared below it.
    """
    if options.pbmask > 0 and pb is not None:
        valid = valid & (pb > options.pbmask)
        mask = mask & valid
    mask, posmask, chanflag = mask.copy(), state.posmask.copy(), state.chanflag.copy()
    noise = []
    for chan in range(residual.shape[0]):
        noise.append([])
        kinds, before = [], int(mask[chan].sum())
        for pol in range(residual.shape[1]):
            plane = chan, pol
            values, ok = residual[plane], valid[plane] & np.isfinite(residual[plane])
            noise[-1].append(robust_noise(values, ok, mask[plane], options.fastnoise))
            if chanflag[chan]:
                continue
            thresholds = make_thresholds(noise[-1][-1], sidelobe, options)
            kinds.append(thresholds.kind)
            mask[plane], posmask[plane] = automask_plane(
                values, ok, mask[plane], posmask[plane], thresholds, beam, cell, options, growing=iterdone > 0
            )
        if iterdone > 0 and kinds:
            after = int(mask[chan].sum())
            chanflag[chan] = is_finished(before, after, kinds[0], threshold_reached, options.minpercentchange)
    return mask, AutomaskState(posmask, chanflag, iterdone), noise
