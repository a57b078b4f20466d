"""Sky components: points and Gaussians with spectra; drawn on a grid, made from model pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.scales import GAUSSIAN_SIGMA
from imaging.image import Grid, lm_to_radec, radec_to_lmn

SNAP = 1e-3  # pixels: nearer to the middle of a pixel than this a point is in it alone
REACH = 2.5  # FWHM of a Gaussian: beyond, it is below 1e-7 of its peak
NARROW = 2.0  # pixels: a Gaussian of this FWHM, sampled, is what it is to 1e-6


@dataclass(frozen=True, slots=True)
class Component:
    """A point (major 0) or an elliptical Gaussian of FWHM `major`, `minor`, PA north through east (rad).

    `stokes` is (I, Q, U, V) in Jy at `reffreq` Hz, integrated over the source; Q, U and V follow the spectrum of I.
    With x = freq / reffreq and the terms a_0, a_1, ... of `spectral_index` (a single number counts as one term)

        I(freq) = I x^(a_0 + a_1 log10 x + a_2 (log10 x)^2 + ...)         `logarithmic`
        I(freq) = I + a_0 (x - 1) + a_1 (x - 1)^2 + ...                   else; terms in Jy

    as in the text format of BBS, DP3 and WSClean. Components of one `group` are one source to an observer; by default
    each is its own.
    """

    name: str
    ra: float
    dec: float
    stokes: tuple[float, float, float, float]
    spectral_index: tuple[float, ...] = ()
    reffreq: float = 1.4e9
    major: float = 0.0
    minor: float = 0.0
    pa: float = 0.0
    group: str = ""
    logarithmic: bool = True

    def __post_init__(self):
        object.__setattr__(self, "spectral_index", tuple(float(a) for a in np.atleast_1d(self.spectral_index)))

    def flux(self, freq) -> np.ndarray:
        """Stokes I in Jy at `freq` Hz, of the same shape."""
        x = np.asarray(freq, float) / self.reffreq
        if not self.logarithmic:
            return np.polynomial.polynomial.polyval(x - 1, (self.stokes[0], *self.spectral_index))
        return self.stokes[0] * x ** np.polynomial.polynomial.polyval(np.log10(x), self.spectral_index or (0.0,))

    def stokes_at(self, freq: float) -> np.ndarray:
        """(I, Q, U, V) in Jy at `freq` Hz. Where I is 0 at reffreq the others are the same at all frequencies."""
        return spectra([self], [freq])[0, 0]

    def covariance(self) -> np.ndarray:
        """Second moments (2, 2) in (l, m), rad^2; zero for a point."""
        along, across = (
            np.array([math.sin(self.pa), math.cos(self.pa)]),
            np.array([math.cos(self.pa), -math.sin(self.pa)]),
        )
        squares = self.major**2 * np.outer(along, along) + self.minor**2 * np.outer(across, across)
        return squares / (8 * math.log(2))


def spectra(components: Sequence[Component], freq) -> np.ndarray:
    """(I, Q, U, V) in Jy of each component at each frequency, (component, chan, 4). See `Component`."""
    stokes = np.array([c.stokes for c in components], float).reshape(-1, 1, 4)
    x = np.asarray(freq, float) / np.array([[c.reffreq] for c in components], float).reshape(-1, 1)
    terms = np.zeros((max((len(c.spectral_index) for c in components), default=0) + 1, len(stokes), 1))
    for i, c in enumerate(components):
        terms[: len(c.spectral_index), i, 0] = c.spectral_index
    made = np.empty((*x.shape, 4))
    for logarithmic in (True, False):
        some = np.array([c.logarithmic == logarithmic for c in components], bool)
        base, value = np.log10(x[some]) if logarithmic else x[some] - 1, 0.0
        for term in terms[::-1, some]:
            value = value * base + term
        if logarithmic:
            made[some] = stokes[some] * (x[some] ** value)[..., None]
            continue
        intensity, added = stokes[some, :, 0], value * base
        made[some] = stokes[some] * (1 + added / np.where(intensity == 0, np.inf, intensity))[..., None]
        made[some, :, 0] = intensity + added
    return made


def draw(components: Sequence[Component], grid: Grid, fluxes: Callable | None = None) -> tuple[np.ndarray, int]:
    """The model image (chan, pol, y, x) float32, Jy/pixel, of `components`, and how many lie outside of it.

    `fluxes`, component -> (chan, 4) in Stokes parameters, says what the planes hold; by default fluxes at the
    frequencies of the grid.

    A point that is not in the middle of a pixel is shared among the four around it, so that its centroid is right.
    The pixels of a Gaussian, with those beyond the edge, have the flux of the component. Only Stokes I, Q, U and V can
    be drawn.
    """

    def at_frequencies(component):
        return spectra([component], grid.freq)[0]

    model, outside = np.zeros(grid.cube_shape), 0
    planes = ["IQUV".index(stokes) for stokes in grid.stokes]
    for component in components:
        l, m, n = radec_to_lmn(component.ra, component.dec, grid.centre)
        x, y = grid.shape[1] // 2 - l / grid.cell[0], grid.shape[0] // 2 + m / grid.cell[1]
        stamp, x0, y0 = _gaussian(component, x, y, grid) if component.major > 0 else _point(x, y)
        rows, columns = y0 + np.arange(stamp.shape[0]), x0 + np.arange(stamp.shape[1])
        seen_rows, seen_columns = (rows >= 0) & (rows < grid.shape[0]), (columns >= 0) & (columns < grid.shape[1])
        if n <= 0 or not (seen_rows.any() and seen_columns.any()):
            outside += 1
            continue
        flux = (fluxes or at_frequencies)(component)[:, planes]
        place = np.ix_(range(len(grid.freq)), range(len(planes)), rows[seen_rows], columns[seen_columns])
        model[place] += flux[:, :, None, None] * stamp[np.ix_(seen_rows, seen_columns)]
    return model.astype(np.float32), outside


def taylor_terms(nterms: int, reference: float, band: tuple[float, float]) -> Callable:
    """For `draw`: component -> (nterms, 4), the coefficients of a polynomial in freq / reference - 1.

    Least squares over `band`, its lowest and its highest frequency (Hz): what a clean with so many terms would find.
    """
    freq = np.linspace(*band, 32)
    inverse = np.linalg.pinv(np.vander(freq / reference - 1, nterms, increasing=True))
    return lambda component: inverse @ spectra([component], freq)[0]


def _point(x: float, y: float) -> tuple[np.ndarray, int, int]:
    """Weights (y, x) of the pixels around a place, and the first column and row of these."""
    x, y = (float(round(place)) if abs(place - round(place)) < SNAP else place for place in (x, y))
    return _shared(np.array([x]), np.array([y]), np.ones(1))


def _shared(x: np.ndarray, y: np.ndarray, flux: np.ndarray) -> tuple[np.ndarray, int, int]:
    """As `_point`, of many points (n,): each is divided among four pixels in proportion to its distance from them."""
    x0, y0 = math.floor(x.min()), math.floor(y.min())
    stamp = np.zeros((math.ceil(y.max()) - y0 + 1, math.ceil(x.max()) - x0 + 1))
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    for dy, share_y in ((0, 1 - (y - row)), (1, y - row)):
        for dx, share_x in ((0, 1 - (x - column)), (1, x - column)):
            some = share_y * share_x > 0
            np.add.at(stamp, (row[some] + dy - y0, column[some] + dx - x0), (flux * share_y * share_x)[some])
    return stamp, x0, y0


def _gaussian(component: Component, x: float, y: float, grid: Grid) -> tuple[np.ndarray, int, int]:
    """As `_point`. A Gaussian of some pixels' width is sampled, a narrower one made of points along its axes."""
    squares, axes = np.linalg.eigh(component.covariance() / np.outer(grid.cell, grid.cell))  # pixels, towards (l, m)
    if component.minor >= NARROW * max(grid.cell):
        reach_x, reach_y = (math.ceil(REACH * component.major / cell) for cell in grid.cell)
        x0, y0 = round(x) - reach_x, round(y) - reach_y
        offset = np.stack(np.broadcast_arrays(x - (x0 + np.arange(2 * reach_x + 1))[None, :],
                                              (y0 + np.arange(2 * reach_y + 1))[:, None] - y))  # fmt: skip
        along = np.tensordot(axes.T, offset, axes=1)
        stamp = np.exp(-((along**2 / squares[:, None, None]).sum(axis=0)) / 2)
        return stamp / stamp.sum(), x0, y0
    # Sharing a point among pixels widens it by a sixth of a pixel squared, on the average.
    sigma = np.sqrt(np.maximum(squares - 1 / 6, 0))
    steps = [np.linspace(-6, 6, 1 + 2 * math.ceil(24 * width)) if width else np.zeros(1) for width in sigma]
    flux = np.multiply.outer(*(np.exp(-(step**2) / 2) / np.exp(-(step**2) / 2).sum() for step in steps))
    first, second = (width * step for width, step in zip(sigma, steps, strict=True))
    dl = first[:, None] * axes[0, 0] + second[None, :] * axes[0, 1]
    dm = first[:, None] * axes[1, 0] + second[None, :] * axes[1, 1]
    return _shared((x - dl).ravel(), (y + dm).ravel(), flux.ravel())


def pixels(model: np.ndarray) -> Iterator[tuple[float, int, int, np.ndarray]]:
    """The records (FWHM 0, y, x, values (chan,)) of what is not 0 in a model (chan, y, x), Jy/pixel."""
    for y, x in np.argwhere((model != 0).any(axis=0)).tolist():
        yield 0.0, y, x, model[:, y, x].astype(float)


def scale_records(kept: dict) -> Iterator[tuple[float, int, int, np.ndarray]]:
    """Records of what a deconvolver keeps: `scales` in pixels, `place` (n, 3) of scale, y, x, `fluxes` (n, chan, pol).

    A scale is a Gaussian of sigma 3/16 of its size (Offringa & Smirnov 2017; WSClean's too).
    """
    fwhm = [GAUSSIAN_SIGMA * math.sqrt(8 * math.log(2)) * float(scale) for scale in kept["scales"]]
    for (scale, y, x), flux in zip(kept["place"].tolist(), kept["fluxes"], strict=True):
        yield fwhm[scale], y, x, np.asarray(flux[:, 0], float)


def components_of_model(records: Iterable[tuple], grid: Grid, fitter=None, reffreq: float = 0.0) -> list[Component]:
    """Components of what clean found, Stokes I, the brightest at the reference frequency first.

    Parameters
    ----------
    records : (FWHM in pixels of the first cell size, y, x, fluxes (chan,) in Jy) of points and circular Gaussians
        centred on pixels. Those of a deconvolver that keeps no scales are `pixels(model)`.
    fitter : SpectralFitter of the channels; None where records hold coefficients in place of fluxes, those of the
        ordinary polynomial in freq / reffreq - 1.
    """
    reffreq = fitter.reference_frequency if fitter else reffreq
    found = [(fwhm, y, x, (fitter.fit(v, x=x, y=y) if fitter else v).tolist()) for fwhm, y, x, v in records]
    found.sort(key=lambda record: -abs(record[3][0]))
    l, m = grid.lm()
    logarithmic = fitter is not None and fitter.mode != "polynomial"
    components = []
    for number, (fwhm, y, x, (flux, *terms)) in enumerate(found):
        ra, dec = lm_to_radec(l[x], m[y], grid.centre)
        size, name = fwhm * grid.cell[0], f"{'g' if fwhm else 'p'}{number}"
        components.append(Component(name, float(ra), float(dec), (flux, 0.0, 0.0, 0.0), tuple(terms), reffreq,
                                    size, size, logarithmic=logarithmic))  # fmt: skip
    return components
