"""What the Cattery's own Meow and programs cannot do."""

import importlib

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")


def test_what_their_meow_breaks(their_dialect):
    field = their_dialect.field()
    module, _ = their_dialect.module("Calico.OMS.model_3C343")
    with pytest.raises(AttributeError, match="'function' object has no attribute 'search'"):
        module.source_list(field.ns)
    rotation, _ = their_dialect.module("Calico.OMS.solvable_sky_jones:IntrinsicFR")
    rotation.subset = "0:1"
    with pytest.raises(AttributeError, match="parse_list"):
        rotation.compute_jones(field.ns.F, field.sources, field.stations, tags="F", label="F")


@pytest.mark.parametrize(("name", "missing"), [("Calico.ParmTables", "Timba.parmtables"), ("Calico.Flagger", "Purr")])
def test_programs_that_want_other_packages_say_which(their_dialect, name, missing):
    with pytest.raises(ModuleNotFoundError, match=missing):
        importlib.import_module(name)
