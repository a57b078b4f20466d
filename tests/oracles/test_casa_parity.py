"""CASA 6.7 step by step: masks, thresholds, stop codes, components, beams and restored images (README.md here)."""

import json
from pathlib import Path

import numpy as np
import pytest

from imaging.algorithms.beam_fitting import fit_beam
from imaging.algorithms.beams import common_beam
from imaging.algorithms.cycle_control import Limits, next_state, residual_statistics
from imaging.algorithms.masking import AutomaskOptions, AutomaskState, automask, sidelobe_level
from imaging.algorithms.restoring import pbcor, restore
from imaging.contracts import Meta
from imaging.deconvolution import hogbom, multiscale
from imaging.image import Beam
from imaging.state import MinorResult, PlaneStop

HERE = Path(__file__).parent
ARCSEC = np.pi / 180 / 3600
CELL = (12 * ARCSEC, 12 * ARCSEC)
AUTOMASK = ["plain", "negative", "chauvenet", "pbmask", "nsigma", "cube"]
HOGBOM = ["hogbom", "hogbom_nsigma", "hogbom_one"]
MULTISCALE = ["multiscale_bias0", "multiscale_bias6"]


def load(name):
    golden = np.load(HERE / f"{name}.npz")
    return golden, json.loads(str(golden["record"])) if "record" in golden else {}


def as_beams(rows):
    return [Beam(a * ARCSEC, b * ARCSEC, np.radians(pa)) for a, b, pa in rows if np.isfinite(a)]


def results(record, name):
    return [result for event, _, result in record["events"] if event == name]


def seconds_and_degrees(beam):
    return beam.major / ARCSEC, beam.minor / ARCSEC, np.degrees(beam.pa)


def sidelobe(golden):
    return max(
        sidelobe_level(psf[0], beam, CELL) for psf, beam in zip(golden["psf"], as_beams(golden["beams"]), strict=True)
    )


def masks(golden, record):
    """Every automask call as ours makes it: (mask, noise)."""
    parameters = record["parameters"]
    options = {k: parameters[k] for k in AutomaskOptions.__dataclass_fields__ if k in parameters}
    reached = [False, *(r["thresholdreached"] for r in results(record, "getminorcyclecontrols"))]
    shape = golden["residual"].shape[1:]
    mask, state = np.zeros(shape, bool), AutomaskState.empty(shape)
    for residual, iterdone, last in zip(golden["residual"], golden["iterdone"], reached, strict=False):
        mask, state, noise = automask(
            residual,
            golden["valid"],
            mask,
            state,
            sidelobe=sidelobe(golden),
            beam=common_beam(as_beams(golden["beams"]), "casa"),
            cell=CELL,
            options=AutomaskOptions(**options),
            iterdone=int(iterdone),
            threshold_reached=last,
            pb=golden["pb"],
        )
        yield mask, state, noise


@pytest.mark.parametrize("name", AUTOMASK)
def test_automask_has_no_differing_pixel(name):
    golden, record = load(f"automask_{name}")
    ours = list(masks(golden, record))
    assert len(ours) == len(golden["mask_after"]) >= 5
    assert [int((m != casa).sum()) for (m, _, _), casa in zip(ours, golden["mask_after"], strict=True)] == [0] * len(
        ours
    )
    assert golden["mask_after"][-1].sum() > golden["mask_after"][0].sum() > 0


@pytest.mark.parametrize("name", AUTOMASK)
def test_automask_noise_and_skipped_channels(name):
    golden, record = load(f"automask_{name}")
    for (_, state, noise), rows in zip(masks(golden, record), record["log"], strict=True):
        for chan, masking, median, rms, *_ in rows:
            assert state.chanflag[chan] == (masking == "F")
            if masking == "T":
                # Six digits are printed, of float32 statistics.
                assert noise[chan][0].median == pytest.approx(float(median), rel=2e-5, abs=2e-8)
                assert noise[chan][0].sigma == pytest.approx(float(rms), rel=5e-6)


@pytest.mark.parametrize("name", AUTOMASK)
def test_sidelobe_level(name):
    golden, record = load(f"automask_{name}")
    assert sidelobe(golden) == pytest.approx(results(record, "initminorcycle")[0]["maxpsfsidelobe"], abs=1e-7)


def limits(record):
    number = {"Jy": 1.0, "mJy": 1e-3}
    parameters = dict(record["parameters"])
    threshold = parameters.get("threshold", "0Jy")
    unit = "mJy" if threshold.endswith("mJy") else "Jy"
    parameters["threshold"] = np.float32(float(threshold.removesuffix(unit)) * number[unit]).item()
    return Limits(**{k: parameters[k] for k in Limits.__dataclass_fields__ if k in parameters})


def decisions(golden, record, residuals, cycle_masks, automasking):
    """The state after each major cycle, from CASA's residuals and masks."""
    allowed = limits(record)
    valid = golden["valid"]
    state = None
    minors = [None, *(MinorResult(r["iterdone"]) for r in results(record, "executeminorcycle"))]
    if "pbmask" in record["parameters"]:
        valid = valid & (golden["pb"] > record["parameters"]["pbmask"])
    for residual, mask, minor in zip(residuals, cycle_masks, minors, strict=True):
        planes = residual_statistics(
            residual,
            mask,
            golden["valid"],
            noise_valid=valid,
            nsigma=allowed.nsigma,
            automasking=automasking,
            fastnoise=record["parameters"].get("fastnoise", True),
        )
        level = results(record, "initminorcycle")[0]["maxpsfsidelobe"]
        state = next_state(state, minor, planes, allowed, level, compat="casa")
        yield state


def check_decisions(states, record):
    controls = results(record, "getminorcyclecontrols")
    assert [s.stop for s in states] == [0] * len(controls) + [record["tclean"]["stopcode"]]
    for state, control in zip(states, controls, strict=False):
        assert state.cycle_niter == control["cycleniter"]
        assert state.cycle_threshold == pytest.approx(control["cyclethreshold"], rel=2e-6)
        assert state.threshold_reached == control["thresholdreached"]


@pytest.mark.parametrize("name", AUTOMASK)
def test_cycle_control_with_automask(name):
    golden, record = load(f"automask_{name}")
    check_decisions(list(decisions(golden, record, golden["residual"], golden["mask_after"], True)), record)


@pytest.mark.parametrize("name", [*HOGBOM, *MULTISCALE, "clark"])
def test_cycle_control_with_user_mask(name):
    golden, record = load(f"clean_{name}")
    residuals = [*golden["residual"], golden["residual_final"]]
    states = list(decisions(golden, record, residuals, [golden["mask"]] * len(residuals), False))
    check_decisions(states, record)


@pytest.mark.parametrize("name", [*HOGBOM, *MULTISCALE])
def test_minor_cycles(name):
    golden, record = load(f"clean_{name}")
    parameters = record["parameters"]
    deconvolve = {"hogbom": hogbom, "multiscale": multiscale}[parameters.get("deconvolver", "hogbom")].deconvolve
    model, iterdone = np.zeros_like(golden["psf"]), 0
    controls, executed = results(record, "getminorcyclecontrols"), results(record, "executeminorcycle")
    for k, (control, done) in enumerate(zip(controls, executed, strict=True)):
        nsigma = parameters.get("nsigma", 0.0)
        planes = residual_statistics(golden["residual"][k], golden["mask"], golden["valid"], nsigma=nsigma)
        meta = Meta(
            iteration_number=iterdone,
            max_iterations=iterdone + control["cycleniter"],
            gain=control["loopgain"],
            major_iter_threshold=control["cyclethreshold"],
            mask=golden["mask"],
            plane_thresholds=np.array([[planes[0][0].nsigma_threshold]]) if nsigma else None,
            options={k: parameters[k] for k in ("scales", "smallscalebias") if k in parameters},
            compat="casa",
        )
        before = model.copy()
        model = deconvolve(golden["residual"][k].copy(), model, golden["psf"][:, 0], meta)["model"]
        (plane,) = meta.plane_results
        summary = [row[0] for row in done["summaryminor"]]
        assert (plane.iterations, plane.stop) == (summary[0], summary[16])
        assert np.abs(model - before - golden["delta"][k]).max() <= 1e-7
        assert plane.peak_after == pytest.approx(summary[1], abs=2e-7)
        assert plane.model_flux == pytest.approx(summary[2], rel=1e-5)
        iterdone = meta.iteration_number
    assert iterdone == record["tclean"]["iterdone"]


def test_multiscale_goes_on_where_casa_stops():
    """CASA's second minor cycle gives up after three components: a large scale is stronger than the first point."""
    golden, record = load("clean_multiscale_bias0")
    control, done = results(record, "getminorcyclecontrols")[1], results(record, "executeminorcycle")[1]
    meta = Meta(
        max_iterations=control["cycleniter"],
        gain=control["loopgain"],
        major_iter_threshold=control["cyclethreshold"],
        mask=golden["mask"],
        options={"scales": [0, 5, 15], "smallscalebias": 0.0},
    )
    out = multiscale.deconvolve(
        golden["residual"][1].copy(), np.zeros_like(golden["psf"]), golden["psf"][:, 0].copy(), meta
    )
    (plane,) = meta.plane_results
    assert done["summaryminor"][16][0] == PlaneStop.EARLY != plane.stop
    assert plane.iterations > 10 * done["iterdone"]
    assert np.std(out["residual"]) < 0.6 * np.std(golden["residual"][1])


def test_beam_fits():
    golden, _ = load("beam_fits")
    for psf, casa, cell, cutoff in zip(
        golden["psf"], golden["beams"], golden["cell"], golden["psfcutoff"], strict=True
    ):
        ours = seconds_and_degrees(fit_beam(psf, (cell * ARCSEC, cell * ARCSEC), cutoff, "casa"))
        np.testing.assert_allclose(ours, casa, rtol=0, atol=1e-4)


def test_common_beams():
    """Whether CASA enlarges an exact fit by 0.1 % hangs on its rounding; the case where it did not is allowed that."""
    golden, _ = load("common_beams")
    enlarged_once_less = 6
    for k, (beams, casa) in enumerate(zip(golden["beams"], golden["common"], strict=True)):
        ours = seconds_and_degrees(common_beam(as_beams(beams), "casa"))
        if k == enlarged_once_less:
            np.testing.assert_allclose(ours, casa, rtol=2e-3)
        else:
            np.testing.assert_allclose(ours, casa, rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize(("product", "how"), [("mfs", "default"), ("mfs", "explicit"), ("cube", "common")])
def test_restored_and_corrected_images(product, how):
    golden, _ = load(f"restore_{product}")
    targets = as_beams(golden[f"beam_{how}"])
    if how == "common":
        assert targets[0] == common_beam(as_beams(golden["beams"]), "casa")
    for c, (psf_beam, target) in enumerate(zip(as_beams(golden["beams"]), targets, strict=True)):
        image = restore(golden["model"][c, 0], golden["residual"][c, 0], target, CELL, psf_beam, compat="casa")
        np.testing.assert_allclose(image, golden[f"image_{how}"][c, 0], rtol=0, atol=3e-7)
        corrected = pbcor(image, golden["pb"][c, 0])
        np.testing.assert_allclose(corrected, golden[f"pbcor_{how}"][c, 0], rtol=0, atol=5e-7)
