"""predict, corrupt, correct on MeasurementSets: what was done is undone, as far as single-precision columns hold it."""

import numpy as np
import pytest
from casacore import tables

from imaging.config import Config
from imaging.settings import Settings
from imaging.stages.correct import correct
from imaging.stages.corrupt import corrupt
from imaging.stages.predict import predict

LINEAR = ("XX", "XY", "YX", "YY")
SKY = """Format = Name, Type, Ra, Dec, I, Q, U, V, SpectralIndex, LogarithmicSI, ReferenceFrequency='1.4e9', MajorAxis, MinorAxis, Orientation
centre,POINT,13:31:08.16,30.30.32.4,1.0,0.1,-0.05,0.02,[-0.7],true,1.4e9,,,
far,POINT,13:31:50.0,30.41.00,0.7,0,0.2,-0.1,[0.3],true,1.4e9,,,
wide,GAUSSIAN,13:30:40.0,30.24.00,0.8,0,0,0,[-1.0],true,1.4e9,60,30,40
"""  # noqa: E501
UV = [
    {"label": "P", "module": "Rotation"},
    {"label": "D", "module": "Leakage", "options": {"rms": 0.05}},
    {"label": "G", "module": "ComplexGains", "options": {"amplitude": 0.1, "phase": "30deg", "delay": "1e-9s"}},
]
IFR = [{"label": "I", "module": "IfrGains", "options": {"rms": 0.05}}]
BEAM = [{"label": "E", "module": "AnalyticBeam",
         "pointing": {"module": "PointingErrors", "options": {"rms": "40arcsec"}}}]  # fmt: skip


@pytest.fixture
def sky_file(tmp_path):
    (tmp_path / "sky.txt").write_text(SKY)
    return str(tmp_path / "sky.txt")


def through(folder, ms, sky_file, **measurement):
    """DATA and CORRECTED_DATA and MODEL_DATA of the set that the three steps end with, each a copy."""
    section = {"steps": ["predict", "corrupt", "correct"],
               "sky_models": [{"module": "ComponentSky", "options": {"components": sky_file}}]}  # fmt: skip
    config = Config.parse({"name": "x", "data": {"vis": str(ms)}, "image": {"imsize": 64, "cell": "8arcsec"},
                           "measurement": section | measurement})  # fmt: skip
    folder.mkdir()
    before = str(ms)
    for name, stage in (("predict", predict), ("corrupt", corrupt), ("correct", correct)):
        after = str(folder / f"{name}.ms")
        stage(before, out=after, config=Settings.of(config.settings(name)))
        before = after
    with tables.table(before, ack=False) as table:
        return {name: table.getcol(name) for name in ("MODEL_DATA", "DATA", "CORRECTED_DATA", "FLAG", "WEIGHT")}


@pytest.mark.parametrize("corr_type", [("RR", "RL", "LR", "LL"), LINEAR])
def test_corrected_data_are_the_model(make_ms, tmp_path, sky_file, corr_type):
    ms = make_ms(tmp_path / "in.ms", nant=6, ntime=3, corr_type=corr_type)
    found = through(tmp_path / "out", ms, sky_file, sky_jones=BEAM, uv_jones=UV, vis_proc=IFR)
    model = found["MODEL_DATA"]
    scale = np.abs(model).max()
    assert np.abs(found["DATA"] - model).max() > 0.1 * scale
    assert np.abs(found["CORRECTED_DATA"] - model).max() < 2e-6 * scale
    assert not found["FLAG"].any()


def test_data_of_one_source_are_corrected_toward_it(make_ms, tmp_path):
    """What is left is its fringe and its brightness: MODEL_DATA without a beam."""
    (tmp_path / "one.txt").write_text(
        "".join(line for line in SKY.splitlines(True) if line.startswith(("Format", "far")))
    )
    ms, one = make_ms(tmp_path / "in.ms", nant=6, ntime=3), str(tmp_path / "one.txt")
    plain = through(tmp_path / "plain", ms, one)["MODEL_DATA"]
    found = through(tmp_path / "out", ms, one, sky_jones=BEAM, uv_jones=UV, vis_proc=IFR, sky_correct="far")
    assert np.abs(found["MODEL_DATA"] - plain).max() > 0.1 * np.abs(plain).max()
    np.testing.assert_allclose(found["CORRECTED_DATA"], plain, rtol=0, atol=2e-6 * np.abs(plain).max())
    assert not found["FLAG"].any()
