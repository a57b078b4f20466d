"""The examples of docs/measurement.md run as they stand there."""

import importlib.util
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from imaging.config_measurement import Measurement
from imaging.errors import ImagingError
from imaging.io.component_list import save_components
from imaging.measurement import compat
from imaging.measurement.build import build
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.modules import make
from imaging.observation import Observation

PAGE = (Path(__file__).parents[2] / "docs/measurement.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
YAML = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]


@pytest.fixture
def folder(sky, tmp_path, monkeypatch):
    """Where the page's files are."""
    monkeypatch.chdir(tmp_path)
    save_components([x.component for x in sky.source_list()], "sky.txt")
    Path("mine.py").write_text(BLOCKS[3])
    Path("ripples.py").write_text(BLOCKS[4])
    before, path = set(sys.modules), list(sys.path)
    yield tmp_path
    compat.uninstall()
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("Meow", "Cattery", "Siamese"):
            del sys.modules[name]


def section_of(values):
    return SimpleNamespace(**Measurement(**values["measurement"]).model_dump())


def test_the_examples(observe, sky, folder):
    names = {"observation": observe()}
    exec(compile(BLOCKS[0], "docs/measurement.md", "exec"), names)
    assert np.isfinite(names["vis"]).all()
    exec(compile(BLOCKS[1], "docs/measurement.md", "exec"), names)
    exec(compile(BLOCKS[2], "docs/measurement.md", "exec"), names)
    seen = []
    for beam in ("Beam", "NodeBeam"):
        maker = MeqMaker(context=names["observation"])
        maker.add_sky_models(sky)
        maker.add_sky_jones("E", modules=names[beam]())
        vis, _ = maker.make_predict_tree(sources=["centre"]).evaluate(names["tile"])
        np.testing.assert_allclose(vis[..., 0, 0], 1, rtol=1e-13)
        seen.append(maker.make_predict_tree().evaluate(names["tile"])[0])
    np.testing.assert_allclose(seen[0], seen[1], rtol=0, atol=1e-13)


def test_the_configuration(observe, folder):
    """Its observation is one, its modules are there, and its own one turns the feeds."""
    section, observation = section_of(YAML[0]), observe(width=1e6, interval=10.0)
    assert Observation.parse(section.observe).feeds == "linear"
    maker = build(section, context=observation)
    vis, _ = maker.make_predict_tree().evaluate(next(observation.tiles())[1])
    assert np.isfinite(vis).all()
    turned = maker.inspector_functions()["T:inspector"](next(observation.tiles())[1])
    np.testing.assert_allclose(turned[0, 0, 0, 0, 1], np.sin(np.radians(20)), rtol=1e-13)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"angle": "20deg"}, 0.3490658503988659), ({"angle": 20}, 20 / 206264.80624709636), ({"angle": "0.3rad"}, 0.3)],
)
def test_units_of_its_options(folder, options, expected):
    assert make("mine.py:Turns", options).angle == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("options", [{"share": "20deg"}, {"share": 2}, {"sense": "up"}, {"every": "2m"}, {"angles": 1}])
def test_options_that_it_has_not(folder, options):
    with pytest.raises(ImagingError, match="option"):
        make("mine.py:Turns", options)


def test_options_of_tdl(observe, folder):
    """Phases of amp degrees that swing once in a period."""
    maker, tile = build(section_of(YAML[1]), context=observe()), next(observe().tiles())[1]
    maker.make_predict_tree()
    seen = maker.inspector_functions()["R:inspector"](tile).reshape(len(tile.stations), -1)
    expected = np.radians(30) * np.sin(tile.time * 2 * np.pi / 5400 + np.arange(len(tile.stations))[:, None])
    np.testing.assert_allclose(seen, np.exp(1j * expected), rtol=0, atol=1e-9)


def test_modules_of_the_cattery(observe, folder, monkeypatch):
    own = os.environ.get("FRINGEFLOW_CATTERY")
    if own:
        monkeypatch.syspath_prepend(str(Path(own).parent))
    if importlib.util.find_spec("Cattery") is None:
        pytest.skip("there is no Cattery")
    observation = observe()
    maker, tile = build(section_of(YAML[2]), context=observation), next(observation.tiles())[1]
    assert len(maker.get_source_list()) == 9
    vis, _ = maker.make_predict_tree().evaluate(tile)
    assert np.isfinite(vis).all()
    gains = maker.inspector_functions()["G:inspector"](tile)
    size, phase = np.abs(gains), np.degrees(np.angle(gains))
    assert 0.8 <= size.min() < size.max() <= 1.2
    assert np.ptp(size, axis=-2).max() > 0
    assert 1 < np.abs(phase).max() <= 30
