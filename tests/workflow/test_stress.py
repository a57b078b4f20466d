"""Awkward real MeasurementSets: each makes an image, or is refused in plain words."""

import json

import numpy as np
import pytest

from imaging.io.images import load_image
from imaging.names import Names


@pytest.fixture
def awkward(project, unpacked):
    """awkward(name, cell, …): a small image of that set, naturally weighted, to be run."""

    def make(name: str, cell: str, imsize: int = 128, **data):
        return project(
            data={"vis": str(unpacked(name)), **data},
            image={"imsize": imsize, "cell": cell},
            weighting={"weighting": "natural"},
            clean={"niter": 50, "nmajor": 1},
            mask={"usemask": "user"},
            restore={"pbcor": False},
        )

    return make


def run(made) -> tuple[np.ndarray, np.ndarray, dict]:
    """The dirty image and the restored one (y, x), and what the visibility store says, of a finished run."""
    made.run()
    names = Names("small", results=str(made.folder / "results"))
    dirty, image = load_image(names.residual(0)).data[0, 0], load_image(names.image()).data[0, 0]
    report = json.loads((made.results / "small.report.json").read_text())
    assert np.isfinite(image).all()
    assert image.any()
    assert report["direct_sum_error"] < 2 * report["epsilon"]
    return dirty, image, json.loads((made.results / "small.vis" / "meta.json").read_text())


def samples(store: dict) -> dict[int, tuple[int, int]]:
    """Good rows and channels of each spectral window."""
    return {part["spw"]: (part["rows"], len(part["freq"])) for part in store["parts"]}


def assert_noise(dirty: np.ndarray):
    assert 3 < abs(dirty).max() / dirty.std() < 6


def assert_refused(made, *words: str):
    done = made.run(check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert [done.stderr.count(label) for label in ("got: ", "expected: ", "next step: ")] == [1, 1, 1]
    assert [word for word in words if word not in done.stderr] == [], done.stderr
    assert not list(made.results.rglob(".partial-*"))
    assert not (made.results / "small.vis").exists()


def test_alma_second_field_and_windows_of_different_shape(awkward):
    dirty, _, store = run(awkward("alma_mssel_test_small", "20mas", field="J1423-7829"))
    assert samples(store) == {1: (345, 64), 2: (345, 1)}
    assert store["parts"][0]["freq"][1] < store["parts"][0]["freq"][0]
    assert_noise(dirty)


def test_alma_first_field_is_all_flagged(awkward):
    assert_refused(awkward("alma_mssel_test_small", "20mas", field="0"), "flagged")


def test_lofar_baseline_dependent_averaging(awkward):
    dirty, _, store = run(awkward("lofar_bda_4spw", "3arcsec"))
    assert {spw: channels for spw, (_, channels) in samples(store).items()} == {0: 3, 1: 4, 2: 1, 3: 8}
    assert_noise(dirty)


def test_eht_flags_of_each_polarisation(awkward):
    dirty, image, store = run(awkward("eht_oj287_2spw", "0.004mas"))
    assert samples(store) == {0: (4607, 1), 1: (4985, 1)}
    assert np.unravel_index(dirty.argmax(), dirty.shape) == (64, 64)
    assert dirty.max() > 10 * dirty.std()
    assert 1 < image.max() < 10


@pytest.mark.full
def test_evla_uncalibrated(awkward):
    dirty, _, store = run(awkward("evla_36GHz_2spw", "300mas"))
    assert samples(store) == {0: (1360, 64), 1: (1360, 64)}
    assert_noise(dirty)


def test_wsrt_without_polarizations(awkward):
    assert_refused(awkward("wsrt_3c343_nan", "10arcsec"), "POLARIZATION", "0 rows")


def test_meerkat_all_flagged(awkward):
    assert_refused(awkward("meerkat_allflagged", "2.5arcmin"), "flagged", "700")


def test_lofar_calibrated_column_is_the_default(awkward):
    dirty, _, store = run(awkward("lofar_msss_3c48", "1arcsec", imsize=64))
    assert store["sources"][0]["column"] == "CORRECTED_DATA"
    assert np.unravel_index(dirty.argmax(), dirty.shape) == (32, 32)
    assert dirty.max() == pytest.approx(73.5, rel=5e-3)
