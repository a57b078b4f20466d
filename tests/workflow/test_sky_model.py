"""A list of components out of one run and into another: the second begins where the first one ended."""

from dataclasses import replace

import numpy as np
import pytest

from imaging.algorithms.components import draw
from imaging.io.component_list import load_components, save_components
from imaging.io.images import load_image

CLEAN = {"clean": {"niter": 100, "nmajor": 1, "gain": 0.2}, "mask": {"usemask": "user"}, "restore": {"pbcor": False}}


@pytest.fixture(scope="module")
def first(tmp_path_factory, finished):
    made = type(finished)(tmp_path_factory.mktemp("first"), finished.values | CLEAN)
    made.run("restore.components=true")
    return made


def image(project, product):
    return load_image(project.results / f"small.{product}.fits")


def test_the_list_is_the_model(first):
    listed, model = load_components(first.results / "small.components.txt"), image(first, "model")
    assert len(listed) == np.count_nonzero(model.data)
    assert sum(c.stokes[0] for c in listed) == pytest.approx(model.data.sum(), rel=1e-5)
    assert {c.spectral_index for c in listed} == {()}


def test_it_goes_in_again_and_is_kept_in_the_model(first, project):
    """Once as a list and once as an image: the first residual is the last one of the run before."""
    files = [str(first.results / "small.components.txt"), str(first.results / "small.model.fits")]
    changes = {"clean": CLEAN["clean"] | {"niter": 0}}
    again = project(**CLEAN | changes)
    for path in files:
        again.run(f"clean.startmodel={path}", *(["restore.components=true"] if path.endswith("fits") else []))
        peak = np.abs(image(first, "residual").data).max()
        np.testing.assert_allclose(image(again, "residual").data, image(first, "residual").data, atol=1e-5 * peak)
        np.testing.assert_allclose(image(again, "model").data, image(first, "model").data, rtol=1e-6)
    assert set(again.jobs()) >= {"startmodel", "major_cycle", "components"}
    assert "ingest" not in again.jobs()
    again.run("clean.niter=50", f"clean.startmodel={files[-1]}")
    assert set(again.jobs()) >= {"minor_cycle"}
    assert "startmodel" not in again.jobs()
    assert image(again, "model").data.sum() != image(first, "model").data.sum()
    assert np.abs(image(again, "residual").data).max() < 0.8 * peak
    again.run("clean.niter=0")  # without it: what came of it is set aside
    assert not (again.results / "small.startmodel.fits").exists()
    assert not (again.results / "small.components.txt").exists()


def test_residuals_by_the_psf_count_from_the_start(first, project):
    start = f"clean.startmodel={first.results / 'small.components.txt'}"
    exact = project(**CLEAN)
    exact.run(start)
    by_psf = project(**CLEAN | {"name": "psf", "gridding": {"major_cycle": "psf"}})
    by_psf.run(start)
    wanted = image(exact, "residual").data
    found = load_image(by_psf.results / "psf.residual.fits")
    assert "PSFERROR" in found.header
    np.testing.assert_allclose(found.data, wanted, atol=1e-4 * np.abs(wanted).max())


def test_the_sky_itself_leaves_nothing(project, tiny_sky, tmp_path):
    save_components([c for c in tiny_sky if c.major == 0], tmp_path / "sky.txt")
    save_components([c for c in tiny_sky if c.major > 0], tmp_path / "more.skymodel")
    changes = {
        "clean": {"niter": 0, "startmodel": ["sky.txt", "more.skymodel"]},
        "image": {"imsize": 128, "cell": "6arcsec"},
    }
    made = project(**CLEAN | changes)
    made.run()
    assert np.abs(image(made, "residual").data).max() < 2e-3
    assert image(made, "model").data.sum() == pytest.approx(2.3, rel=1e-5)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("absent.txt", ["no file absent.txt", "clean.startmodel"]),
        ("bad.txt", ["bad.txt, line 2", "SHAPELET"]),
        ("other.fits", ["on another grid", "cell 8arcsec x 8arcsec", "7arcsec"]),
        ("restored.fits", ["no model", "jy/beam"]),
    ],
)
def test_what_does_not_fit(first, project, tmp_path, start, words):
    (tmp_path / "bad.txt").write_text("Format = Name, Type, Ra, Dec, I\na, SHAPELET, 1:2:3, +1.2.3, 1\n")
    (tmp_path / "other.fits").symlink_to(first.results / "small.model.fits")
    (tmp_path / "restored.fits").symlink_to(first.results / "small.image.fits")
    cell = "7arcsec" if start == "other.fits" else "8arcsec"
    made = project(**CLEAN | {"image": {"imsize": 128, "cell": cell}})
    done = made.run(f"clean.startmodel={start}", check=False)
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in told
    for word in words:
        assert word in told


def test_scales_of_a_deconvolver_become_gaussians(project):
    """The list, drawn, is the model in every channel: Gaussians with the spectra that were fitted."""
    clean = {"deconvolver": "wideband", "join": "channels", "fit_spectrum": "logpolynomial", "fit_terms": 2,
             "scales": [8], "niter": 100, "nmajor": 2, "nsigma": 0}  # fmt: skip
    cube = {"image": {"imsize": 128, "cell": "8arcsec", "specmode": "cube"}, "mask": {"usemask": "user"}}
    made = project(**cube | {"clean": clean, "restore": {"components": True}})
    made.run()
    listed, model = load_components(made.results / "small.components.txt"), image(made, "model")
    drawn, outside = draw(listed, model.grid)
    assert outside == 0
    assert all(c.major > 0 for c in listed)
    np.testing.assert_allclose(drawn, model.data, atol=2e-4 * np.abs(model.data).max())
    np.testing.assert_allclose(drawn.sum(axis=(1, 2, 3)), model.data.sum(axis=(1, 2, 3)), rtol=1e-3)


def test_taylor_terms_in_and_out(project, tiny_sky, tmp_path):
    """A list becomes the terms that mtmfs would find, the terms a list again, and they start another run."""
    steep = [replace(c, spectral_index=-1.5, reffreq=1.4e9) for c in tiny_sky if c.major == 0]
    save_components(steep, tmp_path / "sky.txt")
    clean = {
        "deconvolver": "mtmfs",
        "nterms": 2,
        "scales": [0],
        "niter": 0,
        "startmodel": "sky.txt",
        "reffreq": "1.406GHz",
    }
    changes = {"clean": clean, "mask": {"usemask": "user"}, "restore": {"pbcor": False, "components": True}}
    made = project(**changes | {"image": {"imsize": 128, "cell": "6arcsec"}})
    made.run()
    terms = [image(made, f"model.tt{t}").data for t in range(2)]
    assert terms[1].sum() / terms[0].sum() == pytest.approx(-1.5, abs=2e-3)
    np.testing.assert_allclose(terms[0].sum(), sum(c.flux(1.406e9) for c in steep), rtol=1e-3)
    listed = load_components(made.results / "small.components.txt")
    assert {(c.reffreq, c.logarithmic) for c in listed} == {(1.406e9, False)}
    left = image(made, "residual.tt0").data
    files = ",".join(str(made.results / f"small.model.tt{t}.fits") for t in range(2))
    again = project(**changes | {"name": "again", "image": {"imsize": 128, "cell": "6arcsec"}})
    again.run(f"clean.startmodel=[{files}]")
    np.testing.assert_allclose(load_image(again.results / "again.residual.tt0.fits").data, left, atol=1e-6)
