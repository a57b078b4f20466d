"""Taylor terms in the workflow: a file for each, and only what depends on a changed setting is made again."""

import numpy as np
import pytest

from imaging.io.images import load_image

PRODUCTS = [
    *(f"psf.tt{t}" for t in range(3)), *(f"sumwt.tt{t}" for t in range(3)), *(f"pb.tt{t}" for t in range(2)),
    *(f"{product}.tt{t}" for product in ("residual", "model", "image") for t in range(2)),
    "alpha", "alpha.error", "mask", "image.tt0.pbcor", "image.tt1.pbcor", "alpha.pbcor",
]  # fmt: skip


@pytest.fixture(scope="module")
def wide_ms(make_ms, tmp_path_factory):
    path = tmp_path_factory.mktemp("wide") / "wide.ms"
    return make_ms(path, nant=14, freq=np.linspace(1.2e9, 1.6e9, 4), rms=1e-3)


def test_terms_from_measurement_set_to_spectral_index(project, wide_ms):
    made = project(
        data={"vis": str(wide_ms)}, clean={"deconvolver": "mtmfs", "scales": [0, 4], "nsigma": 5, "nmajor": 3}
    )
    made.run()
    missing = [p for p in PRODUCTS if not (made.results / f"small.{p}.fits").exists()]
    assert not missing
    assert not (made.results / "small.image.fits").exists()
    assert not (made.results / "small.beta.fits").exists()
    alpha, image = (load_image(made.results / f"small.{p}.fits") for p in ("alpha", "image.tt0"))
    assert image.data[0, 0, 64, 64] == pytest.approx(1, abs=0.1)
    assert alpha.data[0, 0, 64, 64] == pytest.approx(0, abs=0.1)
    assert '"image_peak"' in (made.results / "small.report.json").read_text()
    made.run("restore.restoringbeam=[150arcsec]")
    assert set(made.jobs()) == {"restore_terms", "pbcor_terms", "report"}
    made.run("restore.restoringbeam=[150arcsec]", "clean.nterms=3", "clean.nmajor=1")
    assert (made.results / "small.beta.pbcor.fits").exists()
    assert {"psf", "pb", "major_cycle", "minor_cycle"} <= set(made.jobs())
    assert "ingest" not in made.jobs()
    made.run("restore.restoringbeam=[150arcsec]", "clean.deconvolver=hogbom", "clean.nmajor=1")
    assert not (made.results / "small.alpha.fits").exists()  # of another clean: set aside
    assert (made.results / "small.image.fits").exists()
