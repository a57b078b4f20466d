"""What goes wrong elsewhere behind the same API (pclean 0.2.3, and CASA 6.7 in places) and must not here."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from casacore.tables import table

from imaging.algorithms.beams import gaussian
from imaging.automask import (
    AutoMaskConfig,
    AutoMaskState,
    _plane_stats,
    _smooth_and_cut,
    automask_plane,
    beam_info_from_image,
)
from imaging.config import Config
from imaging.config_base import load_values
from imaging.deconvolver import Deconvolver
from imaging.errors import ImagingError
from imaging.image import Beam, Grid, Image
from imaging.io.images import load_image, save_image
from imaging.normalizer import Normalizer
from imaging.part_imager import PartImager
from imaging.state import StopCode

ORACLES = Path(__file__).parents[1] / "oracles"
ARCSEC = np.pi / 648000
CUTS = ["ANTENNA1 < 2", "ANTENNA1 >= 2"]
AUTOMASK = {"usemask": "auto-multithresh", "niter": 2000, "nsigma": 3.0}


def data(name):
    return load_image(name).data


def plane(sources, shape=(96, 96), sigma=0.01, seed=1):
    residual = np.random.default_rng(seed).normal(0, sigma, shape)
    i, j = np.mgrid[: shape[0], : shape[1]]
    for x, y, flux in sources:
        residual += flux * np.exp(-((i - x) ** 2 + (j - y) ** 2) / (2 * 3.0**2))
    return residual.astype(np.float32)


def masked(residual, state, sidelobe=0.001, **config):
    return automask_plane(residual, sidelobe, 64.0, (3.0, 3.0), AutoMaskConfig(**config), state)


def test_the_sidelobe_level_is_that_beside_the_beam_as_it_lies(tmp_path):
    """D1: with a mirrored position angle the beam itself counts as a sidelobe."""
    golden = np.load(ORACLES / "automask_plain.npz")
    (major, minor, pa), psf = golden["beams"][0], golden["psf"][0]
    cell = (12 * ARCSEC, 12 * ARCSEC)
    beam = Beam(major * ARCSEC, minor * ARCSEC, np.radians(pa))
    grid = Grid((1.0, 0.5), cell, psf.shape[-2:], (1e9,), (1e8,))
    save_image(Image(psf.reshape(grid.cube_shape), grid, beams=(beam,)), tmp_path / "x.psf")
    events = json.loads(str(golden["record"]))["events"]
    casa = next(result["maxpsfsidelobe"] for event, _, result in events if event == "initminorcycle")
    assert beam_info_from_image(str(tmp_path / "x"))[1] == pytest.approx(casa, abs=1e-7)
    mirrored = gaussian(dataclasses.replace(beam, pa=-beam.pa), cell, grid.shape)
    assert (psf.reshape(grid.shape) - mirrored).max() > 1.3 * casa


def test_masks_are_smoothed_with_the_beam_as_it_lies():
    """D2: a product of Gaussians along the axes has no position angle."""
    dot = np.zeros((64, 64), np.float32)
    dot[32, 32] = 1
    smooth = _smooth_and_cut(dot, (6.0, 2.0), 1.0, 0.1, beam_pa_rad=np.radians(30))
    i, j = np.nonzero(smooth)
    along = np.degrees(np.arctan2(*np.linalg.eigh(np.cov(i, j))[1][:, 1]))
    assert (along + 90) % 180 - 90 == pytest.approx(-30, abs=2)  # north through east, where east is to smaller i


def test_masks_do_not_run_away():
    """D3: what grows is the mask within the low threshold, not all that was ever smoothed."""
    state, residual = AutoMaskState(), plane([(30, 40, 1.0), (60, 60, 0.5)])
    sizes = [int(masked(residual, state).sum()) for _ in range(40)]
    assert sizes[0] < sizes[1] <= sizes[-1] < 0.15 * residual.size
    assert len(set(sizes[5:])) == 1


def test_pixels_at_the_threshold_stay_outside():
    """D4: above it, not at it."""
    residual = np.zeros((64, 64), np.float32)
    residual[10:20, 10:20], residual[40:50, 40:50] = 1.0, 0.25
    exactly = automask_plane(residual, 0.25, 9.0, (1.0, 1.0), AutoMaskConfig(sidelobethreshold=1.0), AutoMaskState())
    assert exactly[15, 15] == 1
    assert not exactly[35:55, 35:55].any()
    above = automask_plane(residual, 0.2499, 9.0, (1.0, 1.0), AutoMaskConfig(sidelobethreshold=1.0), AutoMaskState())
    assert above[45, 45] == 1


def test_planes_are_left_alone_only_when_nothing_more_can_come():
    """D4: change counts in pixels of the mask, where noise decides, at the user's threshold."""
    residual = plane([(30, 40, 1.0)])
    for reached, sidelobe, skips in ((True, 0.001, True), (False, 0.001, False), (True, 0.1, False)):
        state = AutoMaskState()
        for _ in range(6):
            state.threshold_reached = reached
            masked(residual, state, sidelobe, minpercentchange=1.0)
        assert state.prevmask.any()
        assert state.skip == skips
    state = AutoMaskState()
    masked(residual, state, noisethreshold=1e4)
    assert not state.skip
    masked(residual, state, noisethreshold=1e4)
    assert state.skip  # an empty mask of a noise-limited plane


def test_the_first_noise_without_fastnoise_leaves_out_outliers():
    """D5: Chauvenet's criterion where there is no mask yet."""
    residual = plane([], sigma=1.0)
    residual[:20, :40] += 8
    fast, slow = (_plane_stats(residual, fastnoise=fast)[2] for fast in (True, False))
    assert slow < fast
    assert slow == pytest.approx(_plane_stats(residual, fastnoise=False, prev_mask=np.zeros((96, 96)))[2])


def test_all_channels_of_a_cube_are_cleaned(imager):
    """D6: not only the first."""
    found = imager(specmode="cube", **AUTOMASK).run()
    dirty, left, mask = data("my/my.cycle000.residual"), data("my.residual"), data("my.mask")
    inside = load_image("my.pb").usable(left.shape)
    for chan in range(4):
        assert mask[chan].any()
        assert np.abs(left[chan][inside[chan]]).max() < 0.5 * np.abs(dirty[chan][inside[chan]]).max()
        assert sum(found["summaryminor"][0][chan][0]["iterDone"]) > 0


def test_taylor_terms_and_automatic_masks_go_together(imager):
    """D7, D15: neither the mask nor the second major cycle nor restoring fails."""
    found = imager(deconvolver="mtmfs", nterms=2, nmajor=2, **AUTOMASK).run()
    assert found["major_cycles"] >= 1
    assert found["iterdone"] > 0
    assert data("my.image.tt0").max() > 0.5
    assert load_image("my.alpha").valid.any()


def test_the_beam_of_taylor_terms_is_found(tmp_path):
    """D7: .psf.tt0 where there is no .psf."""
    grid = Grid((1.0, 0.5), (5e-5, 5e-5), (64, 64), (1e9,), (1e8,))
    beam = Beam(3e-4, 2e-4, 0.3)
    save_image(Image(gaussian(beam, grid.cell, grid.shape)[None, None].astype("f4"), grid, beams=(beam,)),
               tmp_path / "x.psf.tt0")  # fmt: skip
    assert beam_info_from_image(str(tmp_path / "x"))[3] == pytest.approx(0.3, abs=1e-6)


def parts_of(tiny_ms, folder, imsize=64, **weighting):
    """Prefix of a continuum image gathered from two parts."""
    values = {"name": "x", "image": {"imsize": imsize, "cell": "12arcsec"}, "weighting": weighting}
    parts = [
        PartImager(Config.parse(values | {"data": {"vis": str(tiny_ms), "taql": cut}}), folder / f"part{i}")
        for i, cut in enumerate(CUTS)
    ]
    with Normalizer({"imagename": str(folder / "all")}, [part.partname for part in parts]) as normalizer:
        for part in parts:
            part.setup()
            part.make_weight_density()
        normalizer.gather_weight_density()
        for part in parts:
            part.set_weight_density(normalizer.scatter_weight_density())
            part.make_psf()
            part.make_pb()
            part.run_major_cycle()
        normalizer.normalize_psf()
        normalizer.normalize_pb()
        normalizer.post_major_mfs()
    return str(folder / "all")


def test_automatic_masks_of_gathered_images_are_not_the_whole_image(tmp_path, tiny_ms):
    """D8."""
    prefix = parts_of(tiny_ms, tmp_path, imsize=160, weighting="briggs", robust=0.5)
    with Deconvolver(prefix, AUTOMASK | {"niter": 0}, {"niter": 100}) as deconvolver:
        deconvolver.init_minor()
        deconvolver.setup_mask()
    assert 0 < data(f"{prefix}.mask.fits").sum() < 0.5 * 160 * 160


def test_masks_grow_from_the_second_cycle_on(imager):
    """D9: whatever else asks about the residual does not set the count of iterations back."""
    with imager(python_automask=False, lownoisethreshold=0.5, **AUTOMASK) as made:
        made.make_psf()
        made.make_pb()
        made.run_major_cycle(is_first=True)
        sizes = []
        for _ in range(3):
            made.update_mask()
            if made.has_converged() and made.has_converged():
                break
            made.run_minor_cycle()
            made.run_major_cycle()
            sizes.append(int(data(f"my/my.cycle{len(sizes):03d}.mask").sum()))
    assert len(sizes) >= 2
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]
    with np.load("my/my.cycle001.automask.npz") as memory:
        assert int(memory["iterdone"]) > 0


def test_nsigma_stops_the_clean(imager):
    """D10: code 8, and not after dozens of major cycles."""
    found = imager(niter=100000, nsigma=3.0, usemask="auto-multithresh").run()
    assert found["stopcode"] == StopCode.NSIGMA == 8
    assert found["major_cycles"] < 10


def test_smallscalebias_reaches_the_deconvolver(imager):
    """D11: other biases, other models, and none is what was not asked for."""
    models = []
    for name, bias in (("none", {}), ("zero", {"smallscalebias": 0.0}), ("high", {"smallscalebias": 0.9})):
        made = imager(imagename=name, deconvolver="multiscale", scales=[0, 5, 10], niter=20, **bias)
        made.run()
        models.append(data(f"{name}.model"))
    np.testing.assert_array_equal(models[0], models[1])
    assert (models[2] != models[0]).any()


def test_savemodel_writes_the_model_and_only_when_asked_to(imager, tiny_ms, tmp_path):
    """D12."""
    shutil.copytree(tiny_ms, tmp_path / "own.ms")
    for savemodel, there in (("none", False), ("modelcolumn", True)):
        imager(vis="own.ms", savemodel=savemodel, niter=300).run()
        with table("own.ms", ack=False) as opened:
            assert ("MODEL_DATA" in opened.colnames()) == there
    with table("own.ms", ack=False) as opened:
        found, seen = opened.getcol("DATA"), opened.getcol("MODEL_DATA")
    hands = [0, 3]
    assert np.abs(found - seen)[..., hands].mean() < 0.3 * np.abs(found[..., hands]).mean()


@pytest.mark.parametrize("nmajor", [1, 2, 3])
def test_so_many_major_cycles_are_so_many(imager, nmajor):
    """D13: not one less; one of them cleans."""
    found = imager(niter=10000, cycleniter=5, nmajor=nmajor).run()
    assert (found["major_cycles"], found["stopcode"]) == (nmajor, StopCode.NMAJOR)
    assert len(found["summaryminor"][0][0][0]["iterDone"]) == nmajor
    assert data("my.model").any()


def test_calcpsf_false_uses_the_psf_that_is_there(imager):
    """D14: it is not made again, and where there is none that is said."""
    with pytest.raises(ImagingError, match="no image"):
        imager(calcpsf=False).run()
    assert not Path("my").exists()  # before anything is done
    imager(niter=5).run()
    before = {name: (Path("my") / name).stat().st_mtime_ns for name in ("my.psf", "my.sumwt", "my.pb")}
    psf = load_image("my.psf")
    save_image(psf.with_data(psf.data * np.float32(1.0)), "my/my.psf")
    stamp = (Path("my") / "my.psf").stat().st_mtime_ns
    imager(niter=5, calcpsf=False, restart=True).run()
    assert (Path("my") / "my.psf").stat().st_mtime_ns == stamp != before["my.psf"]
    assert (Path("my") / "my.pb").stat().st_mtime_ns == before["my.pb"]


def test_calcres_false_uses_the_residual_that_is_there(imager):
    """D14, and tclean's way to restore only."""
    imager(niter=20).run()
    residual, image = data("my.residual"), data("my.image")
    imager(niter=0, calcpsf=False, calcres=False).run()
    np.testing.assert_array_equal(data("my.residual"), residual)
    np.testing.assert_array_equal(data("my.image"), image)


@pytest.mark.parametrize("keyword", [{"outlierfile": "o.txt"}, {"psfphasecenter": "1"}, {"interactive": 1}])
def test_what_is_not_done_is_refused(imager, keyword):
    """D14: outliers, psfs elsewhere and interactive masks are not dropped in silence."""
    with pytest.raises(ImagingError, match=next(iter(keyword))):
        imager(**keyword)


def test_parts_share_the_density_of_all(tmp_path, tiny_ms):
    """D16: uniform weights of two parts are those of all data together."""
    found = load_image(f"{parts_of(tiny_ms, tmp_path, weighting='uniform')}.sumwt.fits").data.item()
    whole = tmp_path / "whole"
    values = {"name": "x", "image": {"imsize": 64, "cell": "12arcsec"}, "weighting": {"weighting": "uniform"},
              "data": {"vis": str(tiny_ms)}}  # fmt: skip
    part = PartImager(Config.parse(values), whole)
    part.setup()
    part.set_weight_density(part.make_weight_density())
    part.make_psf()
    assert found == pytest.approx(load_image(f"{whole}.sumwt.fits").data.item(), rel=1e-6)


def test_a_common_beam_is_one_for_the_whole_cube(imager):
    """D17."""
    imager(specmode="cube", restoringbeam="common", niter=10).run()
    own, common = load_image("my.psf").beams, load_image("my.image").beams
    assert len(set(own)) == 4
    assert len(set(common)) == 1
    assert common[0].major >= max(beam.major for beam in own)


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ({}, [1400, 1404, 1408, 1412]),
        ({"nchan": -1, "start": 1}, [1404, 1408, 1412]),
        ({"nchan": 2, "start": 1, "width": 1}, [1404, 1408]),
        ({"nchan": 2, "start": "1404MHz", "width": "4MHz"}, [1404, 1408]),
        ({"nchan": -1, "width": 2}, [1402, 1410]),
    ],
)
def test_channels_are_those_that_are_asked_for(imager, axis, expected):
    """D18: by number or frequency, all of them where nchan says nothing."""
    with imager(specmode="cube", niter=0, **axis) as made:
        made.make_psf()
    assert np.array(load_image("my.psf").grid.freq) / 1e6 == pytest.approx(expected)


def test_what_is_set_to_its_default_overrides_what_was_set_before(tmp_path):
    """D19: niter 0 over niter 500 is 0; unknown keys are errors."""
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump({"clean": {"niter": 500, "gain": 0.3}}))
    clean = Config.load(file, ("clean.niter=0",)).clean
    assert (clean.niter, clean.gain) == (0, 0.3)
    assert load_values(file, ("clean.gain=0.1",))["clean"]["gain"] == 0.1
    file.write_text(yaml.safe_dump({"clean": {"nitr": 500}}))
    with pytest.raises(ImagingError, match="Unknown configuration key"):
        Config.load(file)


def test_defaults_are_tclean_s(imager):
    """D20."""
    mask = imager().config.mask
    assert (mask.growiterations, mask.minpercentchange, mask.fastnoise) == (75, -1.0, True)


def test_a_cube_of_one_channel_keeps_its_pixel_mask(imager):
    """D20: and so does the residual that is made anew in every cycle."""
    imager(specmode="cube", nchan=1, niter=20, imsize=128, cell="40arcsec", pbcor=True).run()
    for product in ("residual", "image", "image.pbcor", "pb"):
        with table(f"my.{product}", ack=False) as opened:
            assert opened.getkeyword("Image_defaultmask") == "mask0"
        assert 0 < load_image(f"my.{product}").valid.mean() < 1
