"""Joined multi-scale clean after Offringa & Smirnov (2017, MNRAS 471, 301): WSClean's way, on files.

Components are found in the integrated image of all joined planes, take each plane's own flux there (made a smooth
spectrum), and are subtracted with each channel's own psf. docs/deconvolution.md has the formulas and the differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imaging.algorithms.beam_fitting import beam_at_peak
from imaging.algorithms.joining import (
    average_channels,
    channel_blocks,
    integrate,
    plane_groups,
    spectral_weights,
)  # fmt: skip
from imaging.algorithms.local_noise import local_rms, median_and_sigma, noise_factor
from imaging.algorithms.scales import automatic_scales
from imaging.algorithms.spectral_fitting import SpectralFitter
from imaging.contracts import Meta
from imaging.deconvolution.scale_search import Components, ScaleSearch, add_components
from imaging.state import PlaneResult, PlaneStop

SMOOTH = ("polynomial", "logpolynomial")


@dataclass(frozen=True, slots=True)
class Options:
    """meta.options of this deconvolver, all of them optional; clean.* of the configuration says what they are.

    stokes names the polarisation axis; scale_shape is "tapered-quadratic" or "gaussian"; spectrum (term, ny, nx) is
    the map of a forced spectrum.
    """

    scales: tuple[float, ...] = ()
    scalebias: float = 0.6
    scale_shape: str = "tapered-quadratic"
    join: tuple[str, ...] = ()
    squared_join: bool = False
    stokes: tuple[str, ...] = ()
    fit_spectrum: str = "none"
    fit_terms: int = 2
    spectrum: np.ndarray | None = None
    deconvolution_channels: int = 0
    nsigma: float = 0.0
    automask_sigma: float = 0.0
    local_rms: str = "none"
    local_rms_window: float = 25.0
    local_rms_strength: float = 1.0

    @classmethod
    def of(cls, options: dict) -> Options:
        return cls(**{name: value for name, value in options.items() if name in cls.__dataclass_fields__})


def deconvolve(residual, model, psf, meta: Meta) -> dict:
    """Clean groups of joined planes; contract in `imaging.contracts.Deconvolver`.

    Kept in meta.state from call to call: whether the stage of component masks has begun, these masks (one a scale),
    and the components of each group. "continue" is False when every group is at its final threshold.
    """
    options = Options.of(meta.options)
    residual, model = np.ascontiguousarray(residual), np.ascontiguousarray(model)
    nchan, npol = residual.shape[:2]
    stokes = tuple(options.stokes) or ("I",) * npol
    weight = np.array([c.weight for c in meta.channels] or [1.0] * nchan)
    memory = meta.state.setdefault("groups", {})
    budget = meta.max_iterations - meta.iteration_number
    level, go_on = 0.0, False
    for number, group in enumerate(plane_groups(nchan, npol, options.join)):
        job = _Group(group, residual, model, psf, weight, stokes, options, meta, memory.setdefault(number, {}))
        result, unfinished = job.clean(budget)
        meta.plane_results.append(result)
        meta.iteration_number += result.iterations
        level, go_on = max(level, result.peak_after or 0.0), go_on or unfinished
    return {"residual": residual, "model": model, "level": level, "continue": go_on}


class _Group:
    """The planes of one group: averaged to the deconvolution channels, cleaned, and interpolated back."""

    def __init__(self, group, residual, model, psf, weight, stokes, options: Options, meta: Meta, memory: dict):
        self.group, self.options, self.meta, self.memory = group, options, meta, memory
        self.residual, self.model = residual[group.chans, group.pols], model[group.chans, group.pols]
        self.psf = np.nan_to_num(psf[group.chans]).astype(residual.dtype, copy=False)
        self.stokes = stokes[group.pols]
        self.finite = np.isfinite(self.residual)
        filled = self.finite.any((1, 2, 3)) & self.psf.any((1, 2))
        self.weight = np.where(filled, np.nan_to_num(weight[group.chans]), 0.0).clip(0)
        self.frequency = np.array([c.frequency for c in meta.channels] or [1.0] * len(residual))[group.chans]
        self.blocks = channel_blocks(self.weight, options.deconvolution_channels)

    def _mask(self) -> np.ndarray:
        used = self.weight > 0
        mask = self.finite[used].all((0, 1))
        if self.meta.mask is not None:
            mask &= self.meta.mask[self.group.chans, self.group.pols].any((0, 1))
        return mask

    def _fitter(self, frequency, weight) -> SpectralFitter:
        return SpectralFitter(self.options.fit_spectrum, self.options.fit_terms, frequency, weight,
                              self.options.spectrum)  # fmt: skip

    def clean(self, budget: int) -> tuple[PlaneResult, bool]:
        """What was done, and whether there is more to do; residual and model are brought up to date."""
        chan, pol = self.group.chans.start, self.group.pols.start
        if not self.weight.any() or not (mask := self._mask()).any():
            return PlaneResult(chan, pol, 0, None, None, self._flux(), PlaneStop.SKIPPED), False
        averaged = len(self.blocks) < len(self.weight)
        clear = (
            self.residual if self.finite.all() else np.where(self.finite, self.residual, self.residual.dtype.type(0))
        )
        planes = np.ascontiguousarray(average_channels(clear, self.weight, self.blocks) if averaged else clear)
        psfs = average_channels(self.psf, self.weight, self.blocks) if averaged else self.psf
        weight = np.array([self.weight[block].sum() for block in self.blocks])
        frequency = np.array([_mean(self.frequency[b], self.weight[b]) for b in self.blocks])
        terms = self.options.fit_terms if self.options.fit_spectrum in SMOOTH and not self.options.squared_join else 1
        weights = spectral_weights(weight, frequency, self.stokes, terms)
        integrated_psf = integrate(psfs, weight / weight.sum())
        beam = beam_at_peak(integrated_psf, (1.0, 1.0))
        width = float(np.sqrt(beam.major * beam.minor)) if beam else 4.0
        scales = [float(s) for s in self.options.scales] or automatic_scales(width, mask.shape)
        stage = self._thresholds(
            integrate(planes.reshape(-1, *mask.shape), weights[0], self.options.squared_join), width
        )
        search = ScaleSearch(
            planes, psfs, integrated_psf, weights, self.options.squared_join, self._fitter(frequency, weight), mask,
            scales, width, self.options.scalebias, self.options.scale_shape, stage.factor, self._allowed(scales, mask),
        )  # fmt: skip
        depth = 1 - self.meta.mgain if self.meta.mgain < 1 else 0.0
        # In component masks peaks may be lower than the one from which the cycle's threshold was made.
        cycle = 0.0 if self.memory.get("masked") and depth else self.meta.major_iter_threshold
        outcome = search.run(self.meta.gain, stage.threshold, cycle, depth, budget)
        if outcome.finished and not outcome.iterations and self._next_stage():
            return self.clean(budget)
        components = outcome.components.interpolated(self._to_channels(search.fitter, averaged))
        self._update(components, search, averaged)
        self._remember(outcome.components, frequency, scales, mask.shape)
        finished = outcome.finished and not self._next_stage()
        after = max(search.highest(), 0.0)
        stop = _stop_code(outcome, budget, stage.noisy)
        result = PlaneResult(chan, pol, outcome.iterations, outcome.start, after, self._flux(), stop)
        return result, not finished

    def _thresholds(self, integrated: np.ndarray, width: float) -> _Stage:
        """The threshold of this stage and the factor of local noise."""
        masked, factor = self.memory.get("masked", False), None
        times = self.options.nsigma if masked or not self.options.automask_sigma else self.options.automask_sigma
        median, sigma = median_and_sigma(integrated) if times > 0 else (0.0, 0.0)
        if self.options.local_rms != "none" and not masked:
            rms = local_rms(integrated, self.options.local_rms_window * width, self.options.local_rms == "rms-with-min")
            factor, sigma = noise_factor(rms, self.options.local_rms_strength)
        offset = median if self.options.squared_join else 0.0
        level = times * sigma + offset if times > 0 else 0.0
        if "nsigma" not in self.meta.options and self.meta.plane_thresholds is not None:
            own = self.meta.plane_thresholds[self.group.chans, self.group.pols]
            level = max(level, float(own.min(initial=np.inf)) if own.size else 0.0)
        return _Stage(max(level, self.meta.final_threshold), level > self.meta.final_threshold, factor)

    def _allowed(self, scales, mask) -> np.ndarray | None:
        """In the stage of masks, where each scale already has components: (scale, ny, nx)."""
        if not self.memory.get("masked", False):
            return None
        allowed = np.zeros((len(scales), *mask.shape), bool)
        for a, (size, places) in enumerate(zip(*self.memory.get("centres", ((), ())), strict=True)):
            if a < len(scales) and size == scales[a]:
                allowed[a].reshape(-1)[places] = True
        return allowed

    def _next_stage(self) -> bool:
        """Whether the stage of masks begins now."""
        begins = self.options.automask_sigma > 0 and not self.memory.get("masked", False)
        self.memory["masked"] = begins or self.memory.get("masked", False)
        return begins

    def _to_channels(self, fitter: SpectralFitter, averaged: bool):
        """A function that makes fluxes (component, chan, pol) of all channels from those of the averaged ones."""
        if not averaged:
            return lambda fluxes, y, x: fluxes

        def interpolate(fluxes, y, x):
            out = np.empty((len(fluxes), len(self.weight), fluxes.shape[2]))
            for n, k in np.ndindex(len(fluxes), fluxes.shape[2]):
                coefficients = fitter.fit(fluxes[n, :, k], int(x[n]), int(y[n]))
                out[n, :, k] = fitter.evaluate(coefficients, self.frequency)
            return out

        return interpolate

    def _update(self, components: Components, search: ScaleSearch, averaged: bool) -> None:
        add_components(self.model, components, search.convolver)
        if averaged:
            self._subtract(components, search)
        else:
            np.copyto(self.residual, search.planes.reshape(self.residual.shape), where=self.finite)

    def _subtract(self, components: Components, search: ScaleSearch) -> None:
        """residual -= psf convolved with the components, channel by channel."""
        from imaging.algorithms.scales import ScaleConvolver

        convolver = ScaleConvolver(self.psf, components.scales, self.options.scale_shape, memory=0)
        for chan, pol in np.argwhere(self.finite.any((2, 3)) & (self.weight > 0)[:, None]):
            for a in components.used():
                points = components.points(a, chan, pol, self.residual.shape[2:], self.residual.dtype)
                self.residual[chan, pol] -= convolver.convolve_psf(points, chan, a)

    def _remember(self, components: Components, frequency, scales, shape) -> None:
        """Add the components to those of earlier calls."""
        before = self.memory.get("components")
        if before is not None and before["scales"] == list(scales) and len(before["frequency"]) == len(frequency):
            earlier = Components(scales, before["place"], before["fluxes"])
            components = earlier.merged(components)
        self.memory["components"] = {"scales": list(scales), "place": components.place, "fluxes": components.fluxes,
                                     "frequency": frequency, "shape": self.options.scale_shape}  # fmt: skip
        places = [
            np.ravel_multi_index(components.place[components.place[:, 0] == a, 1:].T, shape) for a in range(len(scales))
        ]
        self.memory["centres"] = (list(scales), places)

    def _flux(self) -> float:
        """Flux of the model, Jy: the weighted mean over the channels, of the first polarisation."""
        if not self.weight.any():
            return 0.0
        flux = np.nan_to_num(self.model[:, 0]).sum((1, 2), dtype=np.float64)
        return float(flux @ self.weight / self.weight.sum())


@dataclass(frozen=True, slots=True)
class _Stage:
    """The threshold (Jy/beam) of a stage, whether it is one of noise, and the factor of local noise."""

    threshold: float
    noisy: bool
    factor: np.ndarray | None


def _mean(values: np.ndarray, weight: np.ndarray) -> float:
    return float(np.average(values, weights=weight) if weight.any() else values.mean())


def _stop_code(outcome, budget: int, noisy: bool) -> PlaneStop:
    if outcome.diverged:
        return PlaneStop.DIVERGED
    if outcome.iterations >= budget:
        return PlaneStop.CYCLENITER
    if outcome.reached:
        return PlaneStop.NSIGMA if noisy and outcome.finished else PlaneStop.CYCLETHRESHOLD
    return PlaneStop.EARLY if outcome.iterations else PlaneStop.NO_ITERATIONS
