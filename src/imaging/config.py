"""A whole configuration: the sections of config_sections.py, what each stage gets of them, what they say of the data.

Stages get plain values in SI units, cut to what they read (`READS`).
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from imaging.config_base import (
    Section,
    explain,
    load_values,
)
from imaging.config_checks import check_together
from imaging.config_measurement import MADE, Measurement
from imaging.config_reads import NARROW, READS, SCRIPTS, WIDEBAND, WIDEBAND_DETAILS
from imaging.config_sections import NAME, Clean, Data, Gridding, ImageSection, Mask, PrimaryBeam, Restore, Weighting
from imaging.config_selfcal import SelfCal
from imaging.errors import ImagingError
from imaging.plugins import deconvolver_version, is_builtin, is_script


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
    selfcal: SelfCal = Field(default_factory=SelfCal)
    measurement: Measurement = Field(default_factory=Measurement)
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
        check_together(config)
        config._given = values
        return config

    @property
    def joined(self) -> bool:
        """Whether planes of different channels are cleaned together."""
        return "channels" in self.clean.join and self.image.specmode == "cube"

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

        Those of minor_cycle are of one `cycle`: its deconvolver, and none that this does not read; those of solve of
        one round of self-calibration.
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
        if stage == "ingest" and self.measurement.steps and self.data.datacolumn == "auto":
            cut["data"]["datacolumn"] = MADE[self.measurement.steps[-1]]
        if stage == "ingest" and not (self.data.timeaverage or self.data.chanaverage > 1):
            cut["image"] |= {"imsize": None, "cell": None}  # only averaging asks how far the image reaches
        if stage == "solve":
            cut["selfcal"] = {name: self.selfcal.of_round(cycle)[name] for name in cut["selfcal"]}
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

        if not self.data.vis and "simulate" in self.measurement.steps:
            return []
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
        for path in (*self.mask_files(), *self.pb_files(), *self.spectrum_files(), *self.sky_files(),
                     *self.solution_files()):  # fmt: skip
            if not Path(path).exists():
                raise ImagingError(f"There is no file {path}.", got="no such file or directory",
                                   expected="the mask, beam, spectrum, sky model or solutions named in the"
                                   " configuration",
                                   next_step="check mask.mask, primary_beam.pbimage, clean.spectrum_map,"
                                   " clean.startmodel and data.solutions")  # fmt: skip

    def mask_files(self) -> list[str]:
        """Files among the user's masks: inputs of the automask stage."""
        texts = [m for m in self.mask.mask if isinstance(m, str) and "[" not in m]
        return texts if self.mask.usemask == "user" else []

    def sky_files(self) -> list[str]:
        """What the clean starts from: inputs of the startmodel stage."""
        return list(self.clean.startmodel)

    def solution_files(self) -> list[str]:
        """The gains by which the visibilities are corrected, where some are named."""
        return [self.data.solutions] if self.data.solutions else []

    def pb_files(self) -> list[str]:
        """The user's primary-beam image, where one is named."""
        return [self.primary_beam.pbimage] if self.primary_beam.pbmodel == "image" else []

    def spectrum_files(self) -> list[str]:
        """The user's map of spectra, where one is named."""
        return [self.clean.spectrum_map] if self.clean.spectrum_map else []


def _as_given(chosen: dict, given: dict) -> dict:
    """`given` at the keys of `chosen`; the value itself where it was not given by its key."""
    return {k: _as_given(v, given.get(k) or {}) if isinstance(v, dict) else given.get(k, v) for k, v in chosen.items()}


def digest(values: dict) -> str:
    """A short hash of plain values, the same for the same values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
