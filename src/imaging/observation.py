"""The declaration of a simulated observation: array, track, band, noise and sky (`workflow/demo/sky.yaml`)."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from imaging import units
from imaging.config_base import Angle, Duration, Flux, Frequency, Length, Section, as_list, explain, load_values

Fluxes = tuple[Flux, Flux, Flux, Flux]


class Source(Section):
    """A point, or an elliptical Gaussian."""

    name: str
    """Name in the table of results."""
    group: str = ""
    """Sources of one group are measured as one."""
    direction: str = ""
    """Position, such as '13h31m08.3 +30d30m33'; '' for the phase centre."""
    offset: tuple[Angle, Angle] = ("0arcsec", "0arcsec")
    """Offset east and north of that, in the plane of the image: [3arcmin, -20arcsec]."""
    flux: Fluxes | Flux = 1.0
    """Flux density at reffreq, integrated over the source: Stokes I, or [I, Q, U, V]."""
    spectral_index: Annotated[tuple[float, ...], BeforeValidator(as_list)] = ()
    """Exponent of the frequency, or [index, curvature, ...]: flux x^(index + curvature log10 x), x = freq/reffreq."""
    size: tuple[str, ...] = ()
    """FWHM and position angle of a Gaussian [major, minor, pa]; none for a point."""

    @field_validator("direction")
    @classmethod
    def _check_direction(cls, value: str) -> str:
        if value:
            units.parse_direction(value)
        return value

    @field_validator("size")
    @classmethod
    def _check_size(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > 3 or (value and not 0 < units.parse_beam(list(value))[1] <= units.parse_beam(list(value))[0]):
            raise ValueError("at most three values [major, minor, pa], the major axis the longer one")
        return value


class Observation(Section):
    """A VLA-like array that follows one field, seen without smearing and calibrated but for thermal noise."""

    telescope: str = "VLA"
    """Name in the MeasurementSet, from which imaging chooses the primary beam."""
    configuration: Literal["a", "b", "c", "d"] = "c"
    """Size of the Y: arms of 21, 6.4, 1.9 or 0.6 km."""
    antennas: int = Field(27, ge=2, le=27)
    """Number of antennas, from the centre outwards."""
    dishdiameter: Length = 25.0
    """Dish diameter in the MeasurementSet."""
    phasecenter: str = "J2000 12h00m00 +40d00m00"
    """Where the array points."""
    date: datetime.date = datetime.date(2026, 1, 1)
    """The transit observed is the first after this midnight UTC."""
    hourangle: tuple[Duration, Duration] = ("-2h", "2h")
    """First and last hour angle."""
    every: Duration = "10min"
    """Time between the starts of integrations."""
    integration: Duration = "10s"
    """Length of an integration."""
    startfreq: Frequency = "1.3GHz"
    """Centre of the first channel."""
    chanwidth: Frequency = "25MHz"
    """Width of a channel."""
    nchan: int = Field(8, ge=1)
    """Number of channels."""
    feeds: Literal["circular", "linear"] = "circular"
    """Four correlations of circular or linear feeds, unrotated."""
    sefd: Flux = "420Jy"
    """System equivalent flux density of an antenna; 0Jy for no noise."""
    seed: int = Field(1, ge=0)
    """Seed of the noise."""
    reffreq: Frequency = 0.0
    """Frequency at which flux densities are given; 0Hz for the middle of the band."""
    pbmodel: Literal["auto", "airy", "cosine", "cos3", "gaussian", "polynomial", "none"] = "auto"
    """Primary beam that attenuates the sky in every channel, as `primary_beam.pbmodel` in imaging."""
    sources: tuple[Source, ...] = ()
    """The sky."""
    skymodel: str = ""
    """Further sky: a list of components (WSClean's text format), or a model image (Jy/pixel) about the phase centre."""

    @field_validator("phasecenter")
    @classmethod
    def _check_phasecenter(cls, value: str) -> str:
        units.parse_direction(value)
        return value

    @model_validator(mode="after")
    def _check_track(self):
        if not self.hourangle[0] <= self.hourangle[1]:
            raise ValueError("a first hour angle before the last one")
        if min(self.every, self.integration, self.chanwidth, self.startfreq) <= 0:
            raise ValueError("times and frequencies above zero")
        return self

    @classmethod
    def load(cls, path: str | Path, overrides: tuple[str, ...] = ()) -> Observation:
        """Read a YAML file, validate. Raises ImagingError naming the first thing wrong with it."""
        return cls.parse(load_values(path, overrides))

    @classmethod
    def parse(cls, values: dict) -> Observation:
        """Validate a dictionary. Raises ImagingError naming the first thing wrong with it."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise explain(error, cls) from None

    def values(self) -> dict:
        """Everything as plain SI values."""
        return json.loads(self.model_dump_json())
