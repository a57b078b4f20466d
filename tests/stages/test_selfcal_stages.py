"""Self-calibration by its stages: 27 antennas, gains of 10 % and 30 deg, solved for and removed; when it stops."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imaging.algorithms.calibration import at
from imaging.algorithms.selfcal import Round, Verdict, judge
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.image import Beam, Grid, Image
from imaging.io.images import load_image, save_image
from imaging.io.ms import read_metadata
from imaging.io.ms_columns import Column
from imaging.io.solutions import load_solutions, save_solutions
from imaging.io.visibility_store import VisibilityStore
from imaging.serial_imager import SerialImager
from imaging.settings import Settings
from imaging.stages.choose import choose
from imaging.stages.ingest import ingest
from imaging.stages.judge import judge as judge_stage
from imaging.stages.modelvis import modelvis
from imaging.stages.solve import solve


def values(ms, name, **sections):
    return {
        "name": name,
        "data": {"vis": str(ms)},
        "image": {"imsize": 128, "cell": "5arcsec"},
        "clean": {"niter": 2000, "nsigma": 4, "nmajor": 6},
        "mask": {"usemask": "auto-multithresh"},
    } | sections


def imaged(folder, ms, name, solutions=""):
    """Names of the products of an image."""
    config = values(ms, name, data={"vis": str(ms), "solutions": str(solutions)})
    imager = SerialImager(config, results=str(folder), progress=False, threads=1)
    imager.run()
    return imager.names


def verdict_on(names, number, previous="", solutions="", **selfcal):
    config = Config.parse(values("x", "x", selfcal={"rounds": 3} | selfcal))
    path = Path(names.folder) / "verdict.json"
    judge_stage(names.image(), names.residual(), names.mask(), str(previous), str(solutions), verdict=str(path),
                config=Settings.of(config.settings("judge")), number=number)  # fmt: skip
    return path


def a_round(folder, ms, number, names, **selfcal):
    """Solve with the model of an image, and image with the solutions."""
    config = Config.parse(values(ms, "x", selfcal={"rounds": number} | selfcal))
    model, solutions = folder / f"{number}.modelvis", folder / f"{number}.npz"
    modelvis([str(ms)], names.vis(), names.model(), modelvis=str(model),
             config=Settings.of(config.settings("modelvis")), threads=1)  # fmt: skip
    solve([str(ms)], str(model), solutions=str(solutions), config=Settings.of(config.settings("solve", number)))
    return imaged(folder, ms, f"round{number}", solutions), solutions


def test_dynamic_range_comes_back(spoiled, tmp_path):
    good = imaged(tmp_path, spoiled.true_ms, "true")
    wanted = json.loads(verdict_on(good, 0).read_text())["rounds"][0]["dynamic_range"]
    names, solutions, verdict = imaged(tmp_path, spoiled.ms, "round0"), "", verdict_on
    verdict = verdict_on(names, 0)
    for number in (1, 2, 3):
        selfcal = {"calmode": ["p", "ap"], "solint": "int", "minsnr": 2}
        names, solutions = a_round(tmp_path, spoiled.ms, number, names, **selfcal)
        verdict = verdict_on(names, number, verdict, solutions, **selfcal)
    rounds = json.loads(verdict.read_text())
    found = [one["dynamic_range"] for one in rounds["rounds"]]
    assert found[0] < 0.2 * wanted
    assert rounds["best"] >= 2
    assert found[rounds["best"]] == pytest.approx(wanted, rel=0.1)
    assert rounds["stop"]
    assert rounds["rounds"][-1]["flagged"] == 0
    table = load_solutions(solutions)
    gains, block = at(table, spoiled.times, np.array([1.4e9]), "nearest")
    true = spoiled.gains * np.conj(spoiled.gains[table.stations.index(table.refant)])
    true /= abs(spoiled.gains[table.stations.index(table.refant)])
    misfit = gains[:, :, block[0]] / true
    assert abs(np.angle(misfit)).max() < np.radians(5)
    assert abs(abs(misfit) / np.median(abs(misfit)) - 1).max() < 0.1
    picture = load_image(names.image()).data
    assert abs(picture.max() - load_image(good.image()).data.max()) < 0.05  # the mean amplitude is anybody's guess


def test_the_set_stays_as_it_is(spoiled, tmp_path):
    before = {path: path.read_bytes() for path in spoiled.ms.rglob("*") if path.is_file() and "lock" not in path.name}
    names = imaged(tmp_path, spoiled.ms, "round0")
    a_round(tmp_path, spoiled.ms, 1, names)
    assert before == {path: path.read_bytes() for path in before}


def stored(ms, tmp_path, name, solutions="", **data):
    config = Config.parse(values(ms, "x", data={"vis": str(ms)} | data))
    ingest([str(ms)], str(solutions), vis=str(tmp_path / name), config=Settings.of(config.settings("ingest")))
    return VisibilityStore(tmp_path / name).parts[0]


@pytest.fixture
def solved(tiny_ms, make_ms, tmp_path):
    """A set with gains, the solutions of them, and the same set without."""
    rng = np.random.default_rng(5)
    gains = rng.normal(1, 0.2, (8, 2)) * np.exp(1j * rng.normal(size=(8, 2)))

    def corrupt(columns):
        p, q = columns["antenna1"], columns["antenna2"]
        hands = np.stack([gains[p, i] * gains[q, k].conj() for i in range(2) for k in range(2)], 1)
        columns["vis"] = {"DATA": columns["vis"] * hands[:, None], "MODEL_DATA": columns["vis"]}

    ms = make_ms(tmp_path / "gains.ms", corrupt)
    config = Config.parse(values(ms, "x", selfcal={"rounds": 1, "calmode": "ap", "solint": "inf", "gaintype": "J"}))
    solve([str(ms)], solutions=str(tmp_path / "j.npz"), config=Settings.of(config.settings("solve", 1)))
    config = Config.parse(values(ms, "x", selfcal={"rounds": 1, "calmode": "ap", "solint": "inf"}))
    solve([str(ms)], solutions=str(tmp_path / "g.npz"), config=Settings.of(config.settings("solve", 1)))
    return ms, gains


@pytest.mark.parametrize("name", ["g.npz", "j.npz"])
def test_ingest_corrects(solved, tiny_ms, tmp_path, name):
    ms, gains = solved
    true, found = stored(tiny_ms, tmp_path, "true.vis"), stored(ms, tmp_path, "found.vis", tmp_path / name)
    np.testing.assert_allclose(found.vis, true.vis, atol=1e-4)
    assert found.weight.std() > 0  # noise is divided by the gains too
    again = stored(ms, tmp_path, "again.vis", solutions=str(tmp_path / name))
    np.testing.assert_array_equal(again.vis, found.vis)


def test_stations_without_solutions_are_flagged(solved, tmp_path):
    ms, _ = solved
    table = load_solutions(tmp_path / "g.npz")
    table.windows[0].flag[2] = True
    save_solutions(table, tmp_path / "g.npz")
    assert stored(ms, tmp_path, "a.vis", tmp_path / "g.npz").weight.shape == (21 * 6, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"stations": tuple("abcdefgh")}, "of other antennas"), ({"feeds": ("X", "Y")}, "of other feeds")],
)
def test_solutions_that_do_not_fit(solved, tmp_path, change, message):
    ms, _ = solved
    save_solutions(replace(load_solutions(tmp_path / "g.npz"), **change), tmp_path / "g.npz")
    with pytest.raises(ImagingError, match=message):
        stored(ms, tmp_path, "a.vis", tmp_path / "g.npz")


def of_round(number, dynamic_range):
    return Round(number, dynamic_range, 1.0)


def test_when_it_stops():
    first = judge(None, of_round(0, 100.0), 0.05, 3, True)
    assert (first.stop, first.best) == (False, 0)
    second = judge(first, of_round(1, 200.0), 0.05, 3, False)
    assert (second.stop, second.best) == (False, 1)
    same = judge(second, of_round(2, 205.0), 0.05, 3, False)
    assert (same.stop, same.best, same.reason) == (True, 2, "the dynamic range has not grown by selfcal.mingain")
    worse = judge(second, of_round(2, 150.0), 0.05, 3, False)
    assert (worse.stop, worse.best, worse.reason) == (True, 1, "the dynamic range has fallen")
    other = judge(second, of_round(2, 150.0), 0.05, 3, True)  # the next round has another calmode
    assert (other.stop, other.best) == (False, 1)
    last = judge(other, of_round(3, 150.0), 0.05, 3, True)
    assert (last.stop, last.best, last.reason) == (True, 1, "selfcal.rounds are done")
    assert Verdict.of(json.loads(json.dumps(last.as_dict()))) == last


def images(tmp_path, mask):
    rng, shape = np.random.default_rng(2), (1, 1, 64, 64)
    grid = Grid((0.0, 0.0), (1e-5, 1e-5), (64, 64), (1e9,), (1e6,))
    residual = rng.normal(0, 0.01, shape).astype(np.float32)
    picture = residual.copy()
    picture[0, 0, 30:34, 30:34] += 1
    for name, data in (("image", picture), ("residual", residual), ("mask", mask)):
        save_image(Image(data.astype(np.float32), grid, beams=(Beam(1e-4, 1e-4, 0.0),)), tmp_path / f"{name}.fits")
    return [str(tmp_path / f"{name}.fits") for name in ("image", "residual", "mask")]


@pytest.mark.parametrize("everywhere", [False, True])
def test_dynamic_range_is_peak_over_noise_off_the_sources(tmp_path, everywhere):
    mask = np.full((1, 1, 64, 64), everywhere, float)
    mask[0, 0, 29:35, 29:35] = 1
    paths = images(tmp_path, mask)
    config = Settings.of(Config.parse({"selfcal": {"rounds": 2}}).settings("judge"))
    judge_stage(*paths, verdict=str(tmp_path / "v.json"), config=config, number=0)
    [found] = json.loads((tmp_path / "v.json").read_text())["rounds"]
    assert found["dynamic_range"] == pytest.approx(100, rel=0.08)
    assert (found["flagged"], found["signal"]) == (None, None)


def test_the_best_is_copied(solved, tmp_path):
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "table.f0").write_text("pixels")
    (tmp_path / "image" / ".snakemake_timestamp").touch()
    (tmp_path / "report").write_text("{}")
    for best in (1, 0):
        choose([str(tmp_path / "image"), str(tmp_path / "report")], str(tmp_path / "g.npz"), best=best,
               chosen=[str(tmp_path / "out" / n) for n in ("image", "report")], table=str(tmp_path / "out.npz")
               )  # fmt: skip
        assert [path.name for path in (tmp_path / "out" / "image").iterdir()] == ["table.f0"]
        gains = load_solutions(tmp_path / "out.npz").windows[0].usable
        assert np.isfinite(gains).all()
        assert (gains == 1).all() == (best == 0)


def test_a_column_beside_leaves_no_trace(spoiled, tmp_path):
    from imaging.io.ms_columns import model_beside

    meta = read_metadata(str(spoiled.ms))
    with model_beside(meta, tmp_path / "model.table") as column:
        assert isinstance(column, Column)
        column.put(np.array([1, 3]), np.array([0]), np.ones((2, 1, 2)))
    assert "MODEL_DATA" not in read_metadata(str(spoiled.ms)).columns


def test_solutions_make_corrected_data(solved, tiny_ms, tmp_path):
    """The module Solutions in the step correct: CORRECTED_DATA of a copy."""
    from casacore import tables

    from imaging.stages.correct import correct

    ms, _ = solved
    section = {"uv_jones": [{"label": "G", "module": "Solutions", "options": {"file": str(tmp_path / "g.npz")}}]}
    config = Config.parse(values(ms, "x", measurement=section))
    correct(str(ms), out=str(tmp_path / "out.ms"), config=Settings.of(config.settings("correct")))
    with tables.table(str(tmp_path / "out.ms"), ack=False) as out, tables.table(str(tiny_ms), ack=False) as true:
        found, wanted = out.getcol("CORRECTED_DATA"), true.getcol("DATA")
    np.testing.assert_allclose(found[..., [0, 3]], wanted[..., [0, 3]], atol=1e-4)
