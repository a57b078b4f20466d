"""The workflow end to end, as people start it."""

import json
import re
import shutil

import numpy as np
import pytest
import yaml

from imaging.config import Config
from imaging.io.images import load_image
from imaging.names import Names
from imaging.units import format_angle, format_flux

DRY = ("ingest", "weights", "psf", "pb", "major_cycle", "automask", "decide", "restore", "pbcor", "report")
FINAL = ("psf", "pb", "sumwt", "residual", "model", "mask", "image", "image.pbcor")


def test_products_are_there_and_consistent(finished):
    names = Names("small", results=str(finished.folder / "results"))
    image = {product: load_image(names.path(product)) for product in FINAL}
    assert image["image"].data.shape == (1, 1, 128, 128)
    assert image["psf"].data.max() == 1
    valid = image["image"].valid
    pbcor = image["image"].data[valid] / image["pb"].data[valid]
    np.testing.assert_allclose(image["image.pbcor"].data[valid], pbcor, rtol=1e-6)
    assert image["image"].beams == image["psf"].beams
    assert image["model"].unit == "Jy/pixel"
    assert image["mask"].beams == ()
    kinds = {"psf": "Beam", "pb": "Beam", "sumwt": "Weight", "mask": "Mask"}
    assert {product: image[product].header["BTYPE"] for product in FINAL} == dict.fromkeys(FINAL, "Intensity") | kinds
    report = json.loads((finished.results / "small.report.json").read_text())
    assert report["stopcode"] == 9
    assert report["direct_sum_error"] < 2 * report["epsilon"]
    assert image["model"].data.sum() == pytest.approx(report["cycles"][-1]["model_flux"], rel=1e-4)


def test_progress_is_told(finished):
    lines = finished.output.splitlines()
    order = ("cycle 0: peak", "cycle 1: peak", "cycle 2: peak", "restore", "pbcor", "done in")
    assert set(lines[:-6]) == {"ingest", "weights", "psf", "pb"}
    for line, words in zip(lines[-6:], order, strict=True):
        assert line.startswith(words)
    assert "in the mask, 0 iterations; cleaning to" in lines[-6]
    assert lines[-4].endswith("major-cycle limit reached")
    image, report = (finished.results / f"small.{p}" for p in ("image.fits", "report.json"))
    peak, beam = load_image(image).data.max(), load_image(image).beams[0]
    rms = json.loads(report.read_text())["image_rms"]
    assert f"peak {format_flux(peak)}/beam, rms {format_flux(rms)}/beam" in lines[-1]
    assert f"beam {format_angle(beam.major)} x {format_angle(beam.minor)}, PA" in lines[-1]


def test_a_dry_run_tells_the_jobs_and_leaves_no_trace(finished, project):
    new = project()
    told = new.imaging("run", "my.yaml", "--dry-run").stdout
    assert re.search(r"^ingest +1$", told, flags=re.MULTILINE)
    assert len(told.splitlines()) == len(DRY) + 1
    assert not (new.folder / "results").exists()
    before = {path: path.stat().st_mtime_ns for path in finished.results.rglob("*") if path.is_file()}
    told = finished.imaging("run", "my.yaml", "--dry-run", "--set", "restore.restoringbeam=400arcsec").stdout
    assert [line.split() for line in told.splitlines()] == [["restore", "1"], ["pbcor", "1"], ["report", "1"]]
    assert "nothing to do" in finished.imaging("run", "my.yaml", "--dry-run").stdout
    assert "Nothing to be done" in "".join(finished.imaging("run", "my.yaml", "--", "-n").stdout)
    assert {path: path.stat().st_mtime_ns for path in finished.results.rglob("*") if path.is_file()} == before


def test_nothing_is_left_to_do(finished):
    before = finished.products()
    finished.run()
    assert finished.jobs() == {}
    assert finished.products() == before


def test_header_tells_the_provenance(finished):
    header = load_image(finished.results / "small.image.fits").header
    assert header["TELESCOP"] == "VLA"
    assert header["STOPCODE"] == 9
    assert header["STOPDESC"] == "major-cycle limit reached"
    assert len(header["CONFHASH"]) == len(header["DATAHASH"]) == 16
    history, _, configuration = "\n".join(header["HISTORY"]).partition("configuration:\n")
    for words in ("tiny.ms: column DATA, 168 rows", "numpy", "fringeflow"):
        assert words in history


def test_header_holds_the_configuration(finished):
    """Word for word, so that it can be run again: the same values, and the user's units."""
    history = "\n".join(load_image(finished.results / "small.image.fits").header["HISTORY"])
    written = history.partition("configuration:\n")[2]
    assert f"cell: {finished.values['image']['cell']}" in written
    assert Config.parse(yaml.safe_load(written)).values() == Config.parse(finished.values).values()


def test_products_of_an_earlier_configuration_are_set_aside(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "copy")
    copy = type(finished)(tmp_path / "copy", finished.values)
    image = (copy.results / "small.image.fits").read_bytes()
    copy.run("restore.pbcor=false", "image_format=casa")
    assert (copy.results / "small.image").is_dir()
    assert not [product for product in FINAL if (copy.results / f"small.{product}.fits").exists()]
    assert (copy.results / "earlier" / "small.image.fits").read_bytes() == image
    assert (copy.results / "earlier" / "small.image.pbcor.fits").exists()
    copy.run("restore.pbcor=false")
    assert (copy.results / "small.image.fits").exists()
    assert not (copy.results / "small.image").exists()


def test_dirty_image_only(project):
    dirty = project(clean={"niter": 0}, mask={"usemask": "user"}, restore={"pbcor": False})
    dirty.run()
    jobs = dirty.jobs()
    assert "minor_cycle" not in jobs
    assert jobs["major_cycle"] == 1
    residual, cycle = (load_image(dirty.results / f"small.{p}.fits") for p in ("residual", "cycle000.residual"))
    np.testing.assert_array_equal(residual.data[residual.valid], cycle.data[residual.valid])


def test_plain_snakemake_makes_the_same_bytes_on_one_core(finished, project):
    other = project()
    plan = other.snakemake("--cores", "1", "--configfile", "my.yaml", "-n")
    assert "rule ingest" in plan.stdout
    assert not list(other.results.glob("*.fits"))
    other.snakemake("--cores", "1", "--configfile", "my.yaml")
    assert other.products() == finished.products()


def test_a_diverged_clean_ends_with_the_products_of_its_best_cycle(finished, tmp_path):
    """The last decision is made to say so: what it points back to becomes the final products."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    copy = type(finished)(tmp_path / "copy", finished.values)
    last = sorted(copy.results.glob("small.cycle*.state.json"))[-1]
    state = json.loads(last.read_text())
    assert (state["cycle"], state["best_cycle"]) == (2, 2)
    last.write_text(json.dumps(state | {"stop": 6, "best_cycle": 1}))
    copy.run()
    assert {"restore", "pbcor", "report"} == set(copy.jobs())
    residual, before = (load_image(copy.results / f"small.{p}.fits") for p in ("residual", "cycle001.residual"))
    np.testing.assert_array_equal(residual.data[residual.valid], before.data[residual.valid])
    for product in ("model", "mask"):
        final, best = (load_image(copy.results / f"small.{p}{product}.fits") for p in ("", "cycle000."))
        np.testing.assert_array_equal(final.data, best.data)
        assert final.data.any()
    assert residual.header["STOPCODE"] == 6
    assert residual.header["NMAJOR"] == 1


def test_casa_images(finished, project):
    other = project(image_format="casa")
    other.run()
    image = load_image(other.results / "small.image")
    expected = load_image(finished.results / "small.image.fits")
    np.testing.assert_array_equal(image.data[image.valid], expected.data[expected.valid])
    assert image.beams[0].major == pytest.approx(expected.beams[0].major, rel=1e-6)


def test_cube(project):
    cube = project(image={"specmode": "cube", "nchan": 2}, restore={"restoringbeam": "common"})
    cube.run()
    image = load_image(cube.results / "small.image.fits")
    assert image.data.shape[0] == 2
    assert image.beams[0] == image.beams[1]
    assert len(set(load_image(cube.results / "small.psf.fits").beams)) == 2


def test_a_second_run_of_the_same_name_waits_its_turn(finished):
    import fcntl

    with open(finished.results / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = finished.run(check=False)
    assert refused.returncode == 1
    assert "being worked on by another run" in refused.stderr


def test_the_beam_is_where_the_dishes_point(project):
    shifted = project(image={"phasecenter": "J2000 13h30m45.0 +30d30m33"}, clean={"niter": 0}, mask={"usemask": "user"})
    shifted.run("restore.pbcor=false")
    pb = load_image(shifted.results / "small.pb.fits")
    y, x = np.unravel_index(pb.data[0, 0].argmax(), pb.grid.shape)
    assert (y, x) == (64, 64 - 37)  # the field, 13h31m08.2 +30d30m32, is 299 arcsec to the east
