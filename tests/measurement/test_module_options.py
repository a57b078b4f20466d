"""Options of the modules that come with it, as a configuration gives them."""

import ast
import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from imaging.measurement.build import build, files
from imaging.measurement.contracts import station_array
from imaging.measurement.jones.bandpass import Bandpass
from imaging.measurement.jones.beams import AnalyticBeam, PointingErrors
from imaging.measurement.jones.fits_beam import FitsBeam
from imaging.measurement.jones.gains import ComplexGains
from imaging.measurement.jones.ionosphere import IonosphereScreen, IonosphereWave
from imaging.measurement.jones.leakage import Leakage
from imaging.measurement.jones.rotation import Rotation
from imaging.measurement.jones.solutions import Solutions
from imaging.measurement.jones.troposphere import Troposphere
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.modules import NATIVE
from imaging.measurement.sky.catalogue import CatalogueSky
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.sky.gridded import GriddedSky
from imaging.measurement.sky.image import FitsImageSky
from imaging.measurement.sky.tigger import TiggerSky
from imaging.measurement.visibilities.errors import IfrBiases, IfrGains, ThermalNoise
from imaging.measurement.visibilities.flagger import Flagger
from imaging.measurement.visibilities.smearing import Smearing

MODULES = [AnalyticBeam, Bandpass, CatalogueSky, ComplexGains, ComponentSky, FitsBeam, Flagger, GriddedSky, IfrBiases,
           IfrGains, IonosphereScreen, IonosphereWave, Leakage, PointingErrors, Rotation, Smearing, ThermalNoise,
           TiggerSky, Troposphere, FitsImageSky, Solutions]  # fmt: skip
NEEDED = {Solutions: {"file": "x"}}


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


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_page_has_every_option_and_no_other(module):
    page = (Path(__file__).parents[2] / "docs/measurement.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{module.__name__}`")]
    options = row.split("|")[3]
    assert set(re.findall(r"`(\w+)`", options)) == {field.name for field in fields(module)}
    assert NATIVE[module.__name__] == module.__module__


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_page_says_what_options_are_unless_they_are_given(module):
    """In brackets after the name, up to a semicolon: of all that are not 0, false or nothing."""
    page = (Path(__file__).parents[2] / "docs/measurement.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{module.__name__}`")]
    said = dict(re.findall(r"`(\w+)` \(((?:\([^)]*\)|[^()])*)\)", row.split("|")[3]))
    needed = {field.name: "x" for field in fields(module) if field.default is MISSING} | NEEDED.get(module, {})
    for field in fields(module):
        if field.default is not MISSING and np.any(np.array(field.default)):
            values = yaml.safe_load(f"[{said[field.name].split(';')[0]}]")
            values = values if isinstance(field.default, tuple) else values[0]
            made = getattr(TypeAdapter(module).validate_python(needed | {field.name: values}), field.name)
            assert made == (field.default if isinstance(made, str) else pytest.approx(field.default, rel=1e-12))


def test_all_native_modules_are_here():
    assert {module.__name__ for module in MODULES} == set(NATIVE)


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


def test_an_equation_of_everything_is_undone_and_does_not_depend_on_tiles(observe):
    """Toward a source alone; corrupted in one tile and in several."""
    section = SimpleNamespace(
        smearing=False, seed=3,
        sky_models=[entry("GriddedSky", "", pattern="star", size=3, step="3arcmin", polarisation=[0.1, 0.05, 0.02])],
        sky_jones=[
            entry("IonosphereScreen", "Z", size=128, diffractive_scale="2km") | {"subset": "", "unique": "source"},
            entry("AnalyticBeam", "E", diameter="12m", squint=0.05, parallactic=True)
            | {"subset": "", "unique": "source", "pointing": entry("PointingErrors", "", rms="20arcsec", drift=10)},
        ],
        sky_vis_proc=[entry("Smearing", "S")],
        uv_jones=[entry("Troposphere", "T", rms="5mm", opacity=0.1, size=128),
                  entry("Rotation", "P", feed_angle="5deg"),
                  entry("Leakage", "D", rms=0.03, ripple=0.01),
                  entry("Bandpass", "B", amplitude=0.1, phase="11deg", edge=0.1, delay="1ns"),
                  entry("ComplexGains", "G", amplitude=0.1, drift="20deg")],
        vis_proc=[entry("IfrGains", "I", rms=0.01), entry("IfrBiases", "C", rms="10mJy")],
    )  # fmt: skip
    observation = observe(width=2e6, interval=10.0)
    maker, plain = build(section, context=observation), build(section, ("sky_models",), context=observation)
    tree, tile = maker.make_predict_tree(sources=["S+1-1"]), next(observation.tiles())[1]
    clean = plain.make_predict_tree(sources=["S+1-1"]).evaluate(tile)[0]
    vis, flag = maker.correct_uv_data(None, tree, sky_correct="S+1-1").evaluate(tile)
    assert not flag.any()
    np.testing.assert_allclose(vis, clean, rtol=0, atol=1e-10)
    whole, again = maker.make_predict_tree().evaluate(tile)[0], build(section, context=observation).make_predict_tree()
    assert np.abs(whole - plain.make_predict_tree().evaluate(tile)[0]).max() > 0.1
    for rows, part in observation.tiles(1):
        np.testing.assert_allclose(again.evaluate(part)[0], whole[rows], rtol=0, atol=1e-12)


def entry(module, label, **options):
    return {"module": module, "label": label, "options": options, "pointing": None, "skip_correct": False}


def test_files_of_a_pattern_are_inputs(tmp_path):
    for name in ("beam_xx_re.fits", "beam_yy_im.fits", "other.fits"):
        (tmp_path / name).write_text("")
    section = SimpleNamespace(sky_jones=[entry("FitsBeam", "E", pattern=str(tmp_path / "beam_$(xy)_$reim.fits"))])
    assert [Path(path).name for path in files(section)] == ["beam_xx_re.fits", "beam_yy_im.fits"]


QUIET = {"add_sky_jones": [IonosphereWave], "add_uv_jones": [Bandpass, ComplexGains, Leakage, Troposphere],
         "add_vis_proc_module": [IfrBiases, IfrGains, ThermalNoise]}  # fmt: skip


@pytest.mark.parametrize(("add", "module"), [(add, module) for add, several in QUIET.items() for module in several])
def test_what_is_not_asked_for_does_not_happen(observe, sky, add, module):
    maker, plain = MeqMaker(context=observe()), MeqMaker(context=observe())
    for each in (maker, plain):
        each.add_sky_models(sky)
    getattr(maker, add)("X", modules=module())
    tile = next(observe().tiles())[1]
    vis, clean = (each.make_predict_tree().evaluate(tile)[0] for each in (maker, plain))
    np.testing.assert_allclose(vis, clean, rtol=0, atol=1e-13)


def test_a_bandpass_of_amplitudes_has_no_phases(observe):
    maker = MeqMaker(context=observe())
    maker.add_uv_jones("B", modules=Bandpass(amplitude=0.1))
    values = station_array(maker.get_uvjones_nodes("B"), next(observe().tiles())[1])
    assert np.abs(values - 1).max() > 0.05
    np.testing.assert_array_equal(values.imag, 0)
