"""Options of the modules that come with it, as a configuration gives them."""

import ast
import inspect
from dataclasses import fields

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from imaging.measurement.jones.bandpass import Bandpass
from imaging.measurement.jones.beams import AnalyticBeam, PointingErrors
from imaging.measurement.jones.fits_beam import FitsBeam
from imaging.measurement.jones.gains import ComplexGains
from imaging.measurement.jones.ionosphere import IonosphereScreen, IonosphereWave
from imaging.measurement.jones.leakage import Leakage
from imaging.measurement.jones.rotation import Rotation
from imaging.measurement.jones.troposphere import Troposphere
from imaging.measurement.sky.catalogue import CatalogueSky
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.sky.gridded import GriddedSky
from imaging.measurement.sky.tigger import TiggerSky
from imaging.measurement.visibilities.errors import IfrBiases, IfrGains, ThermalNoise
from imaging.measurement.visibilities.flagger import Flagger
from imaging.measurement.visibilities.smearing import Smearing

MODULES = [AnalyticBeam, Bandpass, CatalogueSky, ComplexGains, ComponentSky, FitsBeam, Flagger, GriddedSky, IfrBiases,
           IfrGains, IonosphereScreen, IonosphereWave, Leakage, PointingErrors, Rotation, Smearing, ThermalNoise,
           TiggerSky, Troposphere]  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_option_has_a_type_and_an_explanation(module):
    schema = TypeAdapter(module).json_schema()
    names = [field.name for field in fields(module)]
    assert list(schema["properties"]) == names
    assert "solvable" not in names
    assert module.solvable is False
    (body,) = ast.parse(inspect.getsource(module)).body
    for i, line in enumerate(body.body):
        if isinstance(line, ast.AnnAssign):
            after = body.body[i + 1]
            assert isinstance(after, ast.Expr), line.target.id
            assert isinstance(after.value.value, str)


@pytest.mark.parametrize(
    ("module", "options", "name", "value"),
    [
        (AnalyticBeam, {"diameter": "12m", "kind": "cos3"}, "diameter", 12.0),
        (AnalyticBeam, {"diameters": ["12m", 1350.0]}, "diameters", (12.0, 1350.0)),
        (ComplexGains, {"delay": "2ns", "period": ["10min", "1h"]}, "period", (600.0, 3600.0)),
        (ComplexGains, {"phase": "180deg"}, "phase", 3.141592653589793),
        (Bandpass, {"band": ["1.2GHz", "1.6GHz"]}, "band", (1.2e9, 1.6e9)),
        (Flagger, {"times": [["1min", "2min"]], "channels": [[0, 3]]}, "times", ((60.0, 120.0),)),
        (IonosphereScreen, {"diffractive_scale": "5km"}, "diffractive_scale", 5000.0),
        (PointingErrors, {"rms": 648000}, "rms", 3.141592653589793),
        (ThermalNoise, {"sefds": ["400Jy", 300]}, "sefds", (400.0, 300.0)),
        (Troposphere, {"rms": "1mm"}, "rms", 0.001),
    ],
)
def test_options_with_units(module, options, name, value):
    made = TypeAdapter(module).validate_python(options)
    assert isinstance(made, module)
    np.testing.assert_allclose(getattr(made, name), value, rtol=1e-14)


@pytest.mark.parametrize(
    ("module", "options"),
    [(AnalyticBeam, {"diameter": "25Jy"}), (AnalyticBeam, {"kind": "square"}), (ComplexGains, {"order": 1.5}),
     (Rotation, {"parallactic": "maybe"}), (Flagger, {"fraction": 2}), (ComponentSky, {})],
)  # fmt: skip
def test_options_that_are_none(module, options):
    with pytest.raises(ValidationError):
        TypeAdapter(module).validate_python(options)
