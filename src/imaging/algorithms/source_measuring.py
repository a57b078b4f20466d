"""Fluxes and positions of known sources, measured on a restored image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.beams import area_pixels, covariance, from_covariance
from imaging.algorithms.components import Component
from imaging.image import Beam, Grid, radec_to_lmn

FOUR_LN2 = 4 * math.log(2)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One source: true and measured flux (Jy) and its error; offset from the true place (east, north), rad.

    `offset_error` is what thermal noise explains, in each coordinate; (l, m) the true place on the image.
    """

    name: str
    true_flux: float
    flux: float
    flux_error: float
    offset: tuple[float, float]
    offset_error: float
    l: float
    m: float


def robust_rms(values) -> float:
    """Standard deviation of Gaussian values, from the median absolute deviation: blind to a few sources."""
    values = np.asarray(values)[np.isfinite(values)]
    return 1.482602218505602 * float(np.median(np.abs(values - np.median(values))))


def measure_sources(components: Sequence[Component], image, noise, grid: Grid, beam: Beam) -> list[Measurement]:
    """Measure what was simulated on `image` (y, x), Jy/beam, corrected for the primary beam; `noise` (y, x) its rms.

    A lone point is fitted with the restoring beam; Gaussians and groups are summed over the pixels where the
    true source, as the beam shows it, exceeds a thousandth of its peak. Sources that reach beyond the image's
    valid (finite) pixels are left out. Fluxes are true at the frequency of the image.
    """
    groups: dict[str, list[Component]] = {}
    for c in components:
        groups.setdefault(c.group or c.name, []).append(c)
    measured = []
    for name, members in groups.items():
        point = len(members) == 1 and members[0].major == 0
        one = _fit_point if point else _sum_aperture
        found = one(name, members, np.asarray(image), np.asarray(noise), grid, beam)
        if found is not None:
            measured.append(found)
    return measured


def _beam_shape(beam: Beam, dl, dm):
    """A Gaussian of peak 1 and its exponent's gradient at offsets (east, north) rad."""
    s, c = math.sin(beam.pa), math.cos(beam.pa)
    along, across = dl * s + dm * c, dl * c - dm * s
    value = np.exp(-FOUR_LN2 * ((along / beam.major) ** 2 + (across / beam.minor) ** 2))
    a, b = 2 * FOUR_LN2 * along / beam.major**2, 2 * FOUR_LN2 * across / beam.minor**2
    return value, a * s + b * c, a * c - b * s


def _window(l, m, reach, grid):
    """Slices (y, x) of the pixels within `reach` rad of (l, m); None where they do not all lie in the image."""
    ny, nx = grid.shape
    x, y = nx // 2 - l / grid.cell[0], m / grid.cell[1] + ny // 2
    rx, ry = reach / grid.cell[0], reach / grid.cell[1]
    x0, x1, y0, y1 = math.floor(x - rx), math.ceil(x + rx) + 1, math.floor(y - ry), math.ceil(y + ry) + 1
    return (slice(y0, y1), slice(x0, x1)) if min(x0, y0) >= 0 and x1 <= nx and y1 <= ny else None


def _fit_point(name, members, image, noise, grid, beam):
    """Least squares of amplitude and place, the shape the beam's, in a box of a beam's FWHM around (Gauss-Newton).

    Errors for noise correlated over a beam: sigma(S) = rms, sigma(x) = FWHM rms / (S sqrt(8 ln 2)) (Condon 1997,
    PASP 109, 166).
    """
    source = members[0]
    l0, m0, _ = radec_to_lmn(source.ra, source.dec, grid.centre)
    window = _window(l0, m0, beam.major / 2, grid)
    if window is None or not np.isfinite(image[window]).all():
        return None
    l, m = grid.lm()
    l, m, data = l[window[1]][None, :] - l0, m[window[0]][:, None] - m0, image[window]
    flux, dl, dm = float(data.max()), 0.0, 0.0
    for _ in range(10):
        shape, by_l, by_m = _beam_shape(beam, l - dl, m - dm)
        gradient = np.stack([shape, flux * shape * by_l, flux * shape * by_m], axis=-1).reshape(-1, 3)
        scale = np.array([1.0, beam.minor, beam.minor])
        step = np.linalg.lstsq(gradient * scale, (data - flux * shape).ravel(), rcond=None)[0] * scale
        flux = flux + step[0]
        dl, dm = np.clip([dl + step[1], dm + step[2]], -beam.major / 2, beam.major / 2)  # where there is no source
    y, x = (s.start + (s.stop - s.start) // 2 for s in window)
    rms = float(noise[y, x])
    error = math.sqrt(beam.major * beam.minor) * rms / (abs(flux) * math.sqrt(8 * math.log(2)))
    true = float(source.flux(grid.freq[0]))
    return Measurement(name, true, float(flux), rms, (float(dl), float(dm)), error, float(l0), float(m0))


def _sum_aperture(name, members, image, noise, grid, beam):
    """Sum of the pixels over the beam's area, and centroid, where the true source as the beam shows it is bright."""
    l, m = (axis.astype(float) for axis in grid.lm())
    true = np.zeros(grid.shape)
    for source in members:
        l0, m0, _ = radec_to_lmn(source.ra, source.dec, grid.centre)
        convolved = from_covariance(covariance(Beam(source.major, source.minor, source.pa)) + covariance(beam))
        peak = source.flux(grid.freq[0]) * beam.major * beam.minor / (convolved.major * convolved.minor)
        true += peak * _beam_shape(convolved, l[None, :] - l0, m[:, None] - m0)[0]
    inside = true > 1e-3 * true.max()
    edge = inside[0].any() or inside[-1].any() or inside[:, 0].any() or inside[:, -1].any()
    if edge or not np.isfinite(image[inside]).all():
        return None
    y, x = np.nonzero(inside)
    area = area_pixels(beam, grid.cell)
    values, expected = image[inside], true[inside]
    rms = float(np.sqrt(np.mean(noise[inside] ** 2)))
    flux, error = values.sum() / area, rms * math.sqrt(len(values) / area)
    place = np.array([l[x] @ values, m[y] @ values]) / values.sum()
    true_place = np.array([l[x] @ expected, m[y] @ expected]) / expected.sum()
    spread = np.sqrt(np.mean((l[x] - true_place[0]) ** 2 + (m[y] - true_place[1]) ** 2) / 2)
    offset = place - true_place
    total = sum(float(source.flux(grid.freq[0])) for source in members)
    return Measurement(name, total, float(flux), error, (float(offset[0]), float(offset[1])),
                       float(spread * error / abs(flux)), float(true_place[0]), float(true_place[1]))  # fmt: skip
