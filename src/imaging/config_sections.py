"""THE declaration of everything a person can set: sections, types, defaults and help.

`config/config.yaml`, `config/schema.json` and the table in `docs/config.md` are generated from here
(`imaging config --write`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    field_validator,
)

from imaging import units
from imaging.config_base import (
    Angle,
    Duration,
    Flux,
    Fraction,
    Length,
    Memory,
    Section,
    as_list,
    as_word,
)
from imaging.errors import ImagingError
from imaging.plugins import DECONVOLVERS, check_name


def _as_boxes(value: Any) -> Any:
    """Boxes from one corner to the other, whichever is named first; files and CRTF text as they are."""
    values = as_list(value)
    if values and not any(isinstance(v, (str, list, tuple)) for v in values):
        values = [values]
    return [entry if isinstance(entry, str) else _as_box(entry) for entry in values]


def _as_box(corners: Any) -> tuple[int, ...]:
    whole = isinstance(corners, (list, tuple)) and all(type(c) is int for c in corners)
    if not whole or len(corners) != 4:
        raise ValueError(f"a file, CRTF text, or boxes of four whole numbers [x0, y0, x1, y1]; {corners} is none")
    x0, y0, x1, y1 = corners
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


LARGEST = 1_000_000
NAME = "^[A-Za-z0-9][A-Za-z0-9_+-]*$"


class Data(Section):
    """Which visibilities: CASA's selection syntax."""

    vis: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    """MeasurementSet, or a list of them."""
    datacolumn: Literal["auto", "data", "corrected", "model"] = "auto"
    """Column to image; auto is what measurement.steps end with, else CORRECTED_DATA where present, else DATA."""
    field: str = ""
    """Fields by id, name or pattern: 0, '3C286', '0~2', 'target*'."""
    spw: str = ""
    """Spectral windows and channels: '0:3~20;30~40,1'."""
    timerange: str = ""
    """Time range: '2010/04/26/03:21:00~03:25:00'."""
    uvrange: str = ""
    """uv range: '>100m', '0.1~20klambda'."""
    antenna: str = ""
    """Antennas and baselines: 'VA01&VA02', '!VA05'."""
    scan: str = ""
    """Scan numbers: '3~5,8'."""
    observation: str = ""
    """Observation ids."""
    intent: str = ""
    """Scan intent pattern: '*TARGET*'."""
    taql: str = ""
    """Any further TaQL condition on the main table."""
    timeaverage: Duration = 0.0
    """Average over so much time; 0s for none."""
    chanaverage: int = Field(1, ge=1)
    """Average so many channels; 1 for none."""
    maxsmearing: Fraction = 0.01
    """Largest amplitude loss that averaging may cause at the edge of the image."""
    solutions: str = ""
    """Gains of the stations by which the visibilities are corrected as they are read: a file that selfcal made."""
    interp: Literal["nearest", "linear"] = "linear"
    """How these are interpolated in time."""


class ImageSection(Section):
    """Which image of the sky."""

    imsize: Annotated[tuple[int, ...], BeforeValidator(as_list)] = (100,)
    """Pixels: 1500, or [nx, ny]."""
    cell: Annotated[tuple[Angle, ...], BeforeValidator(as_list)] = ("1arcsec",)
    """Pixel size: 60arcsec, or [x, y]."""
    phasecenter: str | int = ""
    """Image centre: 'J2000 13h31m08.3 +30d30m33' (or ICRS, B1950; none: the data's), a field id, '' for the first."""
    stokes: str = "I"
    """Planes: I, Q, U, V, IQ, IV, QU, UV, IQUV, ... or correlations XX, YY, RR, LL, XXYY, RRLL, ..."""
    specmode: Literal["mfs", "cube"] = "mfs"
    """One image of all channels (mfs), or one a channel (cube)."""
    nchan: int = Field(-1, ge=-1)
    """Channels of a cube; -1 for all."""
    start: str | int = ""
    """First channel of a cube: a channel number or a frequency; '' for the first of the data."""
    width: str | int = ""
    """Channel width of a cube: a number of channels or a frequency; '' for the data's."""
    restfreq: str = ""
    """Rest frequency, for the header: 1.420405752GHz."""

    @field_validator("imsize")
    @classmethod
    def _check_imsize(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(value) not in (1, 2):
            raise ValueError("one number, or two [nx, ny]")
        for n in value:
            if not 16 <= n <= LARGEST:
                raise ValueError(f"even numbers of pixels, from 16 to {LARGEST}")
            factor = _largest_prime(n)
            if n % 2 or factor > 13:
                why = f"{n} has a large prime factor ({factor})" if factor > 13 else f"{n} is odd"
                raise ValueError(f"even numbers of pixels without large prime factors: {why}; try {nearest_size(n)}")
        return tuple(value) * (2 if len(value) == 1 else 1)

    @field_validator("cell", mode="after")
    @classmethod
    def _check_cell(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) not in (1, 2) or not all(v > 0 for v in value):
            raise ValueError("one or two angles above zero, such as 60arcsec")
        return tuple(value) * (2 if len(value) == 1 else 1)

    @field_validator("phasecenter")
    @classmethod
    def _check_phasecenter(cls, value: str | int) -> str | int:
        text = str(value).strip()
        if text.isdigit():
            return int(text)
        if text:
            units.parse_direction(text)
        return text

    @field_validator("stokes")
    @classmethod
    def _check_stokes(cls, value: str) -> str:
        units.parse_stokes(value)
        return value.upper()

    @field_validator("start", "width")
    @classmethod
    def _check_channel(cls, value: str | int) -> str | int:
        text = str(value).strip()
        if text.lstrip("-").isdigit():
            return int(text)
        if text:
            units.parse_quantity(text, units.FREQUENCY, "Hz")
        return text

    @field_validator("restfreq")
    @classmethod
    def _check_restfreq(cls, value: str) -> str:
        if value:
            units.parse_quantity(value, units.FREQUENCY, "Hz")
        return value


class Weighting(Section):
    """How visibilities are weighted."""

    weighting: Literal["natural", "uniform", "superuniform", "radial", "briggs", "briggsabs"] = "natural"
    """Weighting scheme."""
    robust: float = Field(0.5, ge=-2, le=2)
    """Briggs' robustness: -2 is near uniform, 2 near natural."""
    noise: Flux = 1.0
    """Noise a visibility, for briggsabs."""
    perchanweightdensity: Annotated[Literal["auto", "true", "false"], BeforeValidator(as_word)] = "auto"
    """A weight density for each channel of a cube, or one for all; auto is one where clean joins the channels."""
    npixels: int = Field(0, ge=0)
    """Size of the uv box in pixels: superuniform (0 is 3), or the field of view of the density grid."""
    uvtaper: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    """Gaussian taper: image-plane FWHM [bmaj, bmin, bpa] or uv HWHM such as 10klambda."""

    @field_validator("uvtaper")
    @classmethod
    def _check_uvtaper(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > 3:
            raise ValueError("at most three values: [bmaj, bmin, bpa]")
        for text in value[:2]:
            units.parse_quantity(text, units.TAPER, "arcsec")
        if len({"lambda" in text for text in value[:2]}) > 1:
            raise ValueError("both axes on the sky, or both in wavelengths")
        if len(value) == 3:
            units.parse_quantity(value[2], units.ANGLE, "deg")
        return value


class Gridding(Section):
    """How visibilities become images and images visibilities."""

    epsilon: float = Field(1e-4, ge=1e-12, le=1e-2)
    """Accuracy: relative error of the images against a direct Fourier sum."""
    wterm: bool = True
    """Account for the w-term (wide fields); false treats the array as flat."""
    precision: Literal["auto", "single", "double"] = "auto"
    """Arithmetic; auto is single down to epsilon 1e-5, double below."""
    backend: Literal["numba", "reference"] = "numba"
    """numba, or the readable direct sum (slow, exact)."""
    memory: Memory = "2GiB"
    """Working memory of one gridding job."""
    major_cycle: Literal["exact", "psf", "hybrid"] = "exact"
    """Residuals from the visibilities (exact), or by the psf where within epsilon; hybrid stops at exact ones only."""


class PrimaryBeam(Section):
    """The response of the dishes."""

    pbmodel: Literal["auto", "airy", "cosine", "cos3", "gaussian", "polynomial", "image", "measurement", "none"] = (
        "auto"
    )
    """Beam model; auto: that of the telescope and dish in the data; measurement: that of measurement.sky_jones."""
    dishdiameter: Length = 0.0
    """Effective dish diameter; 0m for that of the telescope."""
    blockage: Length = 0.0
    """Diameter of the central blockage (airy); 0m for that of the telescope."""
    pbimage: str = ""
    """FITS image of the power beam, with pbmodel: image."""
    pblimit: float = Field(0.2, gt=-1, lt=1)
    """Level of the primary beam below which pixels are masked; negative leaves residual and image unmasked."""


def _check_deconvolver(name: str) -> str:
    try:
        check_name(name)
    except ImagingError as error:
        raise ValueError(f"{error.expected}; {error.next_step}") from None
    return name


Deconvolver = Annotated[
    str, AfterValidator(_check_deconvolver), Field(json_schema_extra={"examples": [*DECONVOLVERS, "mine.py"]})
]


class Scheduled(Section):
    """From which cycle on another deconvolver works."""

    cycle: int = Field(ge=0)
    """First clean cycle in which it works, counted from 0."""
    deconvolver: Deconvolver
    """Minor-cycle algorithm."""


class Clean(Section):
    """How the model is found."""

    deconvolver: Deconvolver = "hogbom"
    """Minor-cycle algorithm: one of `imaging plugins`, or the path of a Python script (docs/plugins.md)."""
    schedule: tuple[Scheduled, ...] = ()
    """Other algorithms from later cycles on: [{cycle: 3, deconvolver: mine.py}]."""
    script_planes: Literal["all", "channels", "polarizations", "single"] = "all"
    """What a script gets in one call: all planes, all channels of one polarization, the reverse, or a single plane."""
    script_mask: bool = True
    """Scripts see zeros outside the mask, and what they add to the model there is dropped; false gives them all."""
    script_timeout: Duration = 0.0
    """Longest time that a script may take in a cycle: 1h; 0s for any."""
    nterms: int = Field(2, ge=1, le=3)
    """Taylor terms of the spectrum, for mtmfs: 1 flat, 2 with spectral index, 3 with curvature."""
    reffreq: str = ""
    """Frequency the Taylor terms are about, for mtmfs: 1.4GHz; '' for the middle of the band."""
    scales: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Scale sizes in pixels, for multiscale, mtmfs and wideband: [0, 5, 15]; none are automatic ones for wideband."""
    smallscalebias: float = Field(0.0, ge=-1, le=1)
    """Preference for small scales, for multiscale and mtmfs."""
    scalebias: float = Field(0.5, gt=0, le=1)
    """Preference for small scales, for wideband: the peak counts so much less for half the scale."""
    join: Annotated[tuple[Literal["channels", "polarizations"], ...], BeforeValidator(as_list)] = ()
    """Axes of which all planes get each component, for wideband: [channels, polarizations]."""
    squared_join: bool = False
    """Find components in the root of the mean square of joined planes, not in their mean."""
    fit_spectrum: Literal["none", "polynomial", "logpolynomial", "forced"] = "none"
    """Smooth spectra of components over joined channels; forced takes them from spectrum_map."""
    fit_terms: int = Field(2, ge=1, le=8)
    """Terms of the spectra: 1 is flat, 2 a slope."""
    spectrum_map: str = ""
    """FITS image with a plane of spectral indices (and one of curvatures, ...), for fit_spectrum: forced."""
    deconvolution_channels: int = Field(0, ge=0)
    """Average joined channels to so many before they are cleaned; 0 for all. Needs fit_spectrum."""
    automask_sigma: float = Field(0.0, ge=0)
    """Clean to so many times the noise, then deeper where there are components already; 0 for not (wideband)."""
    local_rms: Literal["none", "rms", "rms-with-min"] = "none"
    """Take the noise of every place for itself when looking for components (wideband); with-min: negatives too."""
    local_rms_window: float = Field(25.0, gt=0)
    """FWHM of the Gaussian over which the local noise is measured, in beams."""
    local_rms_strength: float = Field(1.0, ge=0, le=1)
    """How much of the variation of the noise counts: 1 all of it, 0 nothing."""
    gain: float = Field(0.1, gt=0, le=1)
    """Fraction of the peak removed by each component."""
    niter: int = Field(0, ge=0)
    """Most components, of all planes together (a minor cycle may take what is left in each); 0 for a dirty image."""
    threshold: Flux = 0.0
    """Peak residual at which to stop."""
    nsigma: float = Field(0.0, ge=0)
    """Stop at so many times the robust noise; 0 for not."""
    cycleniter: int = Field(-1, ge=-1)
    """Most components of a plane in a minor cycle; -1 for niter."""
    cyclefactor: float = Field(1.0, gt=0)
    """Multiplies the sidelobe level that ends a minor cycle."""
    minpsffraction: Fraction = 0.05
    """Smallest fraction of the peak at which a minor cycle ends."""
    maxpsffraction: Fraction = 0.8
    """Largest fraction of the peak at which a minor cycle ends."""
    nmajor: int = Field(-1, ge=-1, le=2000)
    """Most clean major cycles; -1 for no limit."""
    psfcutoff: float = Field(0.35, gt=0, lt=1)
    """Level of the psf above which the restoring beam is fitted."""
    startmodel: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    """Sky to start from: a list of components (WSClean's text format), a model image on the same grid, or several."""
    savemodel: Literal["none", "modelcolumn"] = "none"
    """modelcolumn writes the visibilities of the final model to MODEL_DATA of data.vis."""

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, value: tuple[Scheduled, ...]) -> tuple[Scheduled, ...]:
        cycles = [entry.cycle for entry in value]
        if cycles != sorted(set(cycles)):
            raise ValueError("each cycle once, in ascending order")
        return value

    @property
    def multiterm(self) -> bool:
        """Whether the model has Taylor terms, and the final products a file for each."""
        return self.deconvolver == "mtmfs"

    @field_validator("reffreq")
    @classmethod
    def _check_reffreq(cls, value: str) -> str:
        if value and units.parse_quantity(value, units.FREQUENCY, "Hz") <= 0:
            raise ValueError("a frequency above zero, such as 1.4GHz")
        return value


class Mask(Section):
    """Where clean may look."""

    usemask: Literal["user", "pb", "auto-multithresh"] = "user"
    """A mask of the user's (all pixels where there is none), the primary beam, or automatic masks."""
    mask: Annotated[tuple[str | tuple[int, int, int, int], ...], BeforeValidator(_as_boxes)] = ()
    """FITS or CASA image, DS9 or CRTF region file, CRTF text, or pixel boxes [x0, y0, x1, y1]."""
    pbmask: Fraction = 0.0
    """Primary-beam level of the pb mask, and limit of automatic masks."""
    sidelobethreshold: float = 3.0
    """Threshold in sidelobe levels."""
    noisethreshold: float = 5.0
    """Threshold in robust noise."""
    lownoisethreshold: float = 1.5
    """Threshold in robust noise into which masks grow."""
    negativethreshold: float = 0.0
    """Threshold for negative features in robust noise; 0 for none."""
    smoothfactor: float = Field(1.0, ge=0)
    """Smoothing of masks in beams."""
    minbeamfrac: float = 0.3
    """Smallest region kept, in beam areas; 0 keeps all."""
    cutthreshold: Fraction = 0.01
    """Level of the smoothed mask that is kept."""
    growiterations: int = Field(75, ge=0)
    """Steps by which masks may grow."""
    dogrowprune: bool = True
    """Prune the grown masks."""
    minpercentchange: float = -1.0
    """Stop updating a channel whose mask changes by less than this percentage; negative for never."""
    fastnoise: bool = True
    """Noise from all pixels; false clips outliers or leaves out the masked pixels."""


class Restore(Section):
    """What becomes of the model and the residual."""

    restoringbeam: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    """'' for each channel's own beam, 'common', or [bmaj, bmin, bpa]."""
    pbcor: bool = False
    """Also make the primary-beam-corrected image."""
    components: bool = False
    """Also write the model as a list of components with spectra, in WSClean's text format."""

    @field_validator("restoringbeam")
    @classmethod
    def _check_restoringbeam(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value == ("common",):
            return value
        if len(value) not in (0, 1, 3):
            raise ValueError("'common', one angle, or three: [bmaj, bmin, bpa]")
        for text, default in zip(value, ("arcsec", "arcsec", "deg"), strict=False):
            units.parse_quantity(text, units.ANGLE, default)
        if len(value) == 3 and units.parse_quantity(value[0], units.ANGLE, "arcsec") < units.parse_quantity(
            value[1], units.ANGLE, "arcsec"
        ):
            raise ValueError("a major axis no smaller than the minor axis")
        return value


def _largest_prime(n: int) -> int:
    largest, factor = 1, 2
    while factor * factor <= n:
        while n % factor == 0:
            largest, n = factor, n // factor
        factor += 1
    return max(largest, n)


def nearest_size(n: int) -> int:
    """The even number nearest to `n` with prime factors up to 7; of two as near the larger."""
    above, below = good_size(n), max(n - n % 2, 16)
    while _largest_prime(below) > 7:
        below -= 2
    return below if n - below < above - n else above


def good_size(n: int) -> int:
    """The smallest even number of at least `n` with prime factors up to 7."""
    n = max(n + n % 2, 16)
    while _largest_prime(n) > 7:
        n += 2
    return n
