"""SerialImager: the verbs and their order, what it takes and returns, tclean's ways with names and restarts."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from imaging.config import Config
from imaging.errors import ImagingError, LifecycleError
from imaging.io.component_list import save_components
from imaging.io.images import load_image
from imaging.serial_imager import SerialImager
from imaging.state import CleanState, MinorResult, PlaneResult, PlaneStatistics, PlaneStop, StopCode
from imaging.summaries import summarise

AUTOMASK = {"usemask": "auto-multithresh", "nmajor": 2, "niter": 500}


def data(name):
    return load_image(name).data


def test_the_verbs_by_hand_are_run(imager):
    whole = imager(imagename="whole", pbcor=True, **AUTOMASK)
    returned = whole.run()
    with imager(imagename="verbs", pbcor=True, **AUTOMASK) as hand:
        hand.make_psf()
        hand.make_pb()
        hand.run_major_cycle(is_first=True)
        hand.update_mask()
        rounds = 0
        while not hand.has_converged():
            assert hand.run_minor_cycle()
            hand.run_major_cycle()
            hand.update_mask()
            rounds += 1
        hand.restore()
        hand.pbcor()
        assert hand.summary() == returned | {"imagename": "verbs"}
    assert rounds == returned["major_cycles"] == 2
    for product in ("psf", "pb", "sumwt", "residual", "model", "mask", "image", "image.pbcor"):
        np.testing.assert_array_equal(data(f"whole.{product}"), data(f"verbs.{product}"))


def test_asking_twice_changes_nothing(imager):
    """Of the order of the verbs only that of major and minor cycles matters."""
    imager(imagename="whole", **AUTOMASK).run()
    with imager(imagename="often", **AUTOMASK) as hand:
        hand.make_psf()
        hand.make_pb()
        hand.run_major_cycle(is_first=True)
        while not hand.has_converged():
            hand.update_mask()
            hand.update_mask()
            assert hand.has_converged() == hand.has_converged() == StopCode.GO_ON
            hand.run_minor_cycle()
            hand.run_major_cycle()
            hand.run_major_cycle()
        hand.restore()
    for product in ("residual", "model", "mask", "image"):
        np.testing.assert_array_equal(data(f"whole.{product}"), data(f"often.{product}"))


def test_verbs_out_of_order_say_so(imager):
    made = imager()
    for verb in (
        "make_psf",
        "make_pb",
        "run_major_cycle",
        "run_minor_cycle",
        "has_converged",
        "update_mask",
        "summary",
    ):
        with pytest.raises(RuntimeError, match="not set up"):
            getattr(made, verb)()
    assert made.restore() is made.pbcor() is None
    made.setup()
    made.setup()
    made.make_psf()
    made.make_pb()
    for verb in ("update_mask", "run_minor_cycle", "has_converged"):
        with pytest.raises(LifecycleError, match="no residual"):
            getattr(made, verb)()
    made.restore()
    made.run_major_cycle(is_first=True)
    assert made.run_minor_cycle()
    with pytest.raises(LifecycleError, match="no residual"):
        made.run_minor_cycle()
    made.teardown()
    made.teardown()
    with pytest.raises(LifecycleError):
        made.make_psf()


def test_without_iteration_control(imager):
    with imager(init_iter_control=False) as made:
        made.make_psf()
        made.make_pb()
        made.run_major_cycle(is_first=True)
        assert made.has_converged() is True
        with pytest.raises(RuntimeError, match="no iteration control"):
            made.run_minor_cycle()
    assert imager(imagename="other", init_iter_control=False).run()["iterdone"] == 0


def test_a_limit_of_the_caller_s(imager):
    with imager(nmajor=5) as made:
        made.make_psf()
        made.make_pb()
        made.run_major_cycle(is_first=True)
        assert made.has_converged(1) == StopCode.GO_ON
        made.run_minor_cycle()
        made.run_major_cycle()
        assert made.has_converged(1) == StopCode.NMAJOR
        assert made.has_converged() in (StopCode.GO_ON, StopCode.NITER)


def test_what_run_returns(imager):
    found = imager(fullsummary=True, **AUTOMASK).run()
    assert {"converged", "major_cycles", "imagename"} <= set(found)
    assert found["converged"] == found["stopcode"] == StopCode.NMAJOR
    assert found["stopDescription"] == StopCode.NMAJOR.sentence
    assert (found["major_cycles"], found["nmajordone"], found["imagename"]) == (2, 3, "my")
    assert {"cleanstate", "cyclefactor", "cycleiterdone", "cycleniter", "cyclethreshold", "interactiveiterdone",
            "interactivemode", "interactiveniter", "interactivethreshold", "iterdone", "loopgain", "maxpsffraction",
            "maxpsfsidelobe", "minpsffraction", "niter", "nmajordone", "nsigma", "stopcode", "stopDescription",
            "summarymajor", "summaryminor", "threshold"} <= set(found)  # fmt: skip
    plane = found["summaryminor"][0][0][0]
    assert set(plane) == {"startIterDone", "iterDone", "startPeakRes", "peakRes", "startModelFlux", "modelFlux",
                          "startPeakResNM", "peakResNM", "cycleThresh", "cycleStartIters", "masksum", "mpiServer",
                          "stopCode"}  # fmt: skip
    assert sum(plane["iterDone"]) == found["iterdone"] == found["summarymajor"][-1]
    assert plane["startIterDone"] == found["summarymajor"][:-1]
    assert plane["startModelFlux"] == [0, *plane["modelFlux"][:-1]]
    assert plane["modelFlux"][-1] == pytest.approx(data("my.model").sum(), rel=1e-5)
    assert all(a > b for a, b in zip(plane["startPeakRes"], plane["peakRes"], strict=True))
    assert all(a >= b for a, b in zip(plane["peakResNM"], plane["peakRes"], strict=True))
    assert all(size > 0 for size in plane["masksum"])


def test_the_summary_of_a_cube():
    """Planes in CASA's order, iterations counted through them, joined planes judged together."""
    statistics = PlaneStatistics(1.0, 1.5, 10, nsigma_threshold=0.3)
    planes = tuple(PlaneResult(c, p, 5 + c, 1.0, 0.2, 0.5, PlaneStop.NSIGMA, 0.4) for c in range(2) for p in range(2))
    state = CleanState(0, 7, StopCode.GO_ON, 1.0, 1.5, None, None, 1.0, 1.5, 0, 0, 40, 0.1, 0.1, 0.0, 0.2, 100, False)
    last = CleanState(1, 29, StopCode.NITER, 0.2, 0.4, 1.0, 1.5, 0.2, 0.4, 1, 1, 40, 0.1, 0.1, 0.0, 0.02, 0, False)
    for known in (((statistics,),), ((statistics,) * 2,) * 2):
        states = [CleanState.from_json(state.to_json()), last]
        object.__setattr__(states[0], "planes", known)
        found = summarise(Config().clean, states, [MinorResult(22, planes)], fullsummary=True)["summaryminor"][0]
        assert [found[c][p]["startIterDone"] for c in range(2) for p in range(2)] == [[7], [12], [17], [23]]
        assert found[1][1]["cycleThresh"] == [0.3]
        assert found[1][0]["masksum"] == [10]
    assert set(summarise(Config().clean, [state, last], [MinorResult(22, planes)])["summaryminor"][0][0][0]) == {
        "iterDone", "peakRes", "modelFlux", "cycleThresh"}  # fmt: skip


def test_products_are_where_scripts_look_for_them(imager, tmp_path):
    imager(imagename="out/ngc1.spw0", pbcor=True).run()
    for product in ("psf", "pb", "sumwt", "residual", "model", "mask", "image", "image.pbcor"):
        path = tmp_path / "out" / f"ngc1.spw0.{product}"
        assert path.is_symlink()
        assert (path / "table.dat").exists()
    assert load_image("out/ngc1.spw0.image").unit == "Jy/beam"
    Path("theirs.image").mkdir()
    with pytest.raises(ImagingError, match=r"theirs\.image is there already"):
        imager(imagename="theirs").run()


def test_no_restoration(imager):
    imager(restoration=False).run()
    assert not os.path.lexists("my.image")
    assert data("my.model").any()
    assert not list(Path("my").glob(".partial*"))


def test_a_restart_goes_on_from_the_model(imager):
    first = imager(niter=20).run()
    model = data("my.model").copy()
    again = imager(niter=10).run()
    assert first["iterdone"] == 20
    assert again["iterdone"] == 10
    found = data("my.model")
    assert 0 < np.count_nonzero(found != model) <= 10
    dirty, rest = data("my/my.cycle000.residual"), data("my.residual")
    assert np.abs(rest).max() < np.abs(dirty).max()
    imager(niter=0).run()
    np.testing.assert_array_equal(data("my.model"), found)


def test_a_restart_goes_on_from_taylor_terms(imager):
    terms = {"deconvolver": "mtmfs", "nterms": 2}
    imager(niter=20, **terms).run()
    models = [data(f"my.model.tt{term}").copy() for term in range(2)]
    imager(niter=0, **terms).run()
    for term, model in enumerate(models):
        assert model.any()
        np.testing.assert_array_equal(data(f"my.model.tt{term}"), model)


def test_a_sky_outside_the_image_is_nothing_to_start_from(tiny_ms, tiny_sky, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    away = [dataclasses.replace(component, dec=component.dec - 0.5) for component in tiny_sky]
    save_components(away, tmp_path / "away.txt")
    save_components(tiny_sky, tmp_path / "sky.txt")
    sections = {"name": "x", "data": {"vis": str(tiny_ms)}, "image": {"imsize": 64, "cell": "12arcsec"}}
    for sky, seen in ((["away.txt"], False), (["away.txt", "sky.txt"], True), (["away.txt", "away.txt"], False)):
        imager = SerialImager(sections | {"clean": {"startmodel": sky}}, progress=False)
        if seen:
            with imager:
                assert data("results/x/x.startmodel.fits").any()
        else:
            with pytest.raises(ImagingError, match=r"(?s)Nothing of clean\.startmodel lies inside.*away\.txt"):
                imager.setup()


def test_without_restart_a_new_name_is_taken(imager):
    names = [imager(niter=5, restart=False).run()["imagename"] for _ in range(3)]
    assert names == ["my", "my_1", "my_2"]
    np.testing.assert_array_equal(data("my.image"), data("my_2.image"))


def test_visibilities_are_read_once(imager, capsys):
    imager(niter=5, progress=True, restart=False).run()
    assert capsys.readouterr().out.startswith("ingest\nweights\npsf\npb\ncycle 0: peak ")
    imager(niter=6, progress=True).run()
    assert capsys.readouterr().out.startswith(
        "starting from ./my/my.model, which is there (restart)\nstartmodel\npsf\n"
    )
    imager(niter=6, robust=-1, progress=True).run()
    assert "\nweights\n" in capsys.readouterr().out
    imager(niter=6, robust=-1, spw="0:1~2", progress=True).run()
    assert "\ningest\nweights\n" in capsys.readouterr().out


def test_progress_and_warnings_are_shown(imager, capsys):
    imager(progress=True, threshold="50Jy", niter=10).run()
    shown = capsys.readouterr().out
    assert "warning: nothing is cleaned: the peak" in shown
    assert "cycle 0: peak 1.1" in shown
    assert shown.splitlines()[-1].startswith("done in ")
    imager(progress=False).run()
    assert capsys.readouterr().out == ""


def test_what_it_takes(tmp_path, monkeypatch, tiny_ms):
    monkeypatch.chdir(tmp_path)
    sections = {"name": "x", "data": {"vis": str(tiny_ms)}, "image": {"imsize": 64, "cell": "12arcsec"},
                "clean": {"niter": 3}}  # fmt: skip
    Path("x.yaml").write_text(yaml.safe_dump(sections))
    flat = {"vis": str(tiny_ms), "imagename": "x", "imsize": 64, "cell": "12arcsec", "niter": 3}
    for config in ("x.yaml", Path("x.yaml"), sections, Config.parse(sections), flat):
        assert SerialImager(config, progress=False).config.clean.niter == 3
    assert SerialImager("x.yaml", fullsummary=True).wishes.fullsummary
    assert SerialImager(flat, niter=7, calcpsf=False).config.clean.niter == 7
    with pytest.raises(ImagingError, match="say things twice"):
        SerialImager("x.yaml", niter=7)
    with pytest.raises(ImagingError, match="no configuration file"):
        SerialImager("absent.yaml")
    with pytest.raises(ImagingError, match="did you mean niter"):
        SerialImager(imagename="x", nitr=7)
    for wrong in (42, ["x.yaml"], b"x.yaml"):
        with pytest.raises(ImagingError, match=r"(?s)no configuration\..*the path of a YAML file"):
            SerialImager(wrong)
    with pytest.raises(ImagingError, match="No visibilities"):
        SerialImager(imagename="x").run()


def test_a_failed_set_up_lets_go_of_the_folder(imager):
    with pytest.raises(ImagingError, match="selection takes no rows"):
        imager(scan="99").run()
    assert imager(niter=1).run()["iterdone"] == 1


def test_the_package_exports_it_without_importing_it():
    import subprocess
    import sys

    code = "import imaging, sys; print([m for m in sys.modules if m.startswith('imaging.')], imaging.SerialImager)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("[] <class 'imaging.serial_imager.SerialImager'>")
