"""tclean's flat keywords as our configuration: every one is honoured, or refused in words.

A keyword that is also a field of `imaging.config` (they are spelled alike) goes to its section; the tables below name
the other ones. Keywords of ours that tclean has not (epsilon, pbmodel, compat, …) may be given too.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, field
from typing import Any

from imaging.config import Config
from imaging.config_base import Section
from imaging.config_sections import Clean
from imaging.errors import ImagingError
from imaging.log import logger


@dataclass(frozen=True)
class Wishes:
    """What a call asks for beyond the configuration, by tclean's names."""

    calcpsf: bool = True
    calcres: bool = True
    restoration: bool = True
    restart: bool = False
    fullsummary: bool = False


@dataclass(frozen=True)
class Task:
    """Nested `values` of a configuration, the wishes, and the `imagename` (path and prefix of the products)."""

    values: dict
    wishes: Wishes = field(default_factory=Wishes)
    imagename: str = ""


SPECMODES = {"mfs": "mfs", "cont": "mfs", "cube": "cube", "cubedata": "cube"}
DATACOLUMNS = {"corrected": "auto", "data": "data", "auto": "auto", "model": "model"}
SELECTIONS = ("timerange", "uvrange", "antenna", "scan", "observation", "intent")
"""Gated by selectdata."""

NO_EFFECT = (
    "interpolation", "veltype", "wprojplanes", "mosweight", "aterm", "psterm", "wbawp", "conjbeams", "cfcache",
    "computepastep", "rotatepastep", "pointingoffsetsigdev", "normtype",
    "verbose", "parallel", "python_automask", "nworkers", "cube_chunksize", "keep_subcubes", "concat_mode",
    "scales", "smallscalebias", "nterms", "reffreq", "fusedthreshold", "largestscale",
)  # fmt: skip
"""Read by nothing that is here to be chosen: by gridders of mosaics and by w-planes (gridding.epsilon says how exact
sums are), by deconvolvers that are not the chosen one, by ways to be parallel that do not change the image."""

ONLY = {
    "projection": (("SIN",), "images are in the SIN projection"),
    "gridder": (("standard", "wproject", "widefield", "gridft", "ft", "wprojectft"),
                "all of these are one here, with the w-term, to the accuracy gridding.epsilon"),
    "facets": ((1,), "the w-term needs none: leave facets out"),
    "vptable": (("",), "name a measured beam with primary_beam.pbimage"),
    "usepointing": ((False,), "pointing tables are not read"),
    "psfphasecenter": (("",), "the psf is made at the phase centre"),
    "outlierfile": (("",), "image outliers in runs of their own, and start from the models they give"),
    "perchanweightdensity": ((True,), "each channel of a cube has a weight density of its own"),
    "interactive": ((False, 0), "cut the loop into SerialImager's verbs and look at the files between them"),
}  # fmt: skip
"""Keywords that are right only with certain values, and what to do about other ones."""

OURS = ("image_format", "compat")
TASK = ("imagename", "selectdata", "outframe", *(f for f in Wishes.__dataclass_fields__))


def sections() -> dict[str, str]:
    """The section of every field of the configuration that is in one."""
    return {
        name: section
        for section, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        for name in field.annotation.model_fields
    }


def task(keywords: dict[str, Any], *, imagename_needed: bool = True) -> Task:
    """What tclean's `keywords` ask for. Raises ImagingError for one that is unknown or cannot be honoured."""
    given = {name: _plain(value) for name, value in keywords.items() if value is not None}
    where = sections()
    _check_known(given, where)
    for name, (allowed, instead) in ONLY.items():
        if name in given and name not in where and given[name] not in allowed:
            _refuse(name, given[name], ", ".join(repr(a) for a in allowed), instead)
    values: dict[str, Any] = {"image_format": "casa"} | {name: given[name] for name in OURS if name in given}
    for name, value in _translated(given).items():
        if name in where:
            values.setdefault(where[name], {})[name] = value
    imagename = given.get("imagename", "")
    if not isinstance(imagename, str):
        first = imagename[0] if isinstance(imagename, list) and imagename else "my_image"
        _refuse("imagename", imagename, "one name, as text", f"write imagename={str(first)!r}")
    base = os.path.basename(imagename)
    if imagename_needed and not base:
        raise ImagingError("No imagename is given.", got=f"imagename={imagename!r}",
                           expected="the name that the products begin with",
                           next_step="add imagename='my_image'")  # fmt: skip
    if base and not re.match("[A-Za-z0-9]", base):
        _refuse("imagename", imagename, "a name that begins with a letter or a digit", "choose such a name")
    if base:
        values["name"] = re.sub(r"[^A-Za-z0-9_+-]", "_", base)
    wishes = {name: bool(given[name]) for name in Wishes.__dataclass_fields__ if name in given}
    return Task(values, Wishes(**{"restart": True} | wishes), imagename)


def _check_known(given: dict, where: dict[str, str]) -> None:
    known = {*where, *NO_EFFECT, *ONLY, *OURS, *TASK}
    for name, value in given.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            raise ImagingError(f"Unknown keyword {name}.", got=f"{name}={value!r}",
                               expected="a keyword of tclean, or a parameter of docs/config.md",
                               next_step=f"did you mean {close[0]}?" if close else "leave it out")  # fmt: skip


def _translated(given: dict) -> dict:
    """The keywords that are fields of the configuration, with values as it has them."""
    values = dict(given)
    if not values.pop("selectdata", True):
        values = {name: value for name, value in values.items() if name not in SELECTIONS}
    for name in ("field", "spw", *SELECTIONS):
        if isinstance(values.get(name), list):
            values[name] = _one_for_all(name, values[name])
    for name in ("restoringbeam", "uvtaper", "mask", "scales"):
        if name in values:
            entries = values[name] if isinstance(values[name], list) else [values[name]]
            values[name] = [entry for entry in entries if entry not in ("", [])]
    for name, table in (("specmode", SPECMODES), ("datacolumn", DATACOLUMNS)):
        if name in values:
            if values[name] not in table:
                _refuse(name, values[name], ", ".join(table), "choose one of these")
            values[name] = table[values[name]]
    if isinstance(values.get("restfreq"), list):
        values["restfreq"] = (values["restfreq"] or [""])[0]
    if isinstance(values.get("startmodel"), list):
        values["startmodel"] = _one_for_all("startmodel", values["startmodel"])
    if values.get("savemodel") == "virtual":
        _refuse("savemodel", "virtual", "none, modelcolumn", "set savemodel='modelcolumn'; there are no virtual models")
    if values.get("specmode") == "cube" and given.get("outframe", "LSRK").upper() not in ("", "TOPO", "UNDEFINED"):
        logger.warning("the channels of cubes stay in the frame of the data, outframe is not applied")
    return _of_the_deconvolver(values)


def _of_the_deconvolver(values: dict) -> dict:
    """tclean's defaults of what the chosen deconvolver reads; what only other ones read is left out."""
    chosen = values.get("deconvolver", "hogbom")
    reads = {"multiscale": ("scales", "smallscalebias"), "mtmfs": ("scales", "smallscalebias", "nterms", "reffreq")}
    own = reads.get(chosen, ("scales", "smallscalebias") if chosen not in ("hogbom", "clark") else ())
    values = {n: v for n, v in values.items() if n in own or n not in ("scales", "smallscalebias", "nterms", "reffreq")}
    if chosen in ("multiscale", "mtmfs") and not values.get("scales"):
        values["scales"] = [0]
    if chosen == "mtmfs" and "nterms" in Clean.model_fields:
        values.setdefault("nterms", 2)
    return values


def _one_for_all(name: str, entries: list) -> str:
    """tclean takes a list with an entry for each MeasurementSet; here one selection is for all of them."""
    if len({str(entry) for entry in entries}) > 1:
        _refuse(name, entries, "one for all MeasurementSets", "make a selection that fits all of them")
    return entries[0] if entries else ""


def _plain(value: Any) -> Any:
    """Numpy's numbers and arrays, tuples and CASA's quantities as plain values."""
    if isinstance(value, dict) and {"value", "unit"} <= set(value):
        return f"{value['value']}{value['unit']}"
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _refuse(name: str, value: Any, expected: str, instead: str):
    raise ImagingError(f"The keyword {name} cannot be honoured.", got=f"{name}={value!r}", expected=expected,
                       next_step=instead)  # fmt: skip
