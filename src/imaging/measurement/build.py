"""MeqMaker as the section `measurement` of a configuration describes it."""

from __future__ import annotations

import re
from glob import glob
from pathlib import Path

from imaging.algorithms.components import Component
from imaging.errors import ImagingError
from imaging.measurement.contracts import name_of
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.modules import make, native_module, source_file
from imaging.measurement.sky.components import Source
from imaging.measurement.terms import Bounds
from imaging.measurement.tiles import Observation
from imaging.units import parse_direction

LISTS = ("sky_models", "sky_jones", "sky_vis_proc", "uv_jones", "vis_proc")
SKY, STATIONS = LISTS[:3], LISTS[3:]
"""What makes MODEL_DATA, and what makes DATA of it."""
CHOICES = {"sky_jones": ("subset", "unique", "all_stations"), "uv_jones": ("all_stations", "bounds")}
"""What may be said of terms (`MeqMaker`)."""


def build(section, parts: tuple[str, ...] = LISTS, context: Observation | None = None, threads: int = 1) -> MeqMaker:
    """A MeqMaker of those `parts` of a section (Settings: lists of plain dicts)."""
    maker = MeqMaker(context=context, smearing=section.smearing, seed=section.seed, threads=threads)
    if "sky_models" in parts and section.sky_models:
        maker.add_sky_models([_make(entry, f"sky{i}") for i, entry in enumerate(section.sky_models)])
    adders = {"sky_jones": maker.add_sky_jones, "sky_vis_proc": maker.add_sky_vis_proc_module,
              "uv_jones": maker.add_uv_jones, "vis_proc": maker.add_vis_proc_module}  # fmt: skip
    for part in [part for part in LISTS[1:] if part in parts]:
        for entry in getattr(section, part, ()):
            more = {key: entry[key] for key in CHOICES.get(part, ()) if entry.get(key)}
            if "bounds" in more:
                more["bounds"] = Bounds(**more["bounds"])
            if entry.get("pointing"):
                more["pointing"] = _make(entry["pointing"], entry["label"] + "pe")
            term = adders[part](entry["label"], entry["module"], _make(entry, entry["label"]), **more)
            term.skip_correct = entry["skip_correct"]
    return maker


def _make(entry: dict, label: str):
    return make(entry["module"], entry["options"], label)


def some_sources(maker: MeqMaker) -> None:
    """Raises ImagingError where the sky models have no sources."""
    if not maker.get_source_list():
        raise ImagingError("The sky models have no sources.", got="empty lists of sources", expected="at least one",
                           next_step="check measurement.sky_models")  # fmt: skip


def toward(section, maker: MeqMaker) -> Source | str | None:
    """What correct undoes the terms of the sky toward: a source of the models', or a direction; None for nothing.

    Raises ImagingError for what is neither.
    """
    name = section.sky_correct
    known = [name_of(x) for x in maker.get_source_list()]
    if not name or name in known:
        return name or None
    try:
        ra, dec = parse_direction(name)
    except ValueError:
        raise ImagingError("There is nothing to correct toward.", got=f"measurement.sky_correct: {name}",
                           expected=f"a source ({', '.join(known[:9]) or 'there are none'}), or a direction",
                           next_step="correct it, or leave it out to undo no terms of the sky") from None  # fmt: skip
    return Source(Component(name, ra, dec, (1.0, 0.0, 0.0, 0.0)))


def entries(section) -> list[dict]:
    """All modules of a section, pointing modules too."""
    found = [entry for part in LISTS for entry in getattr(section, part, ())]
    return found + [entry["pointing"] for entry in found if entry.get("pointing")]


def files(section) -> list[str]:
    """Files of the user's that a section names: modules, and what their options point to."""
    sources = [source_file(entry["module"]) for entry in entries(section)]
    named = [path for source in filter(None, sources) for path in (source, *_beside(source))]
    for entry in entries(section):
        for value in entry["options"].values():
            words = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
            named += words + [path for v in words if "$" in v for path in glob(re.sub(r"\$\(?\w+\)?", "*", v))]
    return sorted({path for path in named if path and Path(path).exists()})


def _beside(path: str) -> list[str]:
    """Files in the folder of a module that it imports, and those that they import."""
    from imaging.scripts import files

    return files(path) if Path(path).suffix == ".py" and Path(path).exists() else []


def native_modules(section) -> list[str]:
    """Modules of this package that a section uses by name."""
    return sorted({found for entry in entries(section) if (found := native_module(entry["module"]))})
