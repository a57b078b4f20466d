"""MeasurementSets made by the measurement equation, and images of them."""

import shutil

import numpy as np
import pytest
import yaml
from casacore.tables import table

from imaging.image import lm_to_radec
from imaging.io.images import load_image
from imaging.units import parse_direction

CENTRE = parse_direction("J2000 12h00m00 +40d00m00")
MODULE = """
import numpy as np
from dataclasses import dataclass
from imaging.config_base import Angle
from imaging.measurement.contracts import ArrayJones


@dataclass
class Turns:
    angle: Angle = 0.5
    solvable = False

    def compute_jones(self, Jones, stations=None, **kw):
        turns = np.exp(1j * self.angle * np.arange(len(stations)))
        return ArrayJones(lambda tile: turns[:, None, None], "scalar", name=Jones.name)
"""


def sky(folder):
    places = {"a": (0.0, 0.0, 1.0), "b": (0.002, 0.0015, 0.5)}
    lines = ["Format = Name, Type, Ra, Dec, I, SpectralIndex, LogarithmicSI, ReferenceFrequency='1.4e9'"]
    for name, (l, m, flux) in places.items():
        ra, dec = np.degrees(lm_to_radec(l, m, CENTRE))
        lines.append(f"{name},POINT,{ra:.9f}deg,{dec:.9f}deg,{flux},[0.0],true,1.4e9")
    (folder / "sky.txt").write_text("\n".join(lines) + "\n")
    (folder / "turns.py").write_text(MODULE)


def equation(**changes) -> dict:
    return {
        "steps": ["simulate", "predict", "corrupt", "correct"],
        "observe": {"antennas": 8, "configuration": "d", "nchan": 2, "hourangle": ["-1h", "1h"], "every": "30min",
                    "feeds": "linear"},
        "sky_models": [{"module": "ComponentSky", "options": {"components": "sky.txt"}}],
        "sky_jones": [{"label": "E", "module": "AnalyticBeam", "options": {"diameter": "25m"}}],
        "uv_jones": [{"label": "G", "module": "ComplexGains", "options": {"amplitude": 0.1, "phase": 0.5}},
                     {"label": "T", "module": "turns.py:Turns", "options": {"angle": "20deg"}}],
        "image": False, "inspect": True,
    } | changes  # fmt: skip


@pytest.fixture
def chain(project, tmp_path):
    made = project()
    sky(made.folder)

    def write(**changes):
        values = {key: value for key, value in made.values.items() if key != "data"}
        values["measurement"] = equation(**changes)
        (made.folder / "my.yaml").write_text(yaml.safe_dump(values))
        return made

    return write


def columns(path, *names) -> list[np.ndarray]:
    with table(str(path), ack=False) as ms:
        return [ms.getcol(name) for name in names]


def expected(path) -> np.ndarray:
    """MODEL_DATA of the two points through an Airy beam, in XX, written out."""
    from scipy.special import j1

    uvw, time = columns(path, "UVW", "TIME")
    freq = table(f"{path}/SPECTRAL_WINDOW", ack=False).getcell("CHAN_FREQ", 0)
    total = 0
    for l, m, flux in ((0.0, 0.0, 1.0), (0.002, 0.0015, 0.5)):
        x = np.pi * 25 * np.hypot(l, m) * freq / 299792458.0
        beam = np.where(x > 0, 2 * j1(x) / np.where(x > 0, x, 1), 1)
        path_length = uvw @ (l, m, np.sqrt(1 - l * l - m * m) - 1)
        total = total + flux * beam**2 * np.exp(2j * np.pi * np.multiply.outer(path_length, freq / 299792458.0))
    return total


def test_steps_make_a_set_each_and_redo_only_what_changed(chain):
    made = chain()
    made.run()
    final = made.results / "small.array.correct.ms"
    model, data, corrected, flag = columns(final, "MODEL_DATA", "DATA", "CORRECTED_DATA", "FLAG")
    assert np.abs(model[..., 0] - expected(final)).max() < 2e-6
    assert np.abs(corrected - model).max() < 1e-6 < 0.1 < np.abs(data - model).max()
    assert not flag.any()
    assert "MODEL_DATA" not in table(str(made.results / "small.array.simulate.ms"), ack=False).colnames()
    numbers = np.load(made.results / "small.array.corrupt.inspect.npz")
    assert numbers["T:inspector"].shape == (1, 8, 5)
    assert (made.results / "small.array.corrupt.inspect.png").stat().st_size > 10000

    assert made.run().stdout.count("predict") == 0
    turns = made.folder / "turns.py"
    turns.write_text(turns.read_text() + "# another\n")
    made.run()
    assert set(made.jobs()) == {"corrupt", "correct"}
    chain(sky_correct="b").run()
    assert set(made.jobs()) == {"correct"}
    (corrected,) = columns(final, "CORRECTED_DATA")
    assert np.abs(corrected - model).max() > 0.01


def test_columns_of_the_users_set_are_written_only_when_asked(chain, tmp_path):
    made = chain(steps=["simulate"])
    made.run()
    own = made.folder / "own.ms"
    shutil.copytree(made.results / "small.array.simulate.ms", own)
    values = yaml.safe_load((made.folder / "my.yaml").read_text())
    values["data"] = {"vis": "own.ms"}
    for write in ("new", "input"):
        values["measurement"] = equation(steps=["predict", "corrupt"], write=write, inspect=False)
        del values["measurement"]["observe"]
        (made.folder / "my.yaml").write_text(yaml.safe_dump(values))
        (before,) = columns(own, "DATA")
        made.run()
        (after,) = columns(own, "DATA")
        assert (write == "new") == np.array_equal(before, after)
        made.run()
        assert not made.jobs()
    (copied,) = columns(made.results / "small.own.corrupt.ms", "DATA")
    assert np.array_equal(copied, after)


def test_a_beam_of_the_equation_is_that_of_the_formula(chain, tmp_path):
    made = chain(image=True, steps=["simulate", "predict"], inspect=False, aterms=16)
    made.run("clean.niter=0", "primary_beam.pbmodel=measurement")
    measured = load_image(made.results / "small.pb.fits")
    assert load_image(made.results / "small.residual.fits").data.max() == pytest.approx(1, rel=0.05)  # of MODEL_DATA
    assert (made.results / "small.aterms.fits").exists()
    made.run("clean.niter=0", "primary_beam.pbmodel=airy", "primary_beam.dishdiameter=25m")
    formula = load_image(made.results / "small.pb.fits")
    assert np.nanmax(np.abs(measured.data - formula.data)) < 2e-4


WRONG = {
    "no such module": ({"uv_jones": [{"label": "G", "module": "ComplexGain"}]}, ["did you mean ComplexGains"]),
    "unknown option": ({"uv_jones": [{"label": "G", "module": "ComplexGains", "options": {"amplitud": 1}}]},
                       ["no option amplitud", "did you mean amplitude"]),
    "option of another type": ({"uv_jones": [{"label": "T", "module": "turns.py:Turns", "options": {"angle": "5 kg"}}]},
                               ["angle", "5 kg"]),
    "no file": ({"uv_jones": [{"label": "G", "module": "absent.py"}]}, ["absent.py", "no such file"]),
    "does not import": ({"uv_jones": [{"label": "G", "module": "broken.py"}]}, ["ZeroDivisionError", "line 2"]),
    "is no module of the kind": ({"vis_proc": [{"label": "N", "module": "ComplexGains"}]}, ["process_visibilities"]),
    "no class": ({"uv_jones": [{"label": "G", "module": "turns.py:Turn"}]}, ["turns.py has no Turn", "Turns"]),
    "no **kw": ({"uv_jones": [{"label": "G", "module": "nokw.py"}]}, ["**kw"]),
    "label twice": ({"vis_proc": [{"label": "G", "module": "ThermalNoise"}]}, ["same label", "G"]),
    "wrong order": ({"steps": ["predict", "simulate"]}, ["in the order"]),
    "no sky": ({"sky_models": []}, ["no sky to predict"]),
    "same source twice": ({"sky_models": [{"module": "ComponentSky", "options": {"components": "sky.txt"}}] * 2},
                          ["same name"]),
    "raises": ({"uv_jones": [{"label": "G", "module": "bad.py:Raises"}]}, ["Jones term G failed", "ValueError: boo",
                                                                           "bad.py:6"]),
    "exits": ({"uv_jones": [{"label": "G", "module": "bad.py:Exits"}]}, ["Exits failed", "SystemExit"]),
    "numbers that are none": ({"vis_proc": [{"label": "P", "module": "bad.py:Spoils"}]}, ["not finite"]),
    "argument left out": ({"uv_jones": [{"label": "G", "module": "bad.py:Wants"}]}, ["lacks the option size"]),
    "several classes": ({"uv_jones": [{"label": "G", "module": "bad.py"}]}, ["bad.py:Raises", "bad.py:Wants"]),
    "beam of stations": ({"uv_jones": [{"label": "G", "module": "AnalyticBeam"}]}, ["wrong shape"]),
    "A-terms of nothing": ({"sky_jones": [], "aterms": 8}, ["no terms of the sky"]),
    "empty sky": ({"sky_models": [{"module": "bad.py:Empty"}]}, ["no sources"]),
    "array": ({"observe": {"antennas": 99}}, ["antennas"]),
    "no such source": ({"sky_correct": "z"}, ["z", "a, b"]),
}  # fmt: skip


BAD = """
import sys
from beside import ArrayJones, ArrayProcess

class Raises:
    def fail(self, tile):
        raise ValueError("boo")

    def compute_jones(self, Jones, **kw):
        return ArrayJones(self.fail, "scalar", name=Jones.name)

class Exits:
    def compute_jones(self, Jones, **kw):
        sys.exit(3)

class Spoils:
    def process_visibilities(self, nodes, input_nodes, **kw):
        return ArrayProcess(lambda vis, tile: vis * float("nan"))

class Wants:
    def __init__(self, size):
        self.size = size

class Empty:
    def source_list(self, **kw):
        return []
"""


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_equations_are_refused_in_words(chain, wrong):
    changes, words = WRONG[wrong]
    made = chain(**changes)
    (made.folder / "broken.py").write_text("x = 0\n1 / x\n")
    (made.folder / "nokw.py").write_text("def compute_jones(Jones, stations=None):\n    return None\n")
    (made.folder / "bad.py").write_text(BAD.lstrip())
    (made.folder / "beside.py").write_text("from imaging.measurement.contracts import ArrayJones, ArrayProcess\n")
    done = made.imaging("check", "my.yaml", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
