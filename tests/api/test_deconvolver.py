"""Deconvolver: minor cycles on images that are there, by the same code as in a run."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from imaging.deconvolver import Deconvolver
from imaging.errors import ImagingError, LifecycleError
from imaging.io.images import load_image, save_image

DEC = {"deconvolver": "hogbom", "usemask": "auto-multithresh", "nsigma": 3.0}


@pytest.fixture(scope="module")
def dirty(tmp_path_factory, tiny_ms):
    """Folder of a dirty image: d.psf, d.residual, d.sumwt, d.pb as FITS files, and what a clean made of it in x/."""
    from imaging.serial_imager import SerialImager

    folder = tmp_path_factory.mktemp("dirty")
    sections = {
        "name": "x", "data": {"vis": str(tiny_ms)}, "image": {"imsize": 64, "cell": "12arcsec", "specmode": "cube"},
        "weighting": {"weighting": "briggs"},
        "clean": {"niter": 500, "nsigma": 3, "nmajor": 2}, "mask": {"usemask": "auto-multithresh"},
    }  # fmt: skip
    SerialImager(sections, results=str(folder), progress=False).run()
    for product in ("psf", "cycle000.residual", "sumwt", "pb"):
        shutil.copy(folder / "x" / f"x.{product}.fits", folder / f"d.{product.removeprefix('cycle000.')}.fits")
    return folder


@pytest.fixture(params=[".fits", ""], ids=["fits", "casa"])
def images(dirty, tmp_path, request):
    """Prefix and ending of images to clean."""
    for product in ("psf", "residual", "sumwt", "pb"):
        save_image(load_image(dirty / f"d.{product}.fits"), tmp_path / f"d.{product}{request.param}")
    return str(tmp_path / "d"), request.param


def test_the_first_minor_cycle_is_that_of_a_run(dirty, images):
    prefix, ending = images
    with Deconvolver(prefix, DEC, {"niter": 500, "loopgain": 0.1}) as deconvolver:
        before = deconvolver.init_minor()
        deconvolver.setup_mask()
        record = deconvolver.execute_minor()
    for product in ("mask", "model"):
        ours = load_image(f"{prefix}.{product}{ending}").data
        np.testing.assert_array_equal(ours, load_image(dirty / "x" / f"x.cycle000.{product}.fits").data)
    residual = load_image(dirty / "d.residual.fits")
    valid = residual.usable(residual.data.shape)
    assert before["peakresidual"] == before["peakresidualnomask"] == pytest.approx(np.abs(residual.data[valid]).max())
    assert (before["masksum"], before["nsigma"], before["summaryminor"]) == (-1, 3.0, {})
    assert 0 < before["maxpsfsidelobe"] < 1
    assert before["nsigmathreshold"] >= 3 * before["madrms"] * 0.99
    assert set(record) == {"iterdone", "peakresidual", "peakresidualnomask", "updatedmodelflag", "maxcycleiterdone",
                           "summaryminor"}  # fmt: skip
    assert record["updatedmodelflag"] is True
    assert record["iterdone"] >= record["maxcycleiterdone"] > 0
    assert 0 < record["peakresidual"] < before["peakresidual"]
    assert len(record["summaryminor"][0]) == 4


def test_a_loop_cleans_until_it_is_told_to_stop(images):
    prefix, ending = images
    dirty = load_image(f"{prefix}.residual{ending}").data
    with Deconvolver(prefix, DEC, {"niter": 2000}) as deconvolver:
        found = deconvolver.run_loop()
        deconvolver.restore()
        deconvolver.pbcor()
    assert found["stopcode"] == found["converged"] == 8
    assert sum(found["summaryminor"][0][0][0]["iterDone"]) > 10
    assert found["peakresidual"] == pytest.approx(found["summaryminor"][0][0][0]["peakRes"][-1], rel=0.5)
    names = [f"d.{product}{ending}" for product in ("image", "image.pbcor", "mask", "model", "pb", "psf", "residual",
                                                   "sumwt")]  # fmt: skip
    assert sorted(path.name for path in Path(prefix).parent.iterdir()) == names
    left, model, mask, image = (load_image(f"{prefix}.{p}{ending}") for p in ("residual", "model", "mask", "image"))
    assert np.abs(left.data).max() < 0.3 * np.abs(dirty).max()
    assert not model.data[mask.data == 0].any()
    assert mask.data.any(axis=(1, 2, 3)).all()
    psf = load_image(f"{prefix}.psf{ending}")
    assert image.beams == psf.beams
    assert np.abs(image.data).max() > 0.8
    np.testing.assert_allclose(_convolved(model.data, psf.data) + left.data, dirty, atol=2e-3)


def _convolved(model, psf):
    from scipy.signal import fftconvolve

    def seen(plane, beam):
        full = fftconvolve(plane, beam)
        (ny, nx), (y, x) = plane.shape, (beam.shape[0] // 2, beam.shape[1] // 2)
        return full[y : y + ny, x : x + nx]

    return np.array([[seen(plane, psf[chan, 0]) for plane in planes] for chan, planes in enumerate(model)])


def test_a_controller_of_the_caller_s(images):
    prefix, _ = images
    with Deconvolver(prefix, {"deconvolver": "hogbom", "usemask": "user"}) as deconvolver:
        peak = deconvolver.init_minor()["peakresidual"]
        deconvolver.setup_mask()
        first = deconvolver.execute_minor({"cyclethreshold": 0.5 * peak, "cycleniter": 1000, "loopgain": 0.1})
        assert first["peakresidual"] <= 0.5 * peak
        assert first["peakresidual"] > 0.4 * peak
        again = deconvolver.execute_minor({"cyclethreshold": 0.0, "cycleniter": 3})
        assert again["maxcycleiterdone"] == 3
        assert deconvolver.execute_minor({"cyclethreshold": 10 * peak, "cycleniter": 3})["iterdone"] == 0
        with pytest.raises(LifecycleError, match="Nobody says"):
            deconvolver.execute_minor()
        with pytest.raises(RuntimeError, match="No iterpars"):
            deconvolver.run_loop()


def test_a_mask_that_is_there_is_kept_and_a_loop_without_one_makes_it(images):
    prefix, ending = images
    residual = load_image(f"{prefix}.residual{ending}")
    mask = np.zeros_like(residual.data)
    mask[:, :, 28:36, 28:36] = 1
    save_image(residual.with_data(mask, unit=""), f"{prefix}.mask{ending}")
    with Deconvolver(prefix, {"deconvolver": "clark"}, {"niter": 40}) as deconvolver:
        assert deconvolver.init_minor()["masksum"] == mask.sum()
        assert deconvolver.run_loop()["iterdone"] > 0
    np.testing.assert_array_equal(load_image(f"{prefix}.mask{ending}").data, mask)
    assert not load_image(f"{prefix}.model{ending}").data[mask == 0].any()
    with Deconvolver(prefix, {"deconvolver": "clark", "mask": [4, 4, 50, 50]}, {"niter": 40}) as deconvolver:
        deconvolver.run_loop()
    assert load_image(f"{prefix}.mask{ending}").data[0, 0].sum() == 47 * 47


def test_an_empty_mask_that_is_there_is_named(images):
    prefix, ending = images
    with Deconvolver(prefix, DEC | {"noisethreshold": 1e6}, {"niter": 40}) as deconvolver:
        assert deconvolver.run_loop()["iterdone"] == 0
    mask = Path(f"{prefix}.mask{ending}")
    assert not load_image(mask).data.any()
    user = {"deconvolver": "hogbom", "usemask": "user"}
    with Deconvolver(prefix, user, {"niter": 0}) as deconvolver:
        assert deconvolver.run_loop()["iterdone"] == 0
    with Deconvolver(prefix, user, {"niter": 40}) as deconvolver, pytest.raises(ImagingError) as caught:
        deconvolver.run_loop()
    assert f"The mask {mask} is empty" in str(caught.value)
    assert f"delete {mask}" in str(caught.value)
    shutil.rmtree(mask) if mask.is_dir() else mask.unlink()
    with Deconvolver(prefix, user, {"niter": 40}) as deconvolver:
        assert deconvolver.run_loop()["iterdone"] > 0


def test_the_model_that_is_there_is_added_to(images):
    prefix, ending = images
    for limit in (5, 8):
        with Deconvolver(prefix, {"deconvolver": "hogbom"}, {"niter": limit, "cycleniter": 2}) as deconvolver:
            found = deconvolver.run_loop()
        assert found["stopcode"] == 1
    image = load_image(f"{prefix}.model{ending}").data
    assert image.any()


def test_only_psf_and_residual_are_needed(dirty, tmp_path):
    for product in ("psf", "residual"):
        shutil.copy(dirty / f"d.{product}.fits", tmp_path)
    with Deconvolver(str(tmp_path / "d"), DEC, {"niter": 50}) as deconvolver:
        assert deconvolver.run_loop()["iterdone"] > 0
        deconvolver.restore()
        assert deconvolver.pbcor() is None
    assert not (tmp_path / "d.image.pbcor.fits").exists()
    assert (tmp_path / "d.image.fits").exists()
    (tmp_path / "d.psf.fits").unlink()
    with pytest.raises(ImagingError, match="no image"):
        Deconvolver(str(tmp_path / "d"), DEC).setup()


def test_verbs_out_of_order_say_so(images):
    prefix, _ = images
    deconvolver = Deconvolver(prefix, DEC, {"niter": 5})
    for verb in ("init_minor", "setup_mask", "execute_minor", "run_loop", "restore", "pbcor"):
        with pytest.raises(RuntimeError, match="not set up"):
            getattr(deconvolver, verb)()
    deconvolver.setup()
    for verb in ("setup_mask", "execute_minor"):
        with pytest.raises(RuntimeError, match="Initminor Cycle has not been called yet"):
            getattr(deconvolver, verb)()
    deconvolver.teardown()
    deconvolver.teardown()
    assert sorted(path.name.split(".")[0] for path in Path(prefix).parent.iterdir()) == ["d"] * 4


def test_records_as_casa_and_pclean_write_them(images):
    prefix, _ = images
    dec = {
        "id": 0,
        "deconvolver": "multiscale",
        "scales": [0, 4],
        "scalebias": 0.6,
        "usemask": "user",
        "nTaylorTerms": 1,
    }
    with Deconvolver(prefix, dec, {"niter": 10, "loopgain": 0.2, "allimages": {}}) as deconvolver:
        clean = deconvolver.config.clean
        assert (clean.smallscalebias, clean.gain, clean.scales, clean.niter) == (0.6, 0.2, (0, 4), 10)
    with pytest.raises(ImagingError, match="did you mean deconvolver"):
        Deconvolver(prefix, {"deconvolvr": "clark"})
