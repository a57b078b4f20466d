"""Major cycles by convolution: `gridding.major_cycle: psf` and `hybrid`."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from imaging.config import Config
from imaging.io.images import load_image
from imaging.settings import Settings
from imaging.stages.major_cycle import major_cycle

CLEAN = {"niter": 300, "nmajor": 3, "cycleniter": 40}
HYBRID = "gridding.major_cycle=hybrid"


def exact_residual(project, cycle: int, folder: Path) -> np.ndarray:
    """From the visibilities less the model with which `cycle` begins."""
    config = Settings.of(Config.parse(project.values).settings("major_cycle"))
    inputs = (str(project.results / f"small.{p}") for p in ("vis", "weights", f"cycle{cycle - 1:03d}.model.fits"))
    major_cycle(*inputs, residual=str(folder / "exact.fits"), config=config)
    return load_image(folder / "exact.fits").data


def state(project, cycle: str) -> dict:
    return json.loads((project.results / f"small.cycle{cycle}.state.json").read_text())


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory, finished):
    """The small image with more cycles, made hybrid from the finished exact one."""
    folder = tmp_path_factory.mktemp("hybrid")
    shutil.copytree(finished.folder, folder, dirs_exist_ok=True)
    made = type(finished)(folder, finished.values | {"clean": finished.values["clean"] | CLEAN})
    made.run(HYBRID)
    made.first_jobs = made.jobs()
    return made


@pytest.fixture
def copy(hybrid, tmp_path):
    shutil.copytree(hybrid.folder, tmp_path / "copy")
    return type(hybrid)(tmp_path / "copy", hybrid.values)


def test_only_later_cycles_are_made_again(hybrid):
    jobs = hybrid.first_jobs
    assert not {"ingest", "weights", "psf", "pb"} & set(jobs)
    assert jobs["psf_double"] == 1
    assert jobs["major_cycle"] == 4  # 1 to 3 by convolution, 3 exactly


def test_stops_at_an_exact_residual(hybrid, tmp_path):
    for cycle in range(1, 4):
        assert 0 < state(hybrid, f"{cycle:03d}")["psf_error"] < 1e-4
    assert state(hybrid, "003")["stop"] == state(hybrid, "003.exact")["stop"] == 9
    assert state(hybrid, "003.exact")["psf_error"] is None
    final, exact = load_image(hybrid.results / "small.residual.fits"), exact_residual(hybrid, 3, tmp_path)
    np.testing.assert_array_equal(final.data[final.valid], exact[final.valid])
    assert final.header["NMAJOR"] == 3
    by_psf = load_image(hybrid.results / "small.cycle003.residual.fits").data
    dirty = load_image(hybrid.results / "small.cycle000.residual.fits").data
    assert 0 < np.abs(by_psf - exact).max() < 1e-4 * np.abs(dirty).max()


def test_the_report_says_how_far_off_residuals_may_be(hybrid):
    report = json.loads((hybrid.results / "small.report.json").read_text())
    errors = [cycle["psf_error"] for cycle in report["cycles"]]
    assert errors[0] is errors[-1] is None
    assert all(error > 0 for error in errors[1:-1])


def test_the_loop_goes_as_with_exact_cycles(hybrid, copy):
    copy.run("gridding.major_cycle=exact")
    assert copy.jobs()["major_cycle"] == 3
    assert "psf_double" not in copy.jobs()
    for cycle in range(1, 4):
        ours, theirs = state(hybrid, f"{cycle:03d}"), state(copy, f"{cycle:03d}")
        assert theirs["psf_error"] is None
        assert ours["iterdone"] == pytest.approx(theirs["iterdone"], abs=2)
        assert ours["peak"] == pytest.approx(theirs["peak"], abs=1e-3)


def test_one_core_makes_the_same_bytes(hybrid, tmp_path):
    other = type(hybrid)(tmp_path, hybrid.values)
    other.run(HYBRID, cores=1)
    assert other.products() == hybrid.products()


def test_limits_up_and_down(copy):
    """A larger nmajor goes on from the convolved residual of cycle 3; a smaller one needs an exact one of cycle 2."""
    copy.run(HYBRID, "clean.nmajor=4")
    assert copy.jobs()["major_cycle"] == 2
    assert state(copy, "004.exact")["stop"] == 9
    copy.run(HYBRID, "clean.nmajor=2")
    assert copy.jobs()["major_cycle"] == 1
    assert load_image(copy.results / "small.residual.fits").header["NMAJOR"] == 2


def test_a_clean_that_goes_back_ends_with_an_exact_residual_too(copy, tmp_path):
    """The last decision is made to say so, as in test_run."""
    last = copy.results / "small.cycle003.exact.state.json"
    last.write_text(json.dumps(json.loads(last.read_text()) | {"stop": 6, "best_cycle": 2}))
    copy.run(HYBRID)
    assert copy.jobs()["major_cycle"] == 1
    final = load_image(copy.results / "small.residual.fits")
    np.testing.assert_array_equal(final.data[final.valid], exact_residual(copy, 2, tmp_path)[final.valid])
    assert "PSFERROR" not in final.header
    model, best = (load_image(copy.results / f"small.{p}model.fits") for p in ("", "cycle001."))
    np.testing.assert_array_equal(model.data, best.data)


def test_psf_type_to_the_end(copy):
    copy.run("gridding.major_cycle=psf")
    assert "major_cycle" not in copy.jobs()
    final, by_psf = (load_image(copy.results / f"small.{p}residual.fits") for p in ("", "cycle003."))
    np.testing.assert_array_equal(final.data[final.valid], by_psf.data[final.valid])
    assert 0 < final.header["PSFERROR"] < 1e-4


@pytest.mark.full
def test_killed_in_every_stage(hybrid, tmp_path):
    other, killed = type(hybrid)(tmp_path, hybrid.values), tmp_path / "killed"
    killed.mkdir()
    path = os.pathsep.join([str(Path(__file__).parent / "deadly"), os.environ.get("PYTHONPATH", "")])
    for _ in range(13):
        run = other.run(HYBRID, check=False, PYTHONPATH=path, FRINGEFLOW_TEST_KILL=f"job:{killed}:")
        if run.returncode == 0:
            break
    assert run.returncode == 0
    assert "psf_double" in {path.name for path in killed.iterdir()}
    assert other.products() == hybrid.products()
