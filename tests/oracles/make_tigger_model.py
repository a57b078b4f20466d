"""Make tigger.lsm.html: python make_tigger_model.py   (in this folder; needs astro-tigger-lsm 1.8.0, --no-deps will do)

Three sources, as Tigger itself writes them. What it wants of Kittens (settings, messages) is stood in for.
"""

import sys
import types
from pathlib import Path


class Anything:
    def __init__(self, *args, **kw):
        pass

    def __getattr__(self, name):
        return lambda *args, **kw: args[1] if len(args) > 1 else None


kittens = types.ModuleType("Kittens")
for name, words in (("utils", ["verbosity"]), ("config", ["DualConfigParser", "SectionParser"])):
    module = types.ModuleType(f"Kittens.{name}")
    for word in words:
        setattr(module, word, Anything)
    setattr(kittens, name, module)
    sys.modules[f"Kittens.{name}"] = module
sys.modules["Kittens"] = kittens

from Tigger.Models import ModelClasses as model  # noqa: E402
from Tigger.Models import SkyModel as sky  # noqa: E402
from Tigger.Models.Formats import ModelHTML  # noqa: E402

sources = [
    sky.Source("point", model.Position(1.2, 0.6), model.Polarization(1.5, 0, 0, 0)),
    sky.Source("polarised", model.Position(1.201, 0.6012),
               model.PolarizationWithRM(0.8, 0.1, -0.05, 0.02, 12.5, 1.4e9),
               spectrum=model.SpectralIndex([-0.7, 0.1], 1.4e9), cluster="north", cluster_lead=True, Iapp=0.4),
    sky.Source("extended", model.Position(1.199, 0.599), model.Polarization(2.0, 0, 0, 0),
               shape=model.Gaussian(1e-4, 5e-5, 0.5), spectrum=model.SpectralIndex(-0.8, 1.3e9), dE=True),
]  # fmt: skip
whole = sky.SkyModel(*sources)
whole.setFieldCenter(1.2, 0.6)
ModelHTML.save(whole, str(Path(__file__).resolve().parent / "tigger.lsm.html"))
