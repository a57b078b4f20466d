"""The whole loop, stage after stage in this process: cubes of all polarisations, channels without data, limits."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imaging.algorithms.masking import AutomaskOptions
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.image import Image
from imaging.io.images import load_image, save_image
from imaging.names import Names
from imaging.settings import Settings
from imaging.stages import (
    automask,
    decide,
    ingest,
    major_cycle,
    mfs,
    minor_cycle,
    pb,
    pbcor,
    psf,
    psf_double,
    report,
    restore,
    weights,
)
from imaging.state import CleanState, StopCode


class Run:
    """The products of a configuration; `states` are the decisions, one a cycle."""

    def __init__(self, folder: Path, values: dict):
        self.config = Config.parse({"name": "x", **values})
        self.names = Names("x", str(folder), self.config.image_format)
        self.states: list[CleanState] = []

    def image(self, product: str, cycle: int | None = None):
        return load_image(self.names.path(product, cycle))

    def _settings(self, stage: str) -> Settings:
        return Settings.of(self.config.settings(stage))

    def prepare(self) -> None:
        n = self.names
        ingest.ingest(list(self.config.data.vis), vis=n.vis(), config=self._settings("ingest"))
        weights.weights(n.vis(), weights=n.weights(), config=self._settings("weights"))
        psf.psf(n.vis(), n.weights(), psf=n.psf(), sumwt=n.sumwt(), config=self._settings("psf"))
        pb.pb(n.vis(), n.weights(), pb=n.pb(), config=self._settings("pb"))

    def clean(self) -> None:
        n, automatic = self.names, self.config.mask.usemask == "auto-multithresh"
        while not self.states or not self.states[-1].stop:
            k = len(self.states)
            before = [n.path(p, k - 1) if k else "" for p in ("mask", "automask", "state", "minor", "model", "memory")]
            model, masked = before[4], k if automatic else 0
            major_cycle.major_cycle(
                n.vis(), n.weights(), model, residual=n.residual(k), config=self._settings("major_cycle")
            )
            if masked == k:
                automask.automask(
                    n.residual(k), n.psf(), n.pb(), *before[:4], mask=n.mask(k), automask=n.automask(k),
                    config=self._settings("automask"),
                )  # fmt: skip
            decide.decide(
                n.residual(k), n.mask(masked), n.psf(), n.pb(), n.automask(masked), *before[2:4], n.sumwt(),
                state=n.state(k), config=self._settings("decide"),
            )  # fmt: skip
            self.states.append(CleanState.from_json(Path(n.state(k)).read_text()))
            if not self.states[-1].stop:
                minor_cycle.minor_cycle(
                    n.residual(k), n.mask(masked), n.psf(), n.sumwt(), n.state(k), model, before[5],
                    model_out=n.model(k), minor=n.minor(k), memory_out=n.memory(k),
                    config=self._settings("minor_cycle"),
                )  # fmt: skip
        best = self.states[-1].best_cycle
        restore.restore(
            n.residual(best), n.mask(max(best - 1, 0) if automatic else 0), n.psf(), n.pb(), n.state(k),
            model=n.model(best - 1) if best else "",
            image=n.image(), residual_out=n.residual(), model_out=n.model(), mask_out=n.mask(),
            config=self._settings("restore"), provenance=self.config.provenance(),
        )  # fmt: skip
        pbcor.pbcor(n.image(), n.pb(), image_pbcor=n.image_pbcor(), config=self._settings("pbcor"))
        if self.config.joined:
            mfs.mfs(
                n.residual(), n.model(), n.psf(), n.sumwt(), image_mfs=n.image_mfs(), residual_mfs=n.residual_mfs(),
                model_mfs=n.model_mfs(), psf_mfs=n.psf_mfs(), config=self._settings("mfs"),
            )  # fmt: skip
            pbcor.pbcor(
                n.image_mfs(), n.pb(), n.sumwt(), image_pbcor=n.image_mfs_pbcor(), config=self._settings("pbcor")
            )
        report.report(
            [n.state(i) for i in range(k + 1)], [n.minor(i) for i in range(k)], n.vis(), n.weights(), n.image(),
            report=n.report(), config=self._settings("report"),
        )  # fmt: skip


@pytest.fixture(scope="module")
def gap_ms(make_ms, tmp_path_factory):
    """Four channels, the third flagged throughout, frequencies downwards."""

    def edit(columns):
        columns["flag"][:, 2] = True

    freq = 1.412e9 - 4e6 * np.arange(4)
    return make_ms(tmp_path_factory.mktemp("gap") / "gap.ms", edit, freq=freq, rms=0.01)


@pytest.fixture
def run(gap_ms, tmp_path):
    """run(section={…}) images all four Stokes parameters of all channels."""

    def run(**sections) -> Run:
        values = {
            "data": {"vis": str(gap_ms)},
            "image": {"imsize": 64, "cell": "12arcsec", "stokes": "IQUV", "specmode": "cube"},
            "primary_beam": {"pbmodel": "gaussian", "dishdiameter": "80m"},
            "clean": {"niter": 1000, "nsigma": 3},
            "restore": {"pbcor": True},
        }
        for name, changes in sections.items():
            values[name] = values[name] | changes if isinstance(values.get(name), dict) else changes
        made = Run(tmp_path / "results", values)
        made.prepare()
        made.clean()
        return made

    return run


EMPTY = 1  # the flagged channel, frequencies upwards


USED = [0, 2, 3]


def test_a_channel_without_data_in_a_cube_of_all_polarisations(run, caplog):
    made = run()
    assert caplog.text.count("channels without data, left blank: 1 (1404 MHz)") == 1
    assert made.states[-1].stop == StopCode.NSIGMA
    image, residual, point = made.image("image"), made.image("residual"), made.image("psf")
    assert image.data.shape == (4, 4, 64, 64)
    for product in ("image", "image.pbcor", "residual", "psf"):
        pixels = made.image(product)
        assert np.isfinite(pixels.data).all()
        assert not pixels.valid[EMPTY].any()
        assert pixels.valid[USED].any((1, 2, 3)).all()
    assert point.valid[USED].all()
    for product in ("model", "mask"):
        assert not made.image(product).data[EMPTY].any()
    for beams in (point.beams, image.beams):
        assert [beam.major > 0 for beam in beams] == [chan in USED for chan in range(4)]
    dirty, used = made.image("residual", 0), USED
    limit = made.image("pb").valid
    for pol in (1, 2, 3):  # faint beside the noise of Stokes I, and cleaned all the same
        left, found = (np.abs(x.data[used, pol] * limit[used, 0]).max() for x in (residual, dirty))
        assert left < 0.2 * found


JOINED = {"deconvolver": "wideband", "join": ["channels"], "fit_spectrum": "polynomial", "niter": 3000, "nsigma": 2}


def test_joined_channels_and_their_mean(run):
    """One mean image of each Stokes parameter; the channel without data has a model but no weight in it."""
    made = run(clean=JOINED | {"automask_sigma": 5})
    last = made.states[-1]
    assert last.stop == StopCode.DECONVOLVER
    assert len(last.planes) == 1  # judged by the mean of the channels
    assert len(last.planes[0]) == 4
    model, weight = made.image("model").data, made.image("sumwt").data[:, 0, 0, 0]
    assert model[EMPTY].any()
    assert ((model != 0).any(axis=0) == (model[0] != 0)).all()
    mean = {p: made.image(f"{p}.mfs") for p in ("image", "residual", "model", "psf")}
    for product, image in mean.items():
        assert image.data.shape == (1, 1 if product == "psf" else 4, 64, 64)
        assert image.grid.freq == (pytest.approx(np.average(made.image("psf").grid.freq, weights=weight)),)
    np.testing.assert_allclose(mean["model"].data[0], np.average(model, axis=0, weights=weight), atol=1e-6)
    left = np.nan_to_num(made.image("residual").data)
    np.testing.assert_allclose(mean["residual"].data[0], np.average(left, axis=0, weights=weight), atol=1e-6)
    assert mean["psf"].data.max() == pytest.approx(1)
    (beam,) = mean["image"].beams
    own = [b for chan, b in enumerate(made.image("psf").beams) if chan in USED]
    assert min(b.minor for b in own) < beam.minor < max(b.minor for b in own)
    peaks = np.nan_to_num(made.image("image").data[:, 0, 32, 32])
    assert mean["image"].data[0, 0, 32, 32] == pytest.approx(np.average(peaks, weights=weight), rel=0.02)
    assert mean["image"].unit == "Jy/beam"
    assert mean["model"].unit == "Jy/pixel"
    corrected = made.image("image.mfs.pbcor")
    beams = np.average(np.nan_to_num(made.image("pb").data)[USED], axis=0, weights=weight[USED])
    inside = corrected.valid[0, 0]
    assert 0.3 < inside.mean() < 0.95
    np.testing.assert_allclose(
        corrected.data[0, 0][inside] * beams[0][inside], mean["image"].data[0, 0][inside], rtol=1e-5, atol=1e-7
    )


def test_joined_polarisations_and_channels_have_one_state(run):
    made = run(clean=JOINED | {"join": ["channels", "polarizations"], "squared_join": True, "nsigma": 4})
    assert [len(chan) for chan in made.states[-1].planes] == [1]
    model = made.image("model").data
    assert ((model != 0).any(axis=(0, 1)) == (model[0, 0] != 0)).all()
    assert abs(model[USED, 1:]).sum(axis=(0, 2, 3)).min() > 0


def test_what_the_deconvolver_keeps_is_a_file(run):
    """A cycle from the files of the cycle before is the same one again."""
    made = run(clean=JOINED | {"automask_sigma": 5})
    n, k = made.names, len(made.states) - 2
    names = ("model", "minor", "memory")
    before = [Path(n.path(p, k)).read_bytes() for p in names]
    minor_cycle.minor_cycle(
        n.residual(k), n.mask(0), n.psf(), n.sumwt(), n.state(k), n.model(k - 1), n.memory(k - 1),
        model_out=n.model(k), minor=n.minor(k), memory_out=n.memory(k), config=made._settings("minor_cycle"),
    )  # fmt: skip
    assert [Path(n.path(p, k)).read_bytes() for p in names] == before


def test_a_map_of_spectra_of_another_size_is_refused(run, tmp_path):
    path = tmp_path / "map.fits"
    grid = replace(run(clean={"niter": 0}).image("psf").grid, shape=(64, 32), freq=(1e9,), width=(1e9,))
    save_image(Image(np.zeros((1, 1, 64, 32), np.float32), grid), path)
    with pytest.raises(ImagingError, match="map of spectra") as error:
        run(clean=JOINED | {"fit_spectrum": "forced", "spectrum_map": str(path)})
    assert "64 x 64" in error.value.expected


def test_pixels_that_are_masked(run):
    made = run()
    valid = made.image("pb").valid
    assert 0.5 < valid.mean() < 0.95
    for product in ("image", "image.pbcor", "residual"):
        assert (made.image(product).valid[USED] == valid[USED]).all()
    assert not made.image("model").data[~np.broadcast_to(valid, (4, 4, 64, 64))].any()
    inside, beam = valid[0, 0], made.image("pb").data[0, 0]
    for pol in range(4):
        image, corrected = (made.image(p).data[0, pol][inside] for p in ("image", "image.pbcor"))
        np.testing.assert_allclose(corrected * beam[inside], image, rtol=1e-5, atol=1e-7)


def test_a_negative_pblimit_leaves_the_image_whole(run):
    made = run(primary_beam={"pblimit": -0.2}, mask={"usemask": "pb", "pbmask": 0.5}, clean={"niter": 50})
    for product in ("image", "residual"):
        assert [plane.all() for plane in made.image(product).valid] == [chan in USED for chan in range(4)]
    assert 0.5 < made.image("image.pbcor").valid[USED].mean() < 0.95
    beam = np.broadcast_to(made.image("pb").data, (4, 4, 64, 64))
    assert ((made.image("mask").data > 0) == (beam > 0.5))[USED].all()
    assert not made.image("model").data[beam <= 0.5].any()


@pytest.mark.parametrize("image_format", ["fits", "casa"])
def test_casa_s_ways_through_all_stages(run, image_format):
    made = run(
        compat="casa", image_format=image_format, mask={"usemask": "auto-multithresh", "noisethreshold": 3},
        clean={"deconvolver": "multiscale", "scales": [0, 4], "niter": 60}, restore={"restoringbeam": "common"},
    )  # fmt: skip
    image = made.image("image")
    assert made.states[-1].iterdone > 0
    assert image.unit == "Jy/beam"
    assert len(set(image.beams)) == 1
    assert np.isfinite(image.data).all()
    assert not image.valid[EMPTY].any()
    assert made.image("psf").beams[EMPTY].major == 0
    assert made.image("model").data.any()


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"clean": {"niter": 9, "threshold": "50Jy"}}, "nothing is cleaned: the peak,"),
        ({"mask": {"usemask": "auto-multithresh", "sidelobethreshold": 1000}}, "= sidelobethreshold 1000 x"),
        ({"mask": {"usemask": "auto-multithresh", "noisethreshold": 1000}}, "= noisethreshold 1000 x"),
    ],
)
def test_a_clean_that_cleans_nothing_says_why(run, caplog, sections, words):
    made = run(image={"stokes": "I", "specmode": "mfs"}, **sections)
    assert made.states[-1].iterdone == 0
    assert "nothing is cleaned" in caplog.text
    assert words in caplog.text


def test_a_peak_that_the_automatic_mask_leaves_out_is_told(caplog):
    residual, mask = np.zeros((1, 1, 8, 9)), np.zeros((1, 1, 8, 9), bool)
    residual[0, 0, 3, 5], residual[0, 0, 6, 6], mask[0, 0, 6, 6] = 2, 1, True
    automask._warn(residual, residual < 9, mask, [[None]], 0.5, AutomaskOptions())
    assert "2 Jy/beam at x 5, y 3, is outside the automatic mask" in caplog.text
    caplog.clear()
    automask._warn(residual, residual < 2, mask, [[None]], 0.5, AutomaskOptions())
    assert not caplog.text


def test_without_iterations_the_residual_is_the_dirty_image(run):
    made = run(clean={"niter": 0}, mask={"usemask": "auto-multithresh"})
    assert [state.stop for state in made.states] == [StopCode.NITER]
    inside = np.broadcast_to(made.image("pb").valid, (4, 4, 64, 64)).copy()
    inside[EMPTY] = False
    np.testing.assert_array_equal(made.image("residual").data[inside], made.image("residual", 0).data[inside])
    assert not made.image("model").data.any()


def test_a_report_without_a_measured_accuracy(run, monkeypatch):
    """Where no sampled pixel is on the sky there is no accuracy to tell; JSON has no NaN."""
    monkeypatch.setattr(report, "measure_accuracy", lambda *_: float(np.mean([])))
    made = run(clean={"niter": 0})
    told = json.loads(Path(made.names.report()).read_text(), parse_constant=pytest.fail)
    assert told["direct_sum_error"] is None
    assert told["image_peak"] == made.image("image").data[made.image("image").valid].max()
    assert 0 < told["image_rms"] < told["image_peak"]


def test_an_image_smaller_than_its_beam_is_refused(run):
    with pytest.raises(ImagingError, match="smaller than the main lobe") as caught:
        run(image={"cell": "0.05arcsec"})
    assert "image.cell" in caught.value.next_step


def residual_by_psf(made: Run, model: str, folder: Path):
    """The residual of a model, by convolution where that is possible."""
    n, path = made.names, str(folder / "by_psf.fits")
    if not Path(n.psf_double()).exists():
        psf_double.psf_double(n.vis(), n.weights(), psf_double=n.psf_double(), config=made._settings("psf_double"))
    major_cycle.major_cycle(
        n.vis(), n.weights(), model, n.psf_double(), n.residual(0), residual=path, config=made._settings("major_cycle")
    )
    return load_image(path)


def test_a_cube_by_convolution(run, tmp_path):
    made = run()
    last = made.states[-1].cycle
    exact, by_psf = made.image("residual", last), residual_by_psf(made, made.names.model(last - 1), tmp_path)
    assert 0 < by_psf.header["PSFERROR"] < 1e-4
    assert not by_psf.data[EMPTY].any()
    peaks = np.abs(made.image("residual", 0).data).max(axis=(2, 3))
    errors = np.abs(by_psf.data - exact.data).max(axis=(2, 3))
    used = [chan for chan in range(4) if chan != EMPTY]
    assert errors[used].max() > 0
    assert (errors <= 1e-4 * peaks).all()


def test_a_model_of_too_much_flux_for_its_peak_falls_back_to_an_exact_residual(run, tmp_path):
    made = run(clean={"niter": 1, "nmajor": 1}, image={"specmode": "mfs", "stokes": "I"})
    signs = np.random.default_rng(1).choice([-1, 1], (1, 1, 64, 64)).astype(np.float32)
    model, exact = str(tmp_path / "model.fits"), str(tmp_path / "exact.fits")
    save_image(made.image("model", 0).with_data(signs), model)
    n = made.names
    major_cycle.major_cycle(n.vis(), n.weights(), model, residual=exact, config=made._settings("major_cycle"))
    found = residual_by_psf(made, model, tmp_path)
    assert "PSFERROR" not in found.header
    np.testing.assert_array_equal(found.data, load_image(exact).data)


def test_a_wide_field_has_no_psf_on_twice_the_image(run, tmp_path, caplog):
    made = run(
        image={"specmode": "mfs", "stokes": "I", "imsize": 640, "cell": "20arcsec"}, gridding={"epsilon": 1e-6},
        clean={"niter": 20}, mask={"mask": [200, 200, 440, 440]},
    )  # fmt: skip
    with caplog.at_level("WARNING", logger="imaging"):
        found = residual_by_psf(made, made.names.model(0), tmp_path)
    assert "all cycles will be exact" in caplog.text
    assert "PSFERROR" not in found.header
    np.testing.assert_array_equal(found.data, made.image("residual", 1).data)
