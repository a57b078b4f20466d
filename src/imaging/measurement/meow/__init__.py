"""Directions, sources, arrays and their kin as nodes: what modules written for MeqTrees import as Meow.

`modules()` gives the modules under the names that they are imported by; `compat.install(meow=True)` puts them there.
Written from how modules use them; as far as the Cattery's Siamese, Calico and Lions modules do.
"""

from __future__ import annotations

import math
import types

from imaging.measurement.expressions import Meq, NodeTags


def modules() -> dict[str, types.ModuleType]:
    """The package Meow and what is in it, by name, for sys.modules."""
    from imaging.measurement import meqmaker
    from imaging.measurement.meow import context, directions, jones, observation, parameters, records, sources

    made = {}

    def module(name, **contents):
        made[f"Meow.{name}"] = types.ModuleType(f"Meow.{name}")
        made[f"Meow.{name}"].__dict__.update(contents)
        return made[f"Meow.{name}"]

    meow = made["Meow"] = types.ModuleType("Meow", __doc__)
    meow.__path__, meow.__fringeflow__ = [], True
    for file in (directions, observation, parameters, sources):
        for name in file.__all__:  # classes are found in the package and in a module of their own name
            thing = getattr(file, name)
            if isinstance(thing, type):
                module(name, **{other: getattr(file, other) for other in file.__all__})
                setattr(meow, name, thing)
    made["Meow.Parameterization"].__dict__.update(Meq=Meq, NodeTags=NodeTags, math=math)  # whose star import is used
    made["Meow.Context"] = meow.Context = context
    made["Meow.Jones"] = meow.Jones = jones
    meow.ParmGroup = module(
        "ParmGroup", ParmGroup=records.ParmGroup, Subgroup=records.Subgroup, SolveJob=records.SolveJob,
        num_solvejobs=lambda: 0, get_solvejob_options=list,
    )  # fmt: skip
    meow.Bookmarks = module(
        "Bookmarks", Page=records.Page, PlotPage=records.Page, Folder=records.Page, make_node_folder=records.Page
    )
    meow.StdTrees = module("StdTrees", define_inspector=records.define_inspector, inspector=records.inspector)
    meow.MSUtils = module("MSUtils", MSSelector=records.MSSelector, TABLE=None)
    meow.OptionTools = module("OptionTools", ListOptionParser=records.ListOptionParser)
    meow.MeqMaker = module(
        "MeqMaker", MeqMaker=meqmaker.MeqMaker, SourceSubsetSelector=records.SourceSubsetSelector
    )  # fmt: skip
    made |= {"Cattery.Meow": meow, "Cattery.Meow.MeqMaker": meow.MeqMaker}  # as Tigger calls them
    return made
