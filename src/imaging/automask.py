"""auto-multithresh on single planes, with pclean's names and signatures and CASA's results.

Planes here have CASA's axes: axis 0 is right ascension (growing to the west), axis 1 declination, so that a beam of
position angle 0 is long along axis 1. The algorithm is `imaging.algorithms.masking`, the one of the stage `automask`.
"""

from __future__ import annotations

import difflib
import functools
import math
from dataclasses import dataclass, field, fields

import numpy as np

from imaging.errors import ImagingError, KeywordError

_FWHM = math.sqrt(8 * math.log(2))
_PIXELS = (1.0, 1.0)


def _names_unknown_keywords(cls):
    """The dataclass `cls`, which refuses keywords it does not have with a KeywordError that has the nearest name."""
    make, known = cls.__init__, [f.name for f in fields(cls) if f.init]

    @functools.wraps(make)
    def checked(self, *values, **keywords):
        for name in keywords.keys() - known:
            close = [k for k in known if _abbreviates(name, k)] or difflib.get_close_matches(name, known, 1)
            raise KeywordError(f"Unknown parameter {name} of {cls.__name__}.", got=f"{name}={keywords[name]!r}",
                               expected=", ".join(known),
                               next_step=f"did you mean {close[0]}?" if close else "leave it out")  # fmt: skip
        make(self, *values, **keywords)

    cls.__init__ = checked
    return cls


def _abbreviates(name: str, whole: str) -> bool:
    """Whether all letters of `name` are in `whole`, in their order."""
    letters = iter(whole)
    return all(letter in letters for letter in name)


@_names_unknown_keywords
@dataclass
class AutoMaskConfig:
    """The knobs of auto-multithresh (tclean's are 75 growiterations and -1 minpercentchange, as in our workflow)."""

    sidelobethreshold: float = 3.0
    noisethreshold: float = 5.0
    lownoisethreshold: float = 1.5
    negativethreshold: float = 0.0
    smoothfactor: float = 1.0
    minbeamfrac: float = 0.3
    cutthreshold: float = 0.01
    growiterations: int = 100
    dogrowprune: bool = True
    minpercentchange: float = 0.0
    fastnoise: bool = True

    @classmethod
    def from_pclean_config(cls, dec) -> AutoMaskConfig:
        """The same from any object that has these attributes: pclean's DeconvolutionConfig, our `config.mask`."""
        return cls(**{f.name: getattr(dec, f.name) for f in fields(cls)})


@dataclass
class AutoMaskState:
    """What one call of `automask_plane` leaves for the next on the same plane.

    posmask, prevmask : bool, of the positive features and of all; iteration : calls so far; skip : the plane needs no
    further calls. threshold_reached is for the caller to set: the last minor cycle went down to the user's own
    threshold, without which CASA leaves no plane alone because its mask hardly changes.
    """

    posmask: np.ndarray | None = None
    prevmask: np.ndarray | None = None
    iteration: int = 0
    skip: bool = False
    threshold_reached: bool = field(default=False, init=False)


def automask_plane(
    residual: np.ndarray,
    sidelobe_level: float,
    beam_area_pix: float,
    beam_sigma_pix: tuple[float, float],
    cfg: AutoMaskConfig,
    state: AutoMaskState,
    pb: np.ndarray | None = None,
    pblimit: float = 0.2,
    beam_pa_rad: float = 0.0,
) -> np.ndarray:
    """The mask (float32, 0 or 1) of one plane `residual` (ra, dec) in Jy/beam, and `state` brought up to date.

    sidelobe_level : of the psf, a fraction. beam_area_pix : pixels; beam_sigma_pix : (major, minor) standard
    deviations in pixels; beam_pa_rad : position angle, north through east. pb : pixels where it is not above
    |pblimit| are left out. With `state.skip` the mask stays as it is. Kepley et al. 2020, PASP 132, 024505, as CASA
    6.7 has it; the numbers are those of `imaging.algorithms.masking.automask`.
    """
    from imaging.algorithms import masking

    residual = np.asarray(residual)
    if state.skip and state.prevmask is not None:
        return state.prevmask.astype(np.float32)
    values = _turn(residual)
    valid = np.isfinite(values)
    if pb is not None:
        _same_shape(pb, residual, "pb")
        valid &= _turn(pb) > abs(pblimit)
    before, positive = (
        np.zeros(values.shape, bool) if mask is None else _as_mask(mask) for mask in (state.prevmask, state.posmask)
    )
    options = masking.AutomaskOptions(**{f.name: getattr(cfg, f.name) for f in fields(AutoMaskConfig)})
    noise = masking.robust_noise(values, valid, before, options.fastnoise)
    thresholds = masking.make_thresholds(noise, sidelobe_level, options)
    mask, positive = masking.automask_plane(
        values, valid, before, positive, thresholds, _beam(beam_sigma_pix, beam_pa_rad), _PIXELS, options,
        growing=state.iteration > 0, beam_pixels=beam_area_pix,
    )  # fmt: skip
    if state.iteration > 0:
        sizes = int(before.sum()), int(mask.sum())
        state.skip = masking.is_finished(*sizes, thresholds.kind, state.threshold_reached, options.minpercentchange)
    state.prevmask, state.posmask = _turn(mask), _turn(positive)
    state.iteration += 1
    return state.prevmask.astype(np.float32)


def beam_info_from_image(imagename: str) -> tuple[float, float, tuple[float, float], float]:
    """(beam area in pixels, sidelobe level, (sigma major, sigma minor) in pixels, position angle in rad).

    From `<imagename>.psf` (.psf.tt0 with Taylor terms), a CASA or a FITS image. One answer for a cube: the beam
    common to its channels and their largest sidelobe, as tclean has it.
    """
    from imaging.algorithms.beam_fitting import fit_beams
    from imaging.algorithms.beams import area_pixels, common_beam
    from imaging.algorithms.masking import largest_sidelobe
    from imaging.io.images import find_image, load_image

    psf = load_image(find_image(imagename, "psf", "psf.tt0"))
    cell = psf.grid.cell
    if not psf.beams:
        psf = psf.with_data(psf.data, beams=tuple(fit_beams(psf.data[:, 0], cell, 0.35, "casa")))
    beam = common_beam([beam for beam in psf.beams if beam.major > 0], "casa")
    side = math.sqrt(cell[0] * cell[1])
    sigmas = beam.major / side / _FWHM, beam.minor / side / _FWHM
    return area_pixels(beam, cell), largest_sidelobe(psf), sigmas, beam.pa


def read_plane(imagename: str, chan: int = 0, pol: int = 0) -> np.ndarray:
    """One plane (ra, dec) float32 of a CASA or FITS image; pixels under a CASA mask have their values, NaN is 0.

    imagename : of a FITS file with `.fits` or without, where there is no CASA image of that name.
    """
    from imaging.io.images import read_plane

    return np.ascontiguousarray(read_plane(imagename, chan, pol).T)


def write_plane(imagename: str, data: np.ndarray, chan: int = 0, pol: int = 0) -> None:
    """Put `data` (ra, dec) into that plane of an existing image, named as in `read_plane`; all else in it stays."""
    from imaging.io.images import write_plane

    write_plane(imagename, np.asarray(data, np.float32).T, chan, pol)


def _turn(plane: np.ndarray) -> np.ndarray:
    """(ra, dec) to (y, x), and back."""
    return np.ascontiguousarray(np.asarray(plane).T)


def _as_mask(mask: np.ndarray) -> np.ndarray:
    return _turn(mask) > 0.5


def _same_shape(image: np.ndarray, residual: np.ndarray, name: str) -> None:
    if np.shape(image) != np.shape(residual):
        raise ImagingError(f"{name} and the residual are not of one size.", got=np.shape(image),
                           expected=np.shape(residual), next_step=f"take the {name} of the same image")  # fmt: skip


def _beam(sigmas: tuple[float, float], pa_rad: float):
    from imaging.image import Beam

    return Beam(_FWHM * sigmas[0], _FWHM * sigmas[1], pa_rad)


# The steps by themselves, under the names by which pclean's tests know them.


def _robust_rms(data: np.ndarray) -> float:
    """1.4826 times the median absolute deviation from the median."""
    return _plane_stats(data)[2]


def _plane_stats(residual, *, fastnoise: bool = True, prev_mask=None) -> tuple[float, float, float, float]:
    """(largest absolute value, median, robust rms, robust rms) of a plane."""
    from imaging.algorithms.masking import robust_noise

    residual = np.asarray(residual)
    mask = np.zeros(residual.shape, bool) if prev_mask is None else np.asarray(prev_mask) > 0.5
    noise = robust_noise(residual, np.isfinite(residual), mask, fastnoise)
    return noise.peak, noise.median, noise.sigma, noise.sigma


def _prune_regions(mask: np.ndarray, min_size: float) -> np.ndarray:
    """The mask, bool, without regions (four neighbours) of fewer than `min_size` pixels."""
    from imaging.algorithms.masking import prune

    return _turn(prune(_as_mask(mask), min_size))


def _smooth_and_cut(mask, beam_sigma_pix, smooth_factor: float, cut_threshold: float, beam_pa_rad: float = 0.0):
    """The mask, bool, after convolution with `smooth_factor` times the beam, above `cut_threshold` of its peak."""
    from imaging.algorithms.masking import smooth_and_cut

    return _turn(smooth_and_cut(_as_mask(mask), _beam(beam_sigma_pix, beam_pa_rad), _PIXELS, smooth_factor,
                                cut_threshold))  # fmt: skip


def _grow_mask(prev_mask: np.ndarray, constraint: np.ndarray, iterations: int) -> np.ndarray:
    """Pixels of the constraint, bool, within so many steps through it of those of `prev_mask` that lie in it."""
    from imaging.algorithms.masking import grow

    return _turn(grow(_as_mask(prev_mask), _as_mask(constraint), iterations))


def _beam_sigma_to_axis(sigma_major: float, sigma_minor: float, pa_rad: float = 0.0) -> tuple[float, float]:
    """Standard deviations of the beam's profile along axis 0 (ra) and axis 1 (dec) once the other is summed over."""
    from imaging.algorithms.beams import covariance
    from imaging.image import Beam

    return tuple(float(x) for x in np.sqrt(np.diag(covariance(Beam(sigma_major, sigma_minor, pa_rad)))))


def _make_gaussian_psf(shape, sigma_major: float, sigma_minor: float, pa_rad: float = 0.0) -> np.ndarray:
    """The beam as an image `shape` (ra, dec), float32, of peak 1 at the reference pixel."""
    from imaging.algorithms.beams import gaussian

    return _turn(gaussian(_beam((sigma_major, sigma_minor), pa_rad), _PIXELS, tuple(shape)[::-1])).astype(np.float32)
