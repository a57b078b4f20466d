"""Primary beams: the power response of the dishes on the image's grid.

A model is a function of frequency and of the angle from the pointing direction alone (no squint, no rotation, the
same for all polarisations), normalised to 1 in the middle. Where `diameter` enters it is the *effective* one: that
of the unblocked, uniformly illuminated dish of the same half-power width, 1.029 lambda / diameter.

airy        ((D^2 J(D) - d^2 J(d)) / (D^2 - d^2))^2, J(D) = 2 J1(x)/x, x = pi D sin(theta) nu/c: uniform
            illumination with a blocked circle of diameter d (Born & Wolf, Principles of Optics, 8.6.2).
gaussian    exp(-4 ln 2 (theta / FWHM)^2), FWHM = 1.029 lambda / D.
cosine      (cos(1.189 pi x) / (1 - 4 (1.189 x)^2))^2, x = theta / FWHM: cosine-tapered illumination (Mauch et al.
            2020, ApJ 888, 61, equation 3).
cos3        cos^6(kappa theta D nu/c): a voltage of cos^3, the WSRT's beam (Popping & Braun 2008, A&A 479, 903).
polynomial  of (arcmin x GHz)^2 with the measured coefficients of `beam_tables`, inside the main lobe.
none        1 everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from imaging.algorithms.beam_tables import load_table
from imaging.errors import ImagingError
from imaging.image import Grid, Image, radec_to_lmn
from imaging.units import SPEED_OF_LIGHT

HALF_POWER = 1.0289939  # full width of (2 J1(x)/x)^2 at one half, in lambda / D
_COS3 = 2 * math.acos(0.5 ** (1 / 6)) / HALF_POWER
KINDS = ("airy", "cos3", "cosine", "gaussian", "polynomial", "none")


@dataclass(frozen=True, slots=True)
class BeamModel:
    """One of KINDS; `diameter` and `blockage` in m, `table` one of `beam_tables.TABLES`; `note` for the log."""

    kind: str
    diameter: float = 0.0
    blockage: float = 0.0
    table: str = ""
    note: str = ""


PRESETS = {
    # Polynomials as CASA uses them for the EVLA; 42 arcmin at 1 GHz is 25 m (EVLA memo 195). Blockage: CASA.
    "EVLA": BeamModel("polynomial", 25.0, 2.36, "evla"),
    "JVLA": BeamModel("polynomial", 25.0, 2.36, "evla"),
    "VLA": BeamModel("polynomial", 25.0, 2.36, "vla"),
    # 12 m dishes with tapered illumination: CASA's values (T. Hunter, C. Brogan 2011) for 12 m and 7 m.
    "ALMA": BeamModel("airy", 10.7, 0.75),
    "ACA": BeamModel("airy", 6.25, 0.75),
    # 57.5 arcmin at 1.5 GHz (Mauch et al. 2020) is an effective 12.3 m; the dish has 13.5 m.
    "MEERKAT": BeamModel("cosine", HALF_POWER * SPEED_OF_LIGHT / 1.5e9 / math.radians(57.5 / 60)),
    # 22 m dishes: 49.5 arcmin at 1 GHz.
    "ATCA": BeamModel("polynomial", HALF_POWER * SPEED_OF_LIGHT / 1e9 / math.radians(49.5 / 60), 0.0, "atca"),
    # 45 m dishes, measured 32 arcmin at 1 GHz in band 5 where the mesh is illuminated least.
    "GMRT": BeamModel("polynomial", 37.0, 0.0, "gmrt"),
    # 12 m dishes: FWHM 1.09 lambda / D (Hotan et al. 2021, PASA 38, e009; McConnell et al. 2016).
    "ASKAP": BeamModel("gaussian", 12.0 * HALF_POWER / 1.09),
    # 25 m dishes: cos^6(68 nu/GHz theta), 34 arcmin at 1.4 GHz (Popping & Braun 2008).
    "WSRT": BeamModel("cos3", 68.0 * SPEED_OF_LIGHT / 1e9 / _COS3),
    "VLBA": BeamModel("airy", 25.0),
}
# Arrays of dipoles: their beam has no closed form and follows the sky.
APERTURE_ARRAYS = ("MWA", "LOFAR", "LWA", "OVRO_LWA", "OVRO-LWA", "AARTFAAC", "NENUFAR", "SKA-LOW", "SKA_LOW", "PAPER")


def choose_model(
    pbmodel: str, telescope: str, dish_diameters: Sequence[float], dishdiameter: float = 0.0, blockage: float = 0.0
) -> BeamModel:
    """The beam for `primary_beam.pbmodel` with the `telescope` and `dish_diameters` (m) of the data.

    `auto` is the preset of the telescope; 1 everywhere for aperture arrays; else an Airy disc of the dish's diameter.
    Any other kind takes its effective diameter from `dishdiameter`, else the preset, else the data. Raises
    ImagingError where a dish is needed and its diameter is not known, or a polynomial is not tabulated.
    """
    name = telescope.strip().upper()
    known = [d for d in dish_diameters if d > 0]
    preset = _preset(name, max(known, default=0.0))
    if pbmodel == "none":
        return BeamModel("none")
    if pbmodel == "auto" and name.startswith(APERTURE_ARRAYS) and not dishdiameter:
        return BeamModel("none", note=f"no primary-beam model for the aperture array {telescope}: 1 everywhere. "
                         "Give one with primary_beam.pbimage")  # fmt: skip
    kind = pbmodel if pbmodel != "auto" else preset.kind if preset else "airy"
    if kind == "polynomial" and (not preset or not preset.table):
        raise ImagingError(
            f"There are no polynomial coefficients of the primary beam of {telescope or 'an unnamed telescope'}.",
            got=f"primary_beam.pbmodel: polynomial, telescope {telescope!r}",
            expected=", ".join(n for n, p in PRESETS.items() if p.table),
            next_step="choose airy or gaussian, with primary_beam.dishdiameter",
        )
    if kind == "polynomial" and dishdiameter:
        kind = "airy"  # the measured widths are those of that telescope's dishes
    diameter = dishdiameter or (preset.diameter if preset else max(known, default=0.0))
    if diameter <= 0:
        raise ImagingError(
            f"The dish diameter of {telescope or 'an unnamed telescope'} is not known.",
            got=f"DISH_DIAMETER {sorted(set(dish_diameters)) or 0} in the MeasurementSet, primary_beam.dishdiameter 0",
            expected=f"a diameter, or a known telescope ({', '.join(PRESETS)})",
            next_step="set primary_beam.dishdiameter: 25m, or primary_beam.pbmodel: none",
        )
    blocked = blockage or (preset.blockage if preset and not dishdiameter else 0.0)
    if not 0 <= blocked < diameter:
        raise ImagingError(
            "The blockage of the dish is as large as the dish.",
            got=f"primary_beam.blockage {blocked:g} m, diameter {diameter:g} m",
            expected="a blockage smaller than the dish",
            next_step="correct primary_beam.blockage or primary_beam.dishdiameter",
        )
    note = ""
    if len(set(known)) > 1 and not dishdiameter:
        sizes = ", ".join(f"{d:g}" for d in sorted(set(known)))
        note = f"dishes of {sizes} m in the data: the primary beam is that of the largest"
    return BeamModel(kind, diameter, blocked, preset.table if kind == "polynomial" else "", note)


def _preset(name: str, diameter: float) -> BeamModel | None:
    if name.startswith("ALMA") and 0 < diameter < 10:
        return PRESETS["ACA"]
    names = [known for known in PRESETS if name.startswith(known) or name == f"U{known}"]
    return PRESETS[max(names, key=len)] if names else None


def power(model: BeamModel, radius, freq) -> np.ndarray:
    """Power at `radius`, the sine of the angle from the pointing direction, and `freq` Hz (they broadcast)."""
    radius, freq = np.broadcast_arrays(np.asarray(radius, float), np.asarray(freq, float))
    if model.kind == "none":
        return np.ones(radius.shape)
    inside = radius < 1
    scaled = radius * freq / SPEED_OF_LIGHT  # sin(theta) / lambda, 1/m
    if model.kind == "airy":
        large, small = model.diameter, model.blockage
        voltage = large**2 * _jinc(scaled * large) - small**2 * _jinc(scaled * small)
        return np.where(inside, (voltage / (large**2 - small**2)) ** 2, 0.0)
    theta = np.arcsin(np.minimum(radius, 1.0))
    if model.kind == "polynomial":
        return np.where(inside, _polynomial(model.table, np.degrees(theta) * 60 * freq / 1e9, freq), 0.0)
    x = theta * freq / SPEED_OF_LIGHT * model.diameter / HALF_POWER  # in half-power widths
    if model.kind == "gaussian":
        response = np.exp(-4 * math.log(2) * x**2)
    elif model.kind == "cosine":
        y = 1.189 * x
        pole = np.abs(y - 0.5) < 1e-6  # a removable one: the limit is pi / 4
        response = np.where(pole, math.pi / 4, np.cos(math.pi * y) / np.where(pole, 1.0, 1 - 4 * y**2)) ** 2
    else:
        response = np.cos(np.minimum(_COS3 * HALF_POWER * x, math.pi / 2)) ** 6
    return np.where(inside, response, 0.0)


def _jinc(diameters: np.ndarray) -> np.ndarray:
    from scipy.special import j1

    x = np.pi * diameters
    return np.where(x < 1e-6, 1.0, 2 * j1(x) / np.where(x < 1e-6, 1.0, x))


def _polynomial(table: str, x: np.ndarray, freq: np.ndarray) -> np.ndarray:
    """The row nearest in frequency, up to where it stops falling or reaches 0: beyond, a fit means nothing."""
    mhz, coefficients, inverse = load_table(table)
    nearest = np.argmin(np.abs(np.log(freq[..., None] / 1e6 / mhz)), axis=-1)
    result = np.zeros(x.shape)
    trial = np.linspace(0, 150, 3001)
    for row in np.unique(nearest):
        series = [*coefficients[row, ::-1], 1.0]
        shape = np.polyval(series, trial**2)
        shape = 1 / shape if inverse else shape
        ends = np.flatnonzero((shape[1:] <= 0) | (np.diff(shape) > 0) | (shape[1:] > 1))
        here = (nearest == row) & (x <= (trial[ends[0]] if len(ends) else trial[-1]))
        value = np.polyval(series, x[here] ** 2)
        result[here] = 1 / value if inverse else value
    return result


Samples = Sequence[tuple[np.ndarray, np.ndarray]]
"""For each channel of the image the frequencies (Hz) that went into it, and their weights."""


def primary_beam(
    grid: Grid, model: BeamModel, samples: Samples | None = None, pointing: tuple[float, float] | None = None
) -> np.ndarray:
    """The power pattern (chan, 1, y, x) float32 of `model` on `grid`.

    A channel's pattern is sum_i w_i P(theta, nu_i) / sum_i w_i over its `samples`; without samples, or where their
    weights are all 0, it is that of the channel's centre. `pointing` (ra, dec) rad is where the dishes point: the
    grid's centre unless given.
    """
    radius = _pointing_offset(grid, pointing)
    out = np.empty((len(grid.freq), 1, *grid.shape), np.float32)
    for chan, (freq, weight) in enumerate(_samples(grid, samples)):
        # A pattern depends on the radius alone: average it over frequency on a line, then look it up.
        step = 1e-3 * SPEED_OF_LIGHT / freq.max() / max(model.diameter, 10.0)
        line = np.linspace(0, radius.max(), int(np.clip(radius.max() / step, 1000, 2_000_000)) + 2)
        profile = np.zeros(len(line))
        for nu, w in zip(freq, weight, strict=True):
            profile += w * power(model, line, nu)
        out[chan, 0] = np.interp(radius, line, profile / weight.sum())
    return out


def frequency_weights(parts: Iterable, nchan: int) -> Samples:
    """Samples of an image of `nchan` channels: the sum of the weights of each data channel of `parts`.

    A part has `freq` (chan,), `plane` (chan,) the image channel or -1, and `weight` (row, chan), as in
    `major_cycle.Part`.
    """
    totals = [(part.freq, part.plane, part.weight.sum(axis=0, dtype=np.float64)) for part in parts]
    freq, plane, weight = (np.concatenate(column) for column in zip(*totals, strict=True))
    return [(freq[plane == chan], weight[plane == chan]) for chan in range(nchan)]


def _samples(grid: Grid, samples: Samples | None) -> list[tuple[np.ndarray, np.ndarray]]:
    complete = []
    for chan, centre in enumerate(grid.freq):
        freq, weight = (np.asarray(v, float) for v in (samples[chan] if samples else ([], [])))
        good = weight > 0
        complete.append((freq[good], weight[good]) if good.any() else (np.array([centre]), np.ones(1)))
    return complete


def _pointing_offset(grid: Grid, pointing: tuple[float, float] | None) -> np.ndarray:
    """Sine of the angle between each pixel (y, x) and the pointing; at least 1 below the horizon of either."""
    l, m = grid.lm()
    if pointing is None or tuple(pointing) == tuple(grid.centre):
        return np.hypot(l, m[:, None])
    l0, m0, n0 = radec_to_lmn(*pointing, grid.centre)
    squared = l**2 + m[:, None] ** 2
    n = np.sqrt(np.maximum(1 - squared, 0))
    chord = np.sqrt((l - l0) ** 2 + (m[:, None] - m0) ** 2 + (n - n0) ** 2)  # 2 sin(theta / 2)
    sine = chord * np.sqrt(np.maximum(1 - chord**2 / 4, 0))
    return np.where((squared < 1) & (chord < math.sqrt(2)), sine, 1.0)


def primary_beam_from_image(
    image: Image, grid: Grid, samples: Samples | None = None, pointing: tuple[float, float] | None = None
) -> np.ndarray:
    """The power pattern (chan, 1 or pol, y, x) float32 of a beam `image` that is centred on the pointing.

    Its own grid may differ: values in between are cubic splines, outside they are 0. A frequency takes the image's
    nearest channel, its angles scaled by their ratio (an image without frequencies holds for all). Each channel is
    divided by its value in the middle. An image of several polarisations must have the grid's.
    """
    from scipy.ndimage import map_coordinates

    data = np.where(image.valid, image.data, 0) if image.valid is not None else image.data
    npol = data.shape[1]
    if not image.grid.cell[1] or npol not in (1, len(grid.stokes)):
        raise ImagingError(
            "The primary-beam image does not fit.",
            got=f"{npol} polarisations" if image.grid.cell[1] else "no sky coordinates",
            expected=f"1 or {len(grid.stokes)} polarisations, and celestial axes with their increments",
            next_step="correct primary_beam.pbimage",
        )
    own = np.array(image.grid.freq)
    l, m = grid.lm()
    l0, m0, _ = radec_to_lmn(*(pointing or grid.centre), grid.centre)
    (ny, nx), cell = image.grid.shape, image.grid.cell
    out = np.zeros((len(grid.freq), npol, *grid.shape))
    for chan, (freq, weight) in enumerate(_samples(grid, samples)):
        for nu, w in zip(freq, weight / weight.sum(), strict=True):
            nearest = int(np.argmin(np.abs(own - nu)))
            scale = nu / own[nearest] if own[nearest] > 0 else 1.0
            x = nx // 2 - (l - l0) * scale / cell[0]
            y = ny // 2 + (m - m0) * scale / cell[1]
            for pol in range(npol):
                plane = data[nearest, pol]
                where = np.broadcast_arrays(y[:, None], x)
                middle = plane[ny // 2, nx // 2]
                if not middle > 0:
                    raise ImagingError(
                        "The primary-beam image is not centred on the beam.",
                        got=f"{middle} in its central pixel",
                        expected="the beam's largest value, above 0",
                        next_step="correct primary_beam.pbimage",
                    )
                out[chan, pol] += w * map_coordinates(plane / middle, where, order=3, mode="constant")
    return np.maximum(out, 0).astype(np.float32)


def apply_limit(pb: np.ndarray, pblimit: float) -> tuple[np.ndarray, np.ndarray]:
    """`pb` with 0 where it is not above |pblimit|, and where it is above (bool): tclean's image and pixel mask."""
    valid = pb > abs(pblimit)
    return np.where(valid, pb, 0).astype(np.float32), valid
