"""What docs/validation.md says of clean on real observations, in the configurations of benchmarks/validation."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from imaging.algorithms.source_measuring import robust_rms
from imaging.io.images import load_image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def validation(project_of, unpacked):
    """validation(case): that configuration imaged in the test's folder."""

    def make(case: str, ms: str):
        values = yaml.safe_load((BENCHMARKS / "validation" / f"{case}.yaml").read_text())
        values["data"]["vis"] = str(unpacked(ms))
        made = project_of(values)
        made.run()
        return made

    return make


def noise(path: Path) -> float:
    image = load_image(path)
    return robust_rms(image.data[image.usable(image.data.shape)])


def recorded(case: str, program: str) -> dict:
    with open(BENCHMARKS / "validation" / "peers.csv") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return next(row for row in rows if row["case"] == case and row["program"].startswith(program))


@pytest.mark.full
@pytest.mark.parametrize("case", ["3c286_natural", "3c286_briggs0", "3c286_briggs0_deep"])
def test_noise_is_within_a_tenth_of_wsclean_s_at_the_same_depth(validation, case):
    made = validation(case, "vla_3c286_L")
    wsclean = recorded(case, "WSClean")
    assert noise(made.results / f"{case}.residual.fits") == pytest.approx(float(wsclean["mad"]), rel=0.1)
    image, model = (load_image(made.results / f"{case}.{p}.fits").data for p in ("image", "model"))
    assert image.max() == pytest.approx(float(wsclean["peak"]), rel=0.01)
    assert model.sum(dtype=float) == pytest.approx(float(wsclean["model"]), rel=0.05)


@pytest.mark.full
def test_wsclean_itself_leaves_what_is_recorded(unpacked, tmp_path):
    if not shutil.which("wsclean"):
        pytest.skip("WSClean is not installed (Debian: apt install wsclean)")
    shutil.copytree(unpacked("vla_3c286_L"), tmp_path / "vla_3c286_L.ms")  # it leaves files beside the set
    script = BENCHMARKS / "peers" / "run_wsclean.sh"
    subprocess.run(["sh", script, tmp_path, tmp_path / "out", "vla_briggs0"], check=True, capture_output=True)
    expected = float(recorded("3c286_briggs0", "WSClean")["mad"])
    assert noise(tmp_path / "out" / "vla_briggs0-residual.fits") == pytest.approx(expected, rel=0.05)


@pytest.mark.full
def test_multiscale_does_not_diverge_on_the_vela_pulsar(validation):
    made = validation("vela_multiscale", "askap_vela-60")
    report = json.loads((made.results / "vela_multiscale.report.json").read_text())
    peaks = np.array([cycle["peak"] for cycle in report["cycles"]])
    assert len(peaks) > 5
    assert (np.diff(peaks) < 0).all()
    assert peaks[-1] < 0.01
    assert report["stopcode"] in (1, 8)  # at niter or its n-sigma threshold
    assert report["final_cycle"] == len(peaks) - 1  # nothing was rolled back
    assert report["image_peak"] == pytest.approx(1.287, rel=0.02)
    assert 5 < report["cycles"][-1]["model_flux"] < 7
