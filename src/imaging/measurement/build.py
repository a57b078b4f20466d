"""MeqMaker as the section `measurement` of a configuration describes it."""

from __future__ import annotations

import re
from glob import glob
from pathlib import Path

from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.modules import make, native_module, source_file
from imaging.measurement.tiles import Observation

LISTS = ("sky_models", "sky_jones", "sky_vis_proc", "uv_jones", "vis_proc")
SKY, STATIONS = LISTS[:3], LISTS[3:]
"""What makes MODEL_DATA, and what makes DATA of it."""


def build(section, parts: tuple[str, ...] = LISTS, context: Observation | None = None, threads: int = 1) -> MeqMaker:
    """A MeqMaker of those `parts` of a section (Settings: lists of plain dicts)."""
    maker = MeqMaker(context=context, smearing=section.smearing, seed=section.seed, threads=threads)
    if "sky_models" in parts and section.sky_models:
        maker.add_sky_models([_make(entry, f"sky{i}") for i, entry in enumerate(section.sky_models)])
    adders = {"sky_jones": maker.add_sky_jones, "sky_vis_proc": maker.add_sky_vis_proc_module,
              "uv_jones": maker.add_uv_jones, "vis_proc": maker.add_vis_proc_module}  # fmt: skip
    for part in [part for part in LISTS[1:] if part in parts]:
        for entry in getattr(section, part, ()):
            more = {}
            if part == "sky_jones":
                pointing = entry["pointing"] and _make(entry["pointing"], entry["label"] + "pe")
                more = {"pointing": pointing or None, "subset": entry["subset"] or None, "unique": entry["unique"]}
            term = adders[part](entry["label"], entry["module"], _make(entry, entry["label"]), **more)
            term.skip_correct = entry["skip_correct"]
    return maker


def _make(entry: dict, label: str):
    return make(entry["module"], entry["options"], label)


def entries(section) -> list[dict]:
    """All modules of a section, pointing modules too."""
    found = [entry for part in LISTS for entry in getattr(section, part, ())]
    return found + [entry["pointing"] for entry in found if entry.get("pointing")]


def files(section) -> list[str]:
    """Files of the user's that a section names: modules, and what their options point to."""
    named = [source_file(entry["module"]) for entry in entries(section)]
    for entry in entries(section):
        for value in entry["options"].values():
            words = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
            named += words + [path for v in words if "$" in v for path in glob(re.sub(r"\$\(?\w+\)?", "*", v))]
    return sorted({path for path in named if path and Path(path).exists()})


def native_modules(section) -> list[str]:
    """Modules of this package that a section uses by name."""
    return sorted({found for entry in entries(section) if (found := native_module(entry["module"]))})
