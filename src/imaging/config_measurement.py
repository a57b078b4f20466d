"""The declaration of the section `measurement`: what is made of MeasurementSets before imaging."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from imaging.config_base import Duration, Memory, Section, as_list

LABEL = "^[A-Za-z][A-Za-z0-9_]*$"
STEPS = ("simulate", "predict", "corrupt", "correct")
MADE = {"simulate": "data", "predict": "model", "corrupt": "data", "correct": "corrected"}
"""The column that each step makes, as `data.datacolumn` says it."""


class Module(Section):
    """A module of the measurement equation."""

    module: str
    """A module's name, the path of a Python file, file.py:Class, or package.module:Class."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Its options; one it does not have is an error."""


class Term(Module):
    """A module with a place in the equation."""

    label: str = Field(pattern=LABEL)
    """Name of the term, such as G: what its random numbers and its inspectors go by."""
    skip_correct: bool = False
    """Leave this term alone when correcting."""


class Bounds(Section):
    """Sizes of Jones matrices outside of which samples are flagged when they are corrected."""

    quantity: Literal["abs", "diag", "norm"] = "abs"
    """Each element, those of the diagonal, or tr(J J^H)^1/2."""
    low: float | None = None
    """Smallest size that is good."""
    high: float | None = None
    """Largest size that is good."""
    mean: bool = False
    """Compare the mean over the channels."""


class StationTerm(Term):
    """A term of the stations."""

    all_stations: bool = False
    """The first station's term is that of all."""
    bounds: Bounds | None = None
    """Sizes outside of which samples are flagged by correct: {low: 0.5, high: 2}."""


class SkyTerm(Term):
    """A term that depends on the direction."""

    pointing: Module | None = None
    """Pointing module whose offsets the term is given."""
    subset: str = ""
    """Sources that have the term: names, patterns, =tag, tag<value; '' for all (docs/measurement.md)."""
    unique: str = "source"
    """A term for each source, one for the whole model, or the name of a tag: that of the source it names."""
    all_stations: bool = False
    """The first station's term is that of all."""


def _in_order(steps: tuple[str, ...]) -> tuple[str, ...]:
    if list(steps) != sorted(set(steps), key=STEPS.index):
        raise ValueError(f"each step once, in the order {', '.join(STEPS)}")
    return steps


class Measurement(Section):
    """MeasurementSets made by the measurement equation before imaging: docs/measurement.md."""

    steps: Annotated[
        tuple[Literal["simulate", "predict", "corrupt", "correct"], ...],
        BeforeValidator(as_list),
        AfterValidator(_in_order),
    ] = ()
    """Of simulate (a new set), predict (MODEL_DATA), corrupt (DATA), correct (CORRECTED_DATA)."""
    image: bool = True
    """Image what the steps made; false stops there."""
    write: Literal["new", "input"] = "new"
    """new makes a copy for each step; input writes the columns into data.vis itself."""
    observe: dict[str, Any] = Field(default_factory=dict)
    """What simulate observes: array, track, band, feeds, noise (docs/config.md, measurement.observe)."""
    sky_models: tuple[Module, ...] = ()
    """The sky: modules whose sources are joined."""
    sky_jones: tuple[SkyTerm, ...] = ()
    """Terms that depend on the direction, the first nearest the source: in MODEL_DATA."""
    uv_jones: tuple[StationTerm, ...] = ()
    """Terms of the stations, the first nearest the source: in DATA."""
    sky_vis_proc: tuple[Term, ...] = ()
    """Processors of each source's visibilities: in MODEL_DATA."""
    vis_proc: tuple[Term, ...] = ()
    """Processors of visibilities, such as noise, flags, errors of interferometers: in DATA."""
    smearing: bool = False
    """Average over channels and integrations."""
    sky_correct: str = ""
    """Source, or direction such as 'J2000 12h00m00 +40d00m00', toward which correct undoes the sky terms too."""
    inspect: bool = False
    """Also write what the terms are, as numbers (npz) and as a picture (png)."""
    aterms: int = Field(0, ge=0)
    """Pixels along a side of A-terms, the sky terms of each station as a FITS cube; 0 for none."""
    aterm_interval: Duration = "10min"
    """Time between A-terms."""
    seed: int = Field(1, ge=0)
    """Of random numbers, with each term's label."""
    tile_memory: Memory = "1GiB"
    """For visibilities and Jones matrices at a time."""
