"""Normalizer: N parts are one part; what tclean does with weight images; nothing is divided twice."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from imaging.algorithms import normalising
from imaging.config import Config
from imaging.errors import ImagingError, LifecycleError
from imaging.image import Grid, Image
from imaging.io.images import load_image, save_image
from imaging.normalizer import Normalizer
from imaging.part_imager import PartImager
from imaging.serial_imager import SerialImager

CUTS = ["ANTENNA1 < 1", "ANTENNA1 in [1, 2]", "ANTENNA1 > 2"]


def values(ms, taql="", **sections):
    base = {
        "name": "one", "data": {"vis": str(ms), "taql": taql}, "image": {"imsize": 64, "cell": "40arcsec"},
        "weighting": {"weighting": "briggs", "robust": 0.0}, "primary_beam": {"pblimit": 0.3},
    }  # fmt: skip
    return base | sections


def gathered(folder, ms, cuts, model=None, **sections) -> str:
    """Prefix of images gathered from parts that take what `cuts` say; with a model, its residual."""
    parts = [PartImager(Config.parse(values(ms, cut, **sections)), folder / f"part{i}") for i, cut in enumerate(cuts)]
    pars, names = {"imagename": str(folder / "all"), "pblimit": 0.3}, [part.partname for part in parts]
    with Normalizer(pars, names) as normalizer:
        for part in parts:
            part.setup()
            part.make_weight_density()
        normalizer.gather_weight_density()
        density = normalizer.scatter_weight_density()
        for part in parts:
            part.set_weight_density(density)
            part.make_psf()
            part.make_pb()
        normalizer.normalize_psf()
        normalizer.normalize_pb()
        if model is not None:
            save_image(model, folder / "all.model.fits")
        normalizer.pre_major_mfs()
        for part in parts:
            part.run_major_cycle()
        normalizer.post_major_mfs()
    return str(folder / "all")


def images(prefix, names=("psf", "residual", "sumwt", "pb")):
    return {name: load_image(f"{prefix}.{name}.fits") for name in names}


@pytest.fixture(scope="module")
def three(tmp_path_factory, tiny_ms):
    return gathered(tmp_path_factory.mktemp("three"), tiny_ms, CUTS)


def test_three_parts_are_one(tmp_path, three, tiny_ms):
    whole, parts = images(gathered(tmp_path, tiny_ms, [""])), images(three)
    for name, image in whole.items():
        assert np.abs(image.data - parts[name].data).max() <= 1e-6 * np.abs(image.data).max()
        assert image.grid == parts[name].grid
    assert 0 < parts["pb"].valid.mean() < 1
    assert parts["psf"].data[0, 0, 32, 32] == 1
    assert parts["psf"].beams[0].major == pytest.approx(whole["psf"].beams[0].major, rel=1e-5)


def test_the_parts_make_the_images_of_an_ordinary_run(tmp_path, three, tiny_ms):
    with SerialImager(values(tiny_ms), results=str(tmp_path), progress=False) as imager:
        imager.make_psf()
        imager.run_major_cycle(is_first=True)
        imager.make_pb()
    found = images(three)
    for name, ours in (("psf", "psf"), ("residual", "cycle000.residual"), ("sumwt", "sumwt"), ("pb", "pb")):
        image = load_image(f"{tmp_path}/one/one.{ours}.fits")
        assert np.abs(image.data - found[name].data).max() <= 1e-4 * np.abs(image.data).max()


def test_the_same_bytes_on_every_repetition(tmp_path, three, tiny_ms):
    again = gathered(tmp_path, tiny_ms, CUTS)
    for name in ("psf", "residual", "sumwt", "pb"):
        digests = [hashlib.sha256(Path(f"{prefix}.{name}.fits").read_bytes()).digest() for prefix in (three, again)]
        assert digests[0] == digests[1]


def test_a_model_goes_to_the_parts_and_out_of_the_residual(tmp_path, three, tiny_ms):
    dirty = images(three)["residual"]
    model = dirty.with_data(np.zeros_like(dirty.data), unit="Jy/pixel")
    model.data[0, 0, 32, 32] = 1.0  # the source in the centre
    left = images(gathered(tmp_path, tiny_ms, CUTS, model))["residual"]
    expected = dirty.data - images(three)["psf"].data
    assert np.abs(left.data - expected).max() <= 2e-6
    assert load_image(tmp_path / "part2.model.fits").data.sum() == 1


def test_without_the_density_of_all_the_weights_would_be_wrong(tmp_path, three, tiny_ms):
    parts = [PartImager(Config.parse(values(tiny_ms, cut)), tmp_path / f"part{i}") for i, cut in enumerate(CUTS)]
    for part in parts:
        part.setup()
        with pytest.raises(LifecycleError, match="density of all parts"):
            part.set_weight_density()
        part.set_weight_density(part.make_weight_density())  # each by its own
        part.make_psf()
    with Normalizer({"imagename": str(tmp_path / "all")}, [part.partname for part in parts]) as normalizer:
        normalizer.normalize_psf()
    ours, right = (load_image(f"{prefix}.sumwt.fits").data.item() for prefix in (tmp_path / "all", three))
    assert abs(ours / right - 1) > 1e-3


def test_verbs_have_an_order(tmp_path, tiny_ms):
    normalizer = Normalizer({"imagename": str(tmp_path / "x")})
    for verb in ("normalize_psf", "gather_residual", "scatter_weight_density", "scatter_model", "normalize_pb"):
        with pytest.raises(LifecycleError, match="not set up"):
            getattr(normalizer, verb)()
    with normalizer, pytest.raises(LifecycleError, match="not gathered"):
        normalizer.scatter_weight_density()
    part = PartImager(Config.parse(values(tiny_ms)), tmp_path / "p")
    for verb in ("make_weight_density", "make_psf", "run_major_cycle", "make_pb"):
        with pytest.raises(LifecycleError, match="comes first"):
            getattr(part, verb)()


@pytest.mark.parametrize(
    ("normpars", "words"),
    [
        ({"imagename": "x", "pblimt": 0.1}, ["pblimt", "did you mean pblimit?"]),
        ({}, ["imagename"]),
        ({"imagename": "x", "normtype": "flatearth"}, ["normtype", "flatearth", "flatnoise"]),
    ],
)
def test_wrong_parameters_are_refused(normpars, words):
    with pytest.raises(ImagingError) as caught:
        Normalizer(normpars)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["parts/a", "parts/b", "parts/a"], ["more than once", "parts/a, parts/a", "each part once"]),
        (["parts/a", Path("parts/../parts/a")], ["more than once", "leave out"]),
        ([], ["no list of parts", "partimagenames=[]", "pass None"]),
        ("parts/a", ["no list of parts", "partimagenames='parts/a'"]),
    ],
)
def test_parts_are_named_once_each(parts, words):
    with pytest.raises(ImagingError) as caught:
        Normalizer({"imagename": "parts/all"}, parts)
    assert [word for word in words if word not in str(caught.value)] == []
    assert Normalizer({"imagename": "parts/all"}, ["parts/a", "parts/b"]).parts == ["parts/a", "parts/b"]


GRID = Grid((1.0, 0.5), (1e-5, 1e-5), (8, 8), (1e9,), (1e8,))


@pytest.fixture(params=["", ".fits"])
def sums(request, tmp_path):
    """Prefix and ending of images of sums: psf and residual of 50 samples of weight 0.2, and a weight image."""
    rng = np.random.default_rng(0)
    residual, beam = rng.normal(size=(1, 1, 8, 8)).astype(np.float32), np.linspace(0.1, 1, 64).reshape(1, 1, 8, 8)
    for name, data in (("residual", 10 * residual), ("weight", 10 * beam**2), ("model", residual)):
        save_image(Image(data.astype(np.float32), GRID), f"{tmp_path}/x.{name}{request.param}")
    point = Grid((1.0, 0.5), (1e-5, 1e-5), (1, 1), (1e9,), (1e8,))
    save_image(Image(np.full((1, 1, 1, 1), 10, np.float32), point), f"{tmp_path}/x.sumwt{request.param}")
    y, x = np.mgrid[-4:4, -4:4] / 1.5
    save_image(
        Image(10 * np.exp(-(x**2) - y**2)[None, None].astype(np.float32), GRID), f"{tmp_path}/x.psf{request.param}"
    )
    return f"{tmp_path}/x", request.param, residual, beam


@pytest.mark.parametrize("normtype", normalising.NORMTYPES)
def test_weight_images_count_as_in_tclean(sums, normtype):
    prefix, ending, residual, beam = sums
    pars = {"imagename": prefix, "normtype": normtype, "pblimit": 0.2}
    with Normalizer(pars) as normalizer:
        for _ in range(2):  # what is divided stays as it is
            normalizer.normalize_psf()
            normalizer.divide_residual_by_weight()
    expected = {
        "flatnoise": np.where(beam > 0.2, residual / beam, 0),
        "flatsky": np.where(beam > 0.2, residual / beam**2, 0),
        "pbsquare": residual,
    }[normtype]
    np.testing.assert_allclose(load_image(f"{prefix}.residual{ending}").data, expected, rtol=1e-5, atol=1e-6)
    assert load_image(f"{prefix}.psf{ending}").data.max() == 1
    with Normalizer(pars) as normalizer:
        normalizer.divide_model_by_weight()
        divided = load_image(f"{prefix}.model{ending}").data
        normalizer.multiply_model_by_weight()
    kept = {"flatnoise": beam, "flatsky": np.ones_like(beam), "pbsquare": beam**2}[normtype]
    seen = beam > (0.2 if normtype != "flatsky" else 0)
    np.testing.assert_allclose(divided, np.where(seen, residual / kept, 0), rtol=1e-5)
    np.testing.assert_allclose(load_image(f"{prefix}.model{ending}").data, np.where(seen, residual, 0), rtol=1e-5)


def test_parts_of_taylor_terms_are_refused(tmp_path, tiny_ms):
    with pytest.raises(ImagingError, match="no Taylor terms"):
        PartImager(Config.parse(values(tiny_ms, clean={"deconvolver": "mtmfs"})), tmp_path / "x")


def test_parts_on_other_grids_are_refused(tmp_path):
    for name, size in (("a", 8), ("b", 16)):
        grid = Grid((1.0, 0.5), (1e-5, 1e-5), (size, size), (1e9,), (1e8,))
        save_image(Image(np.ones(grid.cube_shape, np.float32), grid), tmp_path / f"{name}.residual.fits")
    parts = [str(tmp_path / name) for name in "ab"]
    with Normalizer({"imagename": str(tmp_path / "x")}, parts) as normalizer, pytest.raises(ImagingError, match="grid"):
        normalizer.gather_residual()


def test_taylor_terms_are_divided_by_those_of_the_first(tmp_path):
    for term in range(3):
        save_image(Image(np.full((1, 1, 8, 8), 4.0 / (term + 1), np.float32), GRID), tmp_path / f"x.residual.tt{term}")
        y, x = np.mgrid[-4:4, -4:4] / 1.5
        psf = 8.0 / (term + 1) * np.exp(-(x**2) - y**2)[None, None].astype(np.float32)
        save_image(Image(psf, GRID), tmp_path / f"x.psf.tt{term}")
        point = Grid((1.0, 0.5), (1e-5, 1e-5), (1, 1), (1e9,), (1e8,))
        save_image(Image(np.full((1, 1, 1, 1), 8.0 / (term + 1), np.float32), point), tmp_path / f"x.sumwt.tt{term}")
    pars = {"imagename": str(tmp_path / "x"), "deconvolver": "mtmfs", "nterms": 2}
    with Normalizer(pars) as normalizer:
        normalizer.normalize_psf()
        normalizer.divide_residual_by_weight()
    assert [load_image(tmp_path / f"x.psf.tt{i}").data.max() for i in range(3)] == pytest.approx([1, 1 / 2, 1 / 3])
    assert load_image(tmp_path / "x.residual.tt1").data == pytest.approx(0.25)
