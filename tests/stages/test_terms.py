"""Taylor terms, stage after stage in this process: products, spectra, polarisations, primary beam, bad input."""

from pathlib import Path

import numpy as np
import pytest

from imaging import terms
from imaging.algorithms.components import Component
from imaging.algorithms.primary_beam import choose_model, power
from imaging.algorithms.simulation import predict_components
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.image import lm_to_radec, term
from imaging.io.images import load_image
from imaging.names import Names
from imaging.settings import Settings
from imaging.stages import (
    automask,
    decide,
    ingest,
    major_cycle,
    minor_cycle,
    pb,
    pbcor_terms,
    psf,
    restore_terms,
    weights,
)
from imaging.state import CleanState

ARCSEC = np.radians(1 / 3600)
CENTRE = (np.radians(202.784), np.radians(30.509))
FREQ = np.linspace(1.15e9, 1.65e9, 5)
REFERENCE = (FREQ[0] + FREQ[-1]) / 2
SOURCES = {(0, 0): (1.0, -0.8), (12, -8): (0.5, 0.9), (-14, 10): (0.25, 0.0)}  # pixels east, north: Jy, index
CELL = 12  # arcsec


def sky():
    components = []
    for (east, north), (flux, index) in SOURCES.items():
        ra, dec = lm_to_radec(np.array([east * CELL]) * ARCSEC, np.array([north * CELL]) * ARCSEC, CENTRE)
        stokes = (flux, 0.2 * flux, 0, 0)
        components.append(Component(f"{east}", ra[0], dec[0], stokes, (index,), reffreq=REFERENCE))
    return components


@pytest.fixture(scope="module")
def wide_ms(make_ms, tmp_path_factory):
    return make_ms(tmp_path_factory.mktemp("wide") / "wide.ms", nant=27, freq=FREQ, components=sky(), rms=1e-3)


class Run:
    """The products of a configuration, made stage by stage."""

    def __init__(self, ms, folder: Path, **sections):
        values = {
            "data": {"vis": str(ms)},
            "image": {"imsize": 64, "cell": f"{CELL}arcsec"},
            "clean": {"deconvolver": "mtmfs", "niter": 4000, "threshold": "0.3mJy", "nmajor": 8},
            "primary_beam": {"pblimit": 0.1},
        }
        for name, changes in sections.items():
            values[name] = values[name] | changes if isinstance(values.get(name), dict) else changes
        self.config = Config.parse({"name": "x", **values})
        self.names = Names("x", str(folder), self.config.image_format)

    def settings(self, stage):
        return Settings.of(self.config.settings(stage))

    def image(self, product):
        return load_image(self.names.path(product))

    def prepare(self):
        n = self.names
        ingest.ingest(list(self.config.data.vis), vis=n.vis(), config=self.settings("ingest"))
        weights.weights(n.vis(), weights=n.weights(), config=self.settings("weights"))
        psf.psf(n.vis(), n.weights(), psf=n.psf(), sumwt=n.sumwt(), config=self.settings("psf"))
        pb.pb(n.vis(), n.weights(), pb=n.pb(), config=self.settings("pb"))
        return self

    def clean(self):
        n, k, state = self.names, 0, None
        while True:
            before = [n.path(p, k - 1) if k else "" for p in ("mask", "automask", "state", "minor", "model")]
            major_cycle.major_cycle(
                n.vis(), n.weights(), before[-1], residual=n.residual(k), config=self.settings("major_cycle")
            )
            automask.automask(
                n.residual(k), n.psf(), n.pb(), *before[:4], mask=n.mask(k), automask=n.automask(k),
                config=self.settings("automask"),
            )  # fmt: skip
            decide.decide(
                n.residual(k), n.mask(k), n.psf(), n.pb(), n.automask(k), *before[2:4], state=n.state(k),
                config=self.settings("decide"),
            )  # fmt: skip
            state = CleanState.from_json(Path(n.state(k)).read_text())
            if state.stop:
                break
            minor_cycle.minor_cycle(
                n.residual(k), n.mask(k), n.psf(), n.sumwt(), n.state(k), before[-1], model_out=n.model(k),
                minor=n.minor(k), config=self.settings("minor_cycle"),
            )  # fmt: skip
            k += 1
        self.finish(state.best_cycle, k)
        return self

    def finish(self, best, k):
        n = self.names
        restore_terms.restore_terms(
            n.residual(best), n.mask(max(best - 1, 0)), n.psf(), n.pb(), n.sumwt(), n.state(k),
            model=n.model(best - 1) if best else "", **terms.restored(self.config, n),
            config=self.settings("restore_terms"), provenance=self.config.provenance(),
        )  # fmt: skip
        pbcor_terms.pbcor_terms(
            **terms.to_correct(self.config, n), **terms.corrected(self.config, n), config=self.settings("pbcor_terms")
        )


def pixel(east, north, size=64):
    return 0, 0, size // 2 + north, size // 2 - east


@pytest.mark.parametrize(("nterms", "tolerance"), [(2, 0.03), (3, 0.03)])
def test_sources_have_their_flux_and_index(wide_ms, tmp_path, nterms, tolerance):
    run = Run(wide_ms, tmp_path, clean={"nterms": nterms, "scales": [0, 4]}).prepare().clean()
    image, alpha, error = run.image("image.tt0"), run.image("alpha"), run.image("alpha.error")
    for place, (flux, index) in SOURCES.items():
        assert image.data[pixel(*place)] == pytest.approx(flux, rel=0.02)
        assert alpha.valid[pixel(*place)]
        assert alpha.data[pixel(*place)] == pytest.approx(index, abs=tolerance)
        assert 0 <= error.data[pixel(*place)] < 0.1
    assert not alpha.valid.all()
    if nterms == 3:
        assert abs(run.image("beta").data[pixel(0, 0)]) < 0.3
        assert run.image("beta").header["BTYPE"] == "Spectral Curvature"
    assert abs(run.image("residual.tt0").data).max() < 5e-3
    for t in range(nterms):
        part = run.image(f"model.tt{t}")
        assert part.grid.freq == pytest.approx([REFERENCE])
        assert part.header["TERM"] == t
        assert "NTERMS" not in part.header
        expected = [flux * {0: 1, 1: index, 2: index * (index - 1) / 2}[t] for flux, index in SOURCES.values()]
        if t < 2:
            assert part.data.sum() == pytest.approx(sum(expected), abs=0.06)
    assert run.image("psf.tt0").data[0, 0, 32, 32] == 1
    assert run.image("psf.tt0").beams == run.image("image.tt0").beams
    sumwt = [run.image(f"sumwt.tt{t}").data.item() for t in range(2 * nterms - 1)]
    peaks = [run.image(f"psf.tt{t}").data[0, 0, 32, 32] for t in range(2 * nterms - 1)]
    np.testing.assert_allclose(peaks, np.array(sumwt) / sumwt[0], rtol=1e-3, atol=1e-5)


def test_several_polarisations_as_casa_images_with_automatic_masks(wide_ms, tmp_path):
    run = Run(
        wide_ms, tmp_path, image_format="casa", image={"stokes": "IQ"}, clean={"niter": 400, "nmajor": 2},
        mask={"usemask": "auto-multithresh"}, primary_beam={"pbmodel": "none"},
    ).prepare().clean()  # fmt: skip
    cycle = load_image(run.names.residual(1))
    assert cycle.data.shape == (2, 2, 64, 64)
    assert cycle.header["NTERMS"] == 2
    assert term(cycle, 1).header["TERM"][0] == 1
    assert load_image(run.names.mask(1)).data.shape == (1, 2, 64, 64)
    assert load_image(run.names.psf()).data.shape == (3, 1, 64, 64)
    flux, slope = run.image("image.tt0").data, run.image("image.tt1").data
    np.testing.assert_allclose(flux[0, 1], 0.2 * flux[0, 0], atol=5e-3)
    assert slope[pixel(0, 0)] / flux[pixel(0, 0)] == pytest.approx(-0.8, abs=0.05)
    assert 0 < run.image("mask").data.sum() < 4000


def test_the_beams_spectrum_is_taken_out(make_ms, tmp_path):
    """Flat sources in the flank of the beam: steep in the image, flat in what pbcor_terms makes of it."""
    model = choose_model("gaussian", "EVLA", [25.0], 60.0, 0.0)

    def edit(columns):
        flat = [Component(s.name, s.ra, s.dec, s.stokes) for s in sky()]
        columns["vis"] = predict_components(
            columns["uvw"], FREQ, flat, CENTRE, columns["corr_type"], lambda radius, nu: power(model, radius, nu)
        )

    ms = make_ms(tmp_path / "beam.ms", edit, nant=27, freq=FREQ)
    beam = {"pbmodel": "gaussian", "dishdiameter": "60m", "blockage": "0m", "pblimit": 0.55}
    run = Run(ms, tmp_path / "results", primary_beam=beam, clean={"nterms": 3, "threshold": "0.05mJy"})
    run.prepare().clean()
    response = run.image("pb.tt0").data
    radius = 17.3 * CELL * ARCSEC
    assert response[pixel(-14, 10)] == pytest.approx(power(model, np.array([radius]), REFERENCE)[0], abs=0.01)
    for place, (flux, _) in SOURCES.items():
        at = pixel(*place)
        seen, true = run.image("alpha").data[at], run.image("alpha.pbcor").data[at]
        if place != (0, 0):
            assert seen < -0.2
        assert true == pytest.approx(0, abs=0.05)
        assert run.image("image.tt0.pbcor").data[at] == pytest.approx(flux, rel=0.02)
        assert run.image("beta.pbcor").data[at] == pytest.approx(0, abs=0.4)
    valid = run.image("image.tt0.pbcor").valid
    np.testing.assert_array_equal(valid, (response > 0.55) & run.image("image.tt0").usable(response.shape))


def test_one_term_is_the_image_of_any_deconvolver(wide_ms, tmp_path):
    """nterms 1 grids what hogbom grids, to the byte, and ends in the same kinds of products."""
    run = Run(wide_ms, tmp_path / "one", clean={"nterms": 1, "reffreq": "1.3GHz"}).prepare()
    plain = Run(wide_ms, tmp_path / "plain", clean={"deconvolver": "hogbom", "nterms": 3}).prepare()
    for product in ("psf", "pb", "sumwt"):
        one, other = (Path(r.names.path(product)).read_bytes() for r in (run, plain))
        assert one == other
    for stage in ("psf", "pb", "major_cycle"):
        assert run.config.settings(stage) == plain.config.settings(stage)
    assert Run(wide_ms, tmp_path).config.settings("psf") != plain.config.settings("psf")


def test_one_channel_does_not_give_a_spectrum(wide_ms, tmp_path):
    with pytest.raises(ImagingError, match="so many Taylor terms") as raised:
        Run(wide_ms, tmp_path, data={"spw": "0:2"}).prepare()
    assert "clean.nterms" in str(raised.value)


def test_the_reference_frequency_lies_in_the_band(wide_ms, tmp_path):
    with pytest.raises(ImagingError, match="outside the band") as raised:
        Run(wide_ms, tmp_path, clean={"reffreq": "5GHz"}).prepare()
    assert "MHz" in raised.value.expected


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"image": {"specmode": "cube"}}, "one image of the whole band"),
        ({"gridding": {"major_cycle": "hybrid"}}, "residuals from the visibilities"),
        ({"clean": {"nterms": 4}}, "nterms"),
        ({"clean": {"reffreq": "1.4m"}}, "reffreq"),
        ({"clean": {"reffreq": "-1GHz"}}, "reffreq"),
        ({"clean": {"scales": [0, 40]}}, "too large"),
        ({"clean": {"schedule": [{"cycle": 1, "deconvolver": "hogbom"}]}}, "take turns"),
        ({"clean": {"deconvolver": "hogbom", "schedule": [{"cycle": 1, "deconvolver": "mtmfs"}]}}, "take turns"),
    ],
)
def test_settings_that_do_not_go_together(sections, message):
    with pytest.raises(ImagingError, match=message):
        Run("x.ms", Path(), **sections)


def test_reference_frequency_moves_the_terms(wide_ms, tmp_path):
    run = Run(wide_ms, tmp_path, clean={"reffreq": "1.2GHz", "nterms": 3}).prepare().clean()
    flux, index = SOURCES[0, 0]
    assert run.image("image.tt0").grid.freq == (1.2e9,)
    assert run.image("image.tt0").data[pixel(0, 0)] == pytest.approx(flux * (1.2e9 / REFERENCE) ** index, rel=0.02)
    assert run.image("alpha").data[pixel(0, 0)] == pytest.approx(index, abs=0.15)  # of a series that is cut off
