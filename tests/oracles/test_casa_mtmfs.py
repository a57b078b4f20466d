"""Numbers that CASA's tclean recorded with deconvolver mtmfs (make_casa_goldens.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from imaging.algorithms import taylor
from imaging.algorithms.restoring import restore
from imaging.contracts import Meta
from imaging.deconvolution import mtmfs
from imaging.image import Beam

HERE = Path(__file__).parent
ARCSEC = np.pi / 180 / 3600
CELL = (12 * ARCSEC, 12 * ARCSEC)
RUNS = ["two", "biased", "three"]


def load(name):
    golden = np.load(HERE / f"mtmfs_{name}.npz")
    return golden, json.loads(str(golden["record"]))


def results(record, name):
    return [result for event, _, result in record["events"] if event == name]


@pytest.mark.parametrize("name", RUNS)
def test_minor_cycles(name):
    """Every component is CASA's: what each cycle adds to each term, its iterations, stop code and peak."""
    golden, record = load(name)
    parameters, iterdone, model = record["parameters"], 0, np.zeros_like(golden["residual"][0])
    controls, executed = results(record, "getminorcyclecontrols"), results(record, "executeminorcycle")
    assert len(executed) == 4
    for k, (control, done) in enumerate(zip(controls, executed, strict=True)):
        meta = Meta(
            iteration_number=iterdone,
            max_iterations=iterdone + control["cycleniter"],
            gain=control["loopgain"],
            major_iter_threshold=control["cyclethreshold"],
            mask=golden["mask"],
            options={k: parameters[k] for k in ("scales", "smallscalebias") if k in parameters},
            compat="casa",
        )
        before = model.copy()
        out = mtmfs.deconvolve(golden["residual"][k].copy(), model, golden["psf"][:, 0], meta)
        model, (plane,) = out["model"], meta.plane_results
        summary = [row[0] for row in done["summaryminor"]]
        assert (plane.iterations, plane.stop) == (summary[0], summary[16])
        for term, (ours, casa) in enumerate(zip(model - before, golden["delta"][k], strict=True)):
            assert np.abs(ours - casa).max() <= 1e-6 * 10**term * np.abs(golden["delta"][0]).max()
        assert plane.peak_after == pytest.approx(summary[1], rel=1e-4)
        assert plane.model_flux == pytest.approx(summary[2], rel=1e-5)
        if k == 0:
            assert np.abs(out["residual"] - golden["residual_after"]).max() <= 1e-6
        iterdone = meta.iteration_number
    assert iterdone == record["tclean"]["iterdone"]


@pytest.mark.parametrize("name", RUNS)
def test_psfs_and_reference_frequency(name):
    """The peak of psf t is its sum of weights over that of term 0; the middle of the band is the reference."""
    golden, record = load(name)
    sumwt, psf = golden["sumwt"][:, 0, 0, 0], golden["psf"][:, 0]
    middle = psf.shape[1] // 2
    np.testing.assert_allclose(psf[:, middle, middle], sumwt / sumwt[0], rtol=1e-5)
    freq = 1.4e9 + 130e6 * np.arange(5)
    assert record["reffreq"] == pytest.approx((freq[0] + freq[-1]) / 2)
    powers = taylor.Taylor(2, record["reffreq"]).powers(freq, len(sumwt))
    # Briggs weights differ a little from channel to channel.
    np.testing.assert_allclose(sumwt[2] / sumwt[0], powers[2].mean(), rtol=0.02)


@pytest.mark.parametrize("name", RUNS)
def test_restored_terms_and_spectra(name):
    golden, _ = load(name)
    major, minor, pa = golden["beams"][0]
    beam = Beam(major * ARCSEC, minor * ARCSEC, np.radians(pa))
    model = golden["delta"].sum(axis=0)
    residual = taylor.principal_solution(golden["residual_final"], golden["psf"][:, 0])[:, 0]
    image = np.stack([restore(m[0], r, beam, CELL, beam, "casa") for m, r in zip(model, residual, strict=True)])
    np.testing.assert_allclose(image, golden["image"][:, 0], rtol=0, atol=5e-7)
    threshold = taylor.spectral_threshold(residual[0], golden["valid"][0, 0])
    alpha, bright = taylor.spectral_index(image, threshold)
    shown = golden["alpha.valid"][0, 0]
    np.testing.assert_array_equal(bright & golden["valid"][0, 0], shown)
    assert shown.sum() > 900
    error = taylor.spectral_index_error(image, residual, threshold)
    maps = [(alpha, "alpha"), (error, "alpha.error")]
    if len(image) > 2:
        maps.append((taylor.spectral_curvature(image, threshold), "beta"))
    # Where the image is a hundredth of its peak or more; below, both divide by nothing much, of six equal digits.
    certain = shown & (image[0] > 0.01 * image[0].max())
    assert certain.sum() > 150
    for ours, product in maps:
        casa = golden[product][0, 0]
        assert np.abs(ours - casa)[certain].max() < 2e-5
        np.testing.assert_allclose(ours[shown], casa[shown], rtol=1e-3, atol=1e-3)
