"""THE declaration of everything a person can set: sections, types, defaults, help, and who reads what.

`config/config.yaml`, `config/schema.json` and the table in `docs/config.md` are generated from here
(`imaging config --write`). Stages get plain values in SI units, cut to what they read (`READS`).
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
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
    explain,
    load_values,
)
from imaging.errors import ImagingError
from imaging.plugins import DECONVOLVERS, check_name, deconvolver_version, is_builtin, is_script


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
    """Column to image; auto is CORRECTED_DATA where present, else DATA."""
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

    pbmodel: Literal["auto", "airy", "cosine", "cos3", "gaussian", "polynomial", "image", "none"] = "auto"
    """Beam model; auto chooses from the telescope and dish diameter in the data."""
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
    """modelcolumn writes the visibilities of the final model to MODEL_DATA, the only thing ever written to data.vis."""

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


class Config(Section):
    """A whole run."""

    name: str = Field("image", json_schema_extra={"pattern": NAME})
    """Name of the run; products are results/<name>/<name>.<product>.fits."""
    image_format: Literal["fits", "casa"] = "fits"
    """Format of the images."""
    compat: Literal["none", "casa"] = "none"
    """casa reproduces CASA's quirks (docs/conventions.md lists them)."""
    data: Data = Field(default_factory=Data)
    image: ImageSection = Field(default_factory=ImageSection)
    weighting: Weighting = Field(default_factory=Weighting)
    gridding: Gridding = Field(default_factory=Gridding)
    primary_beam: PrimaryBeam = Field(default_factory=PrimaryBeam)
    clean: Clean = Field(default_factory=Clean)
    mask: Mask = Field(default_factory=Mask)
    restore: Restore = Field(default_factory=Restore)
    _given: dict = PrivateAttr(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.model_dump() == other.model_dump()

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not re.fullmatch(NAME, value):
            raise ValueError("letters, digits, _, + and -, beginning with a letter or a digit")
        return value

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_sections(cls, values: Any) -> Any:
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values

    @classmethod
    def parse(cls, values: dict) -> Config:
        """Validate a nested dictionary. Raises ImagingError naming the first thing wrong with it."""
        try:
            config = cls.model_validate(values)
        except ValidationError as error:
            raise explain(error, cls) from None
        config._check_together()
        config._given = values
        return config

    def _check_together(self) -> None:
        """Values that are right by themselves but not with each other."""
        scales, smallest = self.clean.scales, min(self.image.imsize)
        if "multiscale" in self.deconvolvers() and not scales:
            raise ImagingError("The deconvolver multiscale has no scales.", got="clean.scales: []",
                               expected="sizes in pixels, from 0 to that of the largest structure",
                               next_step="set clean.scales: [0, 5, 15], or clean.deconvolver: hogbom")  # fmt: skip
        if {"multiscale", "mtmfs", "wideband"} & set(self.deconvolvers()) and max(scales, default=0) > smallest / 2:
            raise ImagingError("A scale is too large for the image.", got=f"clean.scales: {list(scales)}",
                               expected=f"at most {smallest // 2}, half of image.imsize",
                               next_step="leave out the largest scales, or make a larger image")  # fmt: skip
        self._check_joining()
        if "mtmfs" in self.deconvolvers():
            self._check_multiterm()
        planes = units.parse_stokes(self.image.stokes)
        if self.clean.startmodel and not set(planes) <= set("IQUV"):
            raise ImagingError("A sky to start from is in Stokes parameters.", got=f"image.stokes: {self.image.stokes}",
                               expected="I, Q, U, V or some of them with clean.startmodel",
                               next_step="set image.stokes: I, or leave clean.startmodel empty")  # fmt: skip
        if self.restore.components and planes[0] != "I":
            raise ImagingError("Components are those of Stokes I.", got=f"image.stokes: {self.image.stokes}",
                               expected="Stokes I among the planes, with restore.components",
                               next_step="set image.stokes: I, or restore.components: false")  # fmt: skip
        if self.image_format == "fits":
            from imaging.io.fits import stokes_axis

            stokes_axis(units.parse_stokes(self.image.stokes))
        if self.clean.savemodel != "none" and self.data.datacolumn == "model":
            raise ImagingError("The column that is imaged would be overwritten.", got="clean.savemodel: modelcolumn",
                               expected="clean.savemodel: none, with data.datacolumn: model",
                               next_step="image another column, or leave out clean.savemodel")  # fmt: skip
        if self.primary_beam.pbmodel == "image" and not self.primary_beam.pbimage:
            raise ImagingError("No primary-beam image is named.", got="primary_beam.pbimage: ''",
                               expected="a FITS image, with pbmodel: image",
                               next_step="set primary_beam.pbimage, or primary_beam.pbmodel: auto")  # fmt: skip

    def _check_joining(self) -> None:
        """What only the deconvolver wideband does, and what its parts need of each other."""
        clean = self.clean
        chosen = [name for name in WIDEBAND if getattr(clean, name) != Clean.model_fields[name].default]
        if set(self.deconvolvers()) <= set(NARROW) and chosen:
            name = chosen[0]
            raise ImagingError(f"The deconvolver {clean.deconvolver} knows no clean.{name}.",
                               got=f"clean.{name}: {self.model_dump(mode='json')['clean'][name]}",
                               expected="clean.deconvolver: wideband",
                               next_step=f"set clean.deconvolver: wideband, or leave out clean.{name}")  # fmt: skip
        joined = "channels" in clean.join or not all(map(is_builtin, self.deconvolvers()))
        for name in ("fit_spectrum", "deconvolution_channels"):
            if getattr(clean, name) not in ("none", 0) and not (joined and self.image.specmode == "cube"):
                raise ImagingError(f"clean.{name} needs joined channels.",
                                   got=f"clean.join: {list(clean.join)}, image.specmode: {self.image.specmode}",
                                   expected="clean.join: [channels] and image.specmode: cube",
                                   next_step="set these, with image.width the number of channels of a plane"
                                   )  # fmt: skip
        if clean.deconvolution_channels and clean.fit_spectrum == "none":
            raise ImagingError("Fewer deconvolution channels need a spectrum to be interpolated by.",
                               got="clean.fit_spectrum: none", expected="polynomial, logpolynomial or forced",
                               next_step="set clean.fit_spectrum: polynomial, or clean.deconvolution_channels: 0"
                               )  # fmt: skip
        if (clean.fit_spectrum == "forced") != bool(clean.spectrum_map):
            raise ImagingError("clean.spectrum_map goes with clean.fit_spectrum: forced.",
                               got=f"fit_spectrum: {clean.fit_spectrum}, spectrum_map: {clean.spectrum_map!r}",
                               expected="both, or neither", next_step="set both or leave out both")  # fmt: skip

    @property
    def joined(self) -> bool:
        """Whether planes of different channels are cleaned together."""
        return "channels" in self.clean.join and self.image.specmode == "cube"

    def _check_multiterm(self) -> None:
        """What Taylor terms do not go with."""
        if self.deconvolvers() != ["mtmfs"]:
            raise ImagingError("The deconvolver mtmfs cannot take turns with others: its planes are Taylor terms.",
                               got=", ".join(self.deconvolvers()), expected="mtmfs in all cycles, or in none",
                               next_step="leave it out of clean.schedule, or leave that empty")  # fmt: skip
        if self.image.specmode != "mfs":
            raise ImagingError("The deconvolver mtmfs makes one image of the whole band.",
                               got=f"image.specmode: {self.image.specmode}", expected="image.specmode: mfs",
                               next_step="set image.specmode: mfs, or another clean.deconvolver")  # fmt: skip
        if self.clean.nterms > 1 and self.gridding.major_cycle != "exact":
            raise ImagingError("Taylor terms need residuals from the visibilities.",
                               got=f"gridding.major_cycle: {self.gridding.major_cycle}",
                               expected="gridding.major_cycle: exact, where clean.nterms is above 1",
                               next_step="set gridding.major_cycle: exact")  # fmt: skip

    @property
    def nterms(self) -> int:
        """Taylor terms of the model: 1 unless the deconvolver has several."""
        return self.clean.nterms if self.clean.multiterm else 1

    @classmethod
    def load(cls, path: str | Path, overrides: tuple[str, ...] = ()) -> Config:
        """Read a YAML file, apply overrides such as `clean.niter=5000`, validate."""
        return cls.parse(load_values(path, overrides))

    def values(self) -> dict:
        """Everything as plain SI values, nested by section."""
        return json.loads(self.model_dump_json())

    def deconvolver_at(self, cycle: int) -> str:
        """The deconvolver of a clean cycle: `clean.deconvolver`, or as `clean.schedule` says."""
        due = [entry.deconvolver for entry in self.clean.schedule if entry.cycle <= cycle]
        return due[-1] if due else self.clean.deconvolver

    def deconvolvers(self) -> list[str]:
        """All that some cycle may use, each once."""
        return list(dict.fromkeys(self.deconvolver_at(c) for c in (0, *(entry.cycle for entry in self.clean.schedule))))

    def settings(self, stage: str, cycle: int = 0) -> dict:
        """The plain values that one stage reads: what its job gets, and what makes it run again.

        Those of minor_cycle are of one `cycle`: its deconvolver, and none that this does not read.
        """
        values, cut = self.values(), {}
        for path in READS[stage]:
            section, _, field = path.partition(".")
            if field == "*":
                cut[section] = values[section]
            elif field:
                cut.setdefault(section, {})[field] = values[section][field]
            else:
                cut[section] = values[section]
        if stage == "ingest" and not (self.data.timeaverage or self.data.chanaverage > 1):
            cut["image"] |= {"imsize": None, "cell": None}  # only averaging asks how far the image reaches
        if stage == "minor_cycle":
            cut["clean"]["deconvolver"] = name = self.deconvolver_at(cycle)
            cut["restore"]["components"] &= name == "wideband"  # there the shapes of scales are others for a list
            unread = (
                *(SCRIPTS if is_builtin(name) else ()),
                *((*WIDEBAND, *WIDEBAND_DETAILS) if name in NARROW else ()),
            )
            for key in unread:
                del cut["clean"][key]
        if self.nterms == 1 and "clean.nterms" in READS[stage]:  # for any deconvolver: another one regrids nothing
            cut["clean"] |= {"nterms": 1, "reffreq": ""}
        return cut

    def provenance(self) -> dict:
        """What the headers of the final products say: what was set, in the words it was given in, and the versions."""
        from importlib.metadata import version

        packages = ("fringeflow", "numpy", "scipy", "numba", "python-casacore", "snakemake")
        return {
            "config": _as_given(self.model_dump(mode="json", exclude_defaults=True), self._given),
            "digest": digest(self.values()),
            "versions": {"python": platform.python_version()}
            | {package: version(package) for package in packages}
            | {name: deconvolver_version(name) for name in self.deconvolvers() if not is_builtin(name)},
        }

    def identify_data(self) -> list[dict]:
        """Fingerprints of the input MeasurementSets. Raises ImagingError where one is missing or no MS."""
        from imaging.io.ms import fingerprint

        if not self.data.vis:
            raise ImagingError("No visibilities are named.", got="data.vis is empty",
                               expected="the path of a MeasurementSet",
                               next_step="set data.vis, for example data: {vis: my.ms}")  # fmt: skip
        paths = [Path(path).resolve() for path in self.data.vis]
        twice = [str(path) for path in paths if paths.count(path) > 1]
        if twice:
            raise ImagingError("A MeasurementSet is named twice.", got=", ".join(self.data.vis),
                               expected="every set once: its samples would count double",
                               next_step=f"name {twice[0]} once in data.vis")  # fmt: skip
        return [fingerprint(path, self.data.datacolumn) for path in self.data.vis]

    def check_files(self) -> None:
        """Raises ImagingError where a file of the user's is missing, or a script is none."""
        for name in filter(is_script, self.deconvolvers()):
            from imaging.scripts import examine

            examine(name)
        for path in (*self.mask_files(), *self.pb_files(), *self.spectrum_files(), *self.sky_files()):
            if not Path(path).exists():
                raise ImagingError(f"There is no file {path}.", got="no such file or directory",
                                   expected="the mask, beam, spectrum or sky model named in the configuration",
                                   next_step="check mask.mask, primary_beam.pbimage, clean.spectrum_map and"
                                   " clean.startmodel")  # fmt: skip

    def mask_files(self) -> list[str]:
        """Files among the user's masks: inputs of the automask stage."""
        texts = [m for m in self.mask.mask if isinstance(m, str) and "[" not in m]
        return texts if self.mask.usemask == "user" else []

    def sky_files(self) -> list[str]:
        """What the clean starts from: inputs of the startmodel stage."""
        return list(self.clean.startmodel)

    def pb_files(self) -> list[str]:
        """The user's primary-beam image, where one is named."""
        return [self.primary_beam.pbimage] if self.primary_beam.pbmodel == "image" else []

    def spectrum_files(self) -> list[str]:
        """The user's map of spectra, where one is named."""
        return [self.clean.spectrum_map] if self.clean.spectrum_map else []


_GRID = ("image.imsize", "image.cell", "image.specmode", "image.nchan", "image.start", "image.width", "image.restfreq")
_TERMS = ("clean.nterms", "clean.reffreq")
_SUMS = ("gridding.epsilon", "gridding.wterm", "gridding.precision", "gridding.backend", "gridding.memory")

WIDEBAND = ("join", "squared_join", "fit_spectrum", "deconvolution_channels", "automask_sigma", "local_rms")
"""Settings of `clean` that ask for what none of these can:"""
NARROW = ("hogbom", "clark", "multiscale", "mtmfs")
WIDEBAND_DETAILS = ("scalebias", "fit_terms", "spectrum_map", "local_rms_window", "local_rms_strength", "nsigma")
"""Further settings that the minor cycles of NARROW do not read; n-sigma thresholds are given to them in Jy."""

SCRIPTS = ("script_planes", "script_mask")
"""Settings of `clean` that no built-in deconvolver has."""

READS: dict[str, tuple[str, ...]] = {
    "ingest": ("data.*", "image.stokes", "image.phasecenter", "image.imsize", "image.cell"),
    "weights": ("weighting.*", "clean.join", *_GRID),
    "psf": (*_SUMS, "clean.psfcutoff", "compat", *_GRID, *_TERMS),
    "psf_double": (*_SUMS, *_GRID),
    "pb": ("primary_beam.*", *_GRID, *_TERMS),
    "startmodel": (*_GRID, *_TERMS),
    "major_cycle": (*_SUMS, *_GRID, *_TERMS),
    "automask": ("mask.*", "primary_beam.pblimit", "compat"),
    "decide": ("clean.niter", "clean.threshold", "clean.nsigma", "clean.cycleniter", "clean.cyclefactor",
               "clean.minpsffraction", "clean.maxpsffraction", "clean.nmajor", "clean.join", "clean.squared_join",
               "compat", "mask.usemask",
               "mask.fastnoise", "mask.pbmask", "primary_beam.pblimit"),
    "minor_cycle": ("clean.deconvolver", "clean.scales", "clean.smallscalebias", "clean.gain", "compat",
                    "restore.components", *(f"clean.{name}" for name in (*SCRIPTS, *WIDEBAND, *WIDEBAND_DETAILS))),
    "restore": ("restore.restoringbeam", "primary_beam.pblimit", "compat"),
    "mfs": ("restore.restoringbeam", "clean.psfcutoff", "compat"),
    "pbcor": ("primary_beam.pblimit",),
    "components": ("clean.deconvolver", "clean.join", "clean.fit_spectrum", "clean.fit_terms"),
    "restore_terms": ("restore.restoringbeam", "primary_beam.pblimit", "compat"),
    "pbcor_terms": ("primary_beam.pblimit",),
    "report": (*_SUMS, *_GRID),
    "savemodel": ("data.*", "image.stokes", "image.phasecenter", *_SUMS, *_GRID),
}  # fmt: skip
"""Which settings each stage reads. A stage that reads anything else fails: its settings hold nothing more."""


def _as_given(chosen: dict, given: dict) -> dict:
    """`given` at the keys of `chosen`; the value itself where it was not given by its key."""
    return {k: _as_given(v, given.get(k) or {}) if isinstance(v, dict) else given.get(k, v) for k, v in chosen.items()}


def digest(values: dict) -> str:
    """A short hash of plain values, the same for the same values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


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
