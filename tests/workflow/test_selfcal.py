"""Self-calibration as a workflow: rounds, their stop, what is made again, what is refused."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from imaging.io.images import load_image
from imaging.io.solutions import load_solutions

CONFIG = {
    "name": "sc",
    "image": {"imsize": 128, "cell": "5arcsec"},
    "clean": {"niter": 200, "nsigma": 4, "nmajor": 2},
    "mask": {"usemask": "auto-multithresh"},
    "restore": {"pbcor": True},
}


def config(spoiled, **selfcal):
    return CONFIG | {"data": {"vis": str(spoiled.ms)}, "selfcal": {"rounds": 1, "calmode": "p"} | selfcal}


@pytest.fixture(scope="module")
def calibrated(spoiled, tmp_path_factory, project_at):
    """One round, made once."""
    made = project_at(tmp_path_factory.mktemp("calibrated"), config(spoiled, minsnr=2))
    made.output = made.run().stdout
    return made


def test_a_round(calibrated):
    verdict = json.loads((calibrated.results / "sc.selfcal.json").read_text())
    before, after = (one["dynamic_range"] for one in verdict["rounds"])
    assert (verdict["best"], verdict["stop"], verdict["reason"]) == (1, True, "selfcal.rounds are done")
    assert after > 1.5 * before
    best = calibrated.results.parent / "sc-self1"
    for product in ("image.fits", "image.pbcor.fits", "residual.fits", "model.fits", "report.json", "solutions.npz"):
        assert (calibrated.results / f"sc.{product}").read_bytes() == (best / f"sc-self1.{product}").read_bytes()
    assert load_solutions(calibrated.results / "sc.solutions.npz").calmode == "p"
    pictures = [calibrated.results / "sc.solutions.png", best / "sc-self1.solutions.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_progress_is_told(calibrated):
    said = calibrated.output
    places = [said.index(words) for words in ("round 0, before", "round 0: dynamic range", "round 1\n",
                                              "round 1: dynamic range", "the best is round 1", "done in")]  # fmt: skip
    assert places == sorted(places)


def test_what_is_made_again(calibrated):
    calibrated.run()
    assert calibrated.jobs() == {}
    calibrated.run("selfcal.minsnr=1")
    jobs = calibrated.jobs()
    assert jobs["solve"] == jobs["judge"] - 1 == 1
    assert not any(name.startswith("self0_") for name in jobs)
    before = (calibrated.results / "sc.image.fits").read_bytes()
    calibrated.run("selfcal.minsnr=1", "selfcal.rounds=2", "selfcal.mingain=10")
    jobs = calibrated.jobs()  # the first round has not grown tenfold
    assert "solve" not in jobs
    assert json.loads((calibrated.results / "sc.selfcal.json").read_text())["reason"].endswith("selfcal.mingain")
    assert (calibrated.results / "sc.image.fits").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["selfcal.refant=VA99"], "There is no such reference antenna."),
        (["selfcal.minblperant=99"], "There are too few antennas for solutions."),
        (["selfcal.solint=1s"], "The solution interval is shorter than an integration."),
        (["selfcal.gaintype=J"], "Jones matrices have amplitudes."),
        (["selfcal.gaintype=J", "selfcal.calmode=ap"], "Jones matrices need all four correlations."),
        (["selfcal.solint=forever"], "selfcal.solint"),
        (["selfcal.calmode=[]"], "selfcal.calmode"),
        (["data.solutions=none.npz"], "data.solutions does not go with self-calibration."),
        (["clean.savemodel=modelcolumn"], "clean.savemodel does not go with self-calibration."),
        (["data.solutions=none.npz", "selfcal.rounds=0"], "There is no file none.npz."),
    ],
)
def test_what_is_refused(project_of, spoiled, settings, message):
    project = project_of(config(spoiled))
    done = project.run(*settings, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("next step:") == 1
    assert "Traceback" not in done.stderr
    assert not list(project.folder.glob("results/*/*.vis"))


def test_solutions_serve_other_runs(calibrated, tmp_path, project_of, spoiled):
    """data.solutions: the same image in one run, without any rounds."""
    shutil.copy(calibrated.results.parent / "sc-self1" / "sc-self1.solutions.npz", tmp_path / "mine.npz")
    values = CONFIG | {"data": {"vis": str(spoiled.ms), "solutions": "mine.npz"}}
    project = project_of(values)
    project.run()
    again, first = (load_image(folder / f"{name}.image.fits").data for folder, name in
                    ((project.results, "sc"), (calibrated.results.parent / "sc-self1", "sc-self1")))  # fmt: skip
    np.testing.assert_array_equal(again, first)


def test_a_failing_solution_is_told(calibrated):
    done = calibrated.run("selfcal.minsnr=1e6", check=False)
    assert done.returncode == 1
    assert "No solution is good enough." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.full
def test_killed_in_a_round_made_again(project_of, spoiled, tmp_path):
    """With other settings than the round had before: the image is that of a run in one go."""
    project, deadly = project_of(config(spoiled, minsnr=2)), str(Path(__file__).parent / "deadly")
    project.run()
    (tmp_path / "killed").mkdir()
    path = os.pathsep.join(filter(None, [deadly, os.environ.get("PYTHONPATH")]))
    kill = {"PYTHONPATH": path, "FRINGEFLOW_TEST_KILL": f"all:{tmp_path / 'killed'}:minor_cycle"}
    assert project.run("selfcal.solint=int", check=False, **kill).returncode == 1
    project.run("selfcal.solint=int")
    assert not any(name.startswith("self0_") for name in project.jobs())
    image = (project.results / "sc.image.fits").read_bytes()
    shutil.rmtree(tmp_path / "results")
    project.run("selfcal.solint=int")
    assert (project.results / "sc.image.fits").read_bytes() == image


@pytest.mark.full
def test_dynamic_range_comes_back(project_of, spoiled, tmp_path):
    """The figure of docs/selfcal.md: within 10 % of the image without gains."""
    clean = {"clean": {"niter": 3000, "nsigma": 4}}
    values = config(spoiled, rounds=4, calmode=["p", "ap"], solint="int", minsnr=2) | clean
    project_of(values).run()
    found = json.loads((tmp_path / "results/sc/sc.selfcal.json").read_text())
    true = values | {"name": "true", "data": {"vis": str(spoiled.true_ms)}, "selfcal": {}}
    project = project_of(true)
    project.run()
    image, mask = (load_image(project.results / f"true.{p}.fits") for p in ("image", "mask"))
    off = image.usable(image.data.shape) & (mask.data == 0)
    wanted = image.data.max() / np.sqrt(np.mean(image.data[off].astype(float) ** 2))
    assert found["rounds"][0]["dynamic_range"] < 0.2 * wanted
    assert found["rounds"][found["best"]]["dynamic_range"] == pytest.approx(wanted, rel=0.1)
