"""Multi-scale search in joined planes (Offringa & Smirnov 2017, section 2): one scale at a time, in sub-minor loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.joining import integrate
from imaging.algorithms.scales import ScaleConvolver, scale_biases, scale_radius
from imaging.algorithms.spectral_fitting import SpectralFitter
from imaging.kernels import clean as clean_kernel
from imaging.kernels import joined_clean as kernel
from imaging.kernels import spectral_fitting as fitting

SUB_MINOR_GAIN = 0.2  # how far below its start a sub-minor loop of a scale goes
COUNTDOWN = (8, 1.5)  # sub-minor loops after the first that reaches the threshold: at least, and times the scales
FEW, SHALLOWEST = 500, 0.7  # without scales: a loop looks at one pixel in so many, or at those above this of the peak
GROWTH = 4.0  # of the peak, against the lowest, that counts as divergence
MASK_SHARE = 0.9  # of a component that must lie inside the mask
KINDS = {"none": fitting.NONE, "polynomial": fitting.LINEAR, "logpolynomial": fitting.LOGARITHMIC,
         "forced": kernel.FORCED}  # fmt: skip
DIRECT = 30.0  # pixels of components, a pixel of the image, from which they are drawn by FFT
BLOCK = 2000  # components of a loop between two looks at the clock of room


@dataclass(slots=True)
class Components:
    """Components of `scales` (pixels): place (n, 3) of scale, row, column; fluxes (n, chan, pol), Jy."""

    scales: list[float]
    place: np.ndarray
    fluxes: np.ndarray

    @classmethod
    def none(cls, scales, nchan: int, npol: int) -> Components:
        return cls(list(scales), np.empty((0, 3), np.int64), np.empty((0, nchan, npol)))

    def merged(self, other: Components) -> Components:
        """Both together, one at each place."""
        place = np.concatenate([self.place, other.place])
        place, which = np.unique(place, axis=0, return_inverse=True)
        fluxes = np.zeros((len(place), *self.fluxes.shape[1:]))
        np.add.at(fluxes, which.reshape(-1), np.concatenate([self.fluxes, other.fluxes]))
        return Components(self.scales, place, fluxes)

    def interpolated(self, to_channels: Callable) -> Components:
        return Components(self.scales, self.place, to_channels(self.fluxes, self.place[:, 1], self.place[:, 2]))

    def used(self) -> list[int]:
        """Indices of the scales that occur."""
        return np.unique(self.place[:, 0]).tolist()

    def points(self, scale: int, chan: int, pol: int, shape, dtype) -> np.ndarray:
        """The fluxes of one scale as an image."""
        mine = self.place[:, 0] == scale
        out = np.zeros(shape, dtype)
        out[tuple(self.place[mine, 1:].T)] = self.fluxes[mine, chan, pol]
        return out


def add_components(model: np.ndarray, components: Components, convolver: ScaleConvolver) -> None:
    """model (chan, pol, ny, nx) += components, those beyond the edges cut off."""
    for a in components.used():
        mine = components.place[:, 0] == a
        patch = convolver.kernels[a].astype(model.dtype)
        direct = mine.sum() * patch.size < DIRECT * model[0, 0].size
        place = np.ascontiguousarray(components.place[mine])
        place[:, 0] = 0
        for chan, pol in np.ndindex(model.shape[:2]):
            if direct:
                fluxes = components.fluxes[mine, chan, pol].astype(model.dtype)
                clean_kernel.add_components(model[chan, pol], patch[None], place, fluxes)
            else:
                points = components.points(a, chan, pol, model.shape[2:], model.dtype)
                model[chan, pol] += convolver.convolve_scale(points, a)


@dataclass(slots=True)
class Outcome:
    """What a search found: `start` the first peak, Jy/beam times bias; reached a threshold; finished: the last one."""

    components: Components
    iterations: int
    start: float
    reached: bool
    finished: bool
    diverged: bool


class ScaleSearch:
    """Finds components in `planes` (chan, pol, ny, nx) of `psfs` (chan, ny, nx), and subtracts them from the planes.

    weights : (term, chan * pol) of the integrated images, the mean first. mask : (ny, nx) where components may be.
    factor : (ny, nx) that multiplies the integrated images where peaks are looked for, or None. allowed : (scale, ny,
    nx) bool, where each scale's centres may be besides, or None. width : FWHM of the beam in pixels.
    """

    def __init__(self, planes, psfs, integrated_psf, weights, squared, fitter: SpectralFitter, mask, scales, width,
                 bias, shape, factor, allowed):  # fmt: skip
        self.planes, self.fitter, self.squared, self.scales = planes.reshape(-1, *mask.shape), fitter, squared, scales
        self.npol, self.terms, self.weights = planes.shape[1], weights, weights[0]
        self.convolver = ScaleConvolver(psfs, scales, shape)
        self.biases = scale_biases(scales, width, bias)
        self.psf_peaks = [self.convolver.peak(integrated_psf, a) for a in range(len(scales))]
        self.factor = np.ones(mask.shape, planes.dtype) if factor is None else factor.astype(planes.dtype)
        self.masks = [self._scale_mask(mask, a, scales, shape, allowed) for a in range(len(scales))]
        self.images: dict[int, np.ndarray] = {}
        self.active = np.array([m.any() for m in self.masks])
        self.peaks = np.full(len(scales), -1.0)

    def _scale_mask(self, mask, a: int, scales, shape, allowed) -> np.ndarray:
        """Where the centres of a scale may be."""
        inside = mask.copy() if allowed is None else mask & allowed[a]
        radius = scale_radius(scales[a], shape)
        if radius and inside.any():
            if not mask.all():
                inside &= self.convolver.convolve_scale(mask.astype(self.planes.dtype), a) > MASK_SHARE
            border = math.ceil(scales[a] / 2)
            inside[:border] = inside[-border:] = False
            inside[:, :border] = inside[:, -border:] = False
        return inside

    def _integrated(self) -> list[np.ndarray]:
        return [integrate(self.planes, weights, self.squared) for weights in self.terms]

    def _look(self) -> None:
        """Bring images and peaks of the active scales up to date; peaks are times bias."""
        integrated = self._integrated()
        several, wide = len(integrated) > 1, any(self.scales[a] > 0 for a in np.flatnonzero(self.active))
        transforms = [self.convolver.transform(image) for image in integrated] if wide else []
        self.images = {}
        for a in np.flatnonzero(self.active):
            made = (self.convolver.scaled(t, a) for t in transforms) if self.scales[a] > 0 else iter(integrated)
            image = np.abs(next(made)) if several else next(made)
            for other in made:
                np.maximum(image, np.abs(other), out=image)
            self.images[a] = image
            self.peaks[a] = kernel.highest(image, self.factor, self.masks[a]) * self.biases[a]

    def highest(self) -> float:
        """The highest peak of the integrated image where components may be, Jy/beam."""
        places = np.any(self.masks, axis=0)
        return float(np.abs(integrate(self.planes, self.weights, self.squared)[places]).max()) if places.any() else 0.0

    def _activate(self, last: int, gain: float) -> None:
        """Leave out scales whose last known peak is well below that of the one just cleaned."""
        for a in range(len(self.scales)):
            self.active[a] = self.masks[a].any() and (a == last or self.peaks[a] > (1 - gain) * self.peaks[last])

    def run(self, gain: float, threshold: float, cycle_threshold: float, depth: float, limit: int) -> Outcome:
        """Clean down to `threshold`, or to `cycle_threshold` where above (Jy/beam); 0: to `depth` of the first peak."""
        found, iterations = Components.none(self.scales, len(self.fitter.frequency), self.npol), 0
        self._look()
        start = float(self.peaks.max())
        # Another group may be so much brighter that this one's cycle threshold would keep it from being cleaned.
        level = max(threshold, cycle_threshold if 0 < cycle_threshold < start or depth == 0 else depth * start)
        reached, diverged, countdown = start <= level, False, max(COUNTDOWN[0], COUNTDOWN[1] * len(self.scales))
        lowest = start
        while iterations < limit and start > 0:
            best = int(np.argmax(np.where(self.active, self.peaks, -1.0)))
            top = float(self.peaks[best])
            if top <= level:
                reached = True
                break
            if top > GROWTH * lowest:
                diverged = True
                break
            lowest = min(lowest, top)
            stop = max(level, self._loop_end(best, top))
            place, fluxes, diverged = self._sub_minor(best, gain, stop / self.biases[best], limit - iterations)
            if not len(fluxes):
                break
            iterations += len(fluxes)
            found = found.merged(Components(self.scales, place, fluxes.reshape(len(fluxes), -1, self.npol)))
            if diverged:
                break
            if stop == level:
                countdown -= 1
                if countdown <= 0:
                    break
            self._activate(best, gain)
            self._look()
            if self.peaks[self.active].max(initial=-1.0) <= level:
                self.active[:] = [m.any() for m in self.masks]
                self._look()
        finished = reached and level <= threshold
        return Outcome(found, iterations, max(start, 0.0), reached, finished, diverged)

    def _loop_end(self, scale: int, top: float) -> float:
        """How deep a sub-minor loop goes: its pixels are those above that, and only they are kept up to date."""
        if len(self.scales) > 1:
            return (1 - SUB_MINOR_GAIN) * top
        sample = np.abs(self.images[scale] * self.factor)[::5, ::7][self.masks[scale][::5, ::7]]
        rank = len(sample) - 1 - len(sample) // FEW
        few = float(np.partition(sample, rank)[rank]) if len(sample) > FEW else 0.0
        return min(few, SHALLOWEST * top)

    def _sub_minor(self, scale: int, gain: float, level: float, limit: int):
        """Components of one scale above `level` of its image, subtracted: place (n, 3), fluxes (n, plane), diverged."""
        runs, pixels = kernel.find_pixels(self.images[scale], self.factor, self.masks[scale], level)
        dtype = self.planes.dtype
        values, factor = np.empty((len(self.planes), pixels), dtype), np.empty(pixels, dtype)
        kernel.gather(self.factor, runs, factor)
        single = len(self.planes) == 1 and self.weights[0] == 1 and not self.squared
        for j, plane in enumerate(self.planes):
            if self.weights[j] > 0:
                image = self.images[scale] if single else self.convolver.convolve_scale(plane, scale)
                kernel.gather(image, runs, values[j])
            else:
                values[j] = 0
        reach = tuple(int(np.ptp(r)) for r in (runs[:, 0], np.append(runs[:, 1], runs[:, 2] - 1)))
        psfs = np.stack([self.convolver.scaled_psf(c, scale, 2, reach) for c in range(len(self.fitter.frequency))])
        gain /= self.psf_peaks[scale]
        components, fluxes, code = self._find(values, runs, factor, psfs, gain, level, limit)
        place = np.column_stack([np.full(len(components), scale), components])
        self._subtract(place, fluxes)
        return place, fluxes.astype(np.float64), code == kernel.DIVERGING

    def _find(self, values, runs, factor, psfs, gain, level, limit):
        """Components (n, 2) and fluxes (n, plane) of the pixel list, without those after a diverging clean's best."""
        fitter, pixels = self.fitter, values.shape[1]
        terms = np.ones((max(fitter.nterms, 1), pixels if fitter.mode == "forced" else 1))
        if fitter.mode == "forced":
            for own, plane in zip(terms[1:], fitter.spectrum, strict=True):
                kernel.gather(np.ascontiguousarray(plane, np.float64), runs, own)
        smoothing = fitter.smoothing if fitter.mode == "polynomial" else np.zeros((1, 1))
        real, shares = values.dtype.type, self._shares(psfs)
        every = np.empty((0, 2), np.int64), np.empty((0, len(values)), values.dtype)
        code = kernel.GOING_ON
        while code == kernel.GOING_ON and len(every[0]) < limit:
            room = min(limit - len(every[0]), BLOCK)
            components, fluxes = np.empty((room, 2), np.int64), np.empty((room, len(values)), values.dtype)
            n, code, best, _ = kernel.clean_pixels(
                values, runs, factor, psfs, shares, self.terms.astype(values.dtype), self.squared, KINDS[fitter.mode],
                smoothing, fitter.logs, fitter.weight, fitter.valid, min(fitter.nterms, fitter.valid.size), terms,
                real(gain), real(level), GROWTH, components, fluxes,
            )  # fmt: skip
            n = best if code == kernel.DIVERGING else n
            every = tuple(np.concatenate(pair) for pair in zip(every, (components[:n], fluxes[:n]), strict=True))
        return *every, code

    def _shares(self, psfs: np.ndarray) -> np.ndarray:
        """The mean peak of psfs, convolved with a scale twice, over that of each channel.

        A channel of a smaller beam holds less of an extended component in Jy/beam: unscaled, the first components of a
        source would have too steep a spectrum.
        """
        peaks = psfs[:, psfs.shape[1] // 2, psfs.shape[2] // 2].astype(np.float64)
        weight = self.weights[:: self.npol]
        return np.divide(peaks @ weight / weight.sum(), peaks, out=np.ones_like(peaks), where=peaks > 0)

    def _subtract(self, place: np.ndarray, fluxes: np.ndarray) -> None:
        """planes -= psf convolved with the components of one scale."""
        points = np.zeros(self.planes.shape[1:], self.planes.dtype)
        for j, plane in enumerate(self.planes):
            if self.weights[j] > 0 and len(place):
                points[:] = 0
                np.add.at(points, (place[:, 1], place[:, 2]), fluxes[:, j])
                plane -= self.convolver.convolve_psf(points, j // self.npol, place[0, 0])
