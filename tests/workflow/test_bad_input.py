"""What people get wrong: one message of four parts, a failing status, no traceback, nothing half-written."""

import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

LABELS = ("  got:", "  expected:", "  next step:")


def assert_one_message(text: str, *words: str):
    """`text` holds exactly one message: a sentence, then what was got, what was expected, what to do."""
    assert "Traceback" not in text
    lines = text.splitlines()
    places = [[i for i, line in enumerate(lines) if line.startswith(label)] for label in LABELS]
    assert [len(place) for place in places] == [1, 1, 1], text
    assert places == sorted(places), text
    first = places[0][0] - 1
    assert lines[first][:1].isalnum() or lines[first][:1] in "/.", text
    assert all(lines[place[0]].partition(":")[2].strip() for place in places), text
    assert [word for word in words if word not in text] == [], text


def made(project) -> set[str]:
    """Names of the products in the results folder; fails where one is half-written."""
    assert not list(project.results.rglob(".partial-*"))
    names = {path.name.removeprefix("small.") for path in project.results.glob("small.*")}
    return names - {"config.yaml"}


def assert_refused(project, done: subprocess.CompletedProcess, *words: str):
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert_one_message(done.stderr, *words)
    made(project)


@pytest.mark.parametrize(
    ("setting", "words"),
    {
        "clean.nitr=5": ["clean.nitr", "niter?"],
        "clean.cell=5arcsec": ["clean.cell", "image.cell"],
        "clean.niter=many": ["clean.niter", "'many'", "a whole number, 0 or more"],
        "clean.niter=-1": ["clean.niter", "-1", "0"],
        "clean.niter=1.5": ["clean.niter", "1.5"],
        "clean=3": ["clean", "3"],
        "image.cell=60furlong": ["image.cell", "60furlong", "arcsec"],
        "image.cell=-8arcsec": ["image.cell", "above zero"],
        "clean.threshold=3arcsec": ["clean.threshold", "3arcsec", "mJy"],
        "image.imsize=0": ["image.imsize", "got:       0", "16"],
        "image.imsize=127": ["image.imsize", "127", "try 128"],
        "image.imsize=1021": ["image.imsize", "1021", "try 1024"],
        "image.phasecenter=over there": ["image.phasecenter", "J2000 13h31m08.3"],
        "image.stokes=IX": ["image.stokes", "IX"],
        "primary_beam.pblimit=1.0": ["primary_beam.pblimit", "less than 1"],
        "mask.noisethreshold=.nan": ["mask.noisethreshold", "nan", "finite"],
        "clean.deconvolver=multiscale": ["multiscale", "clean.scales"],
        "clean={deconvolver: multiscale, scales: [0, 900]}": ["900", "at most 64"],
        "primary_beam.pbmodel=image": ["primary_beam.pbimage"],
        "primary_beam={pbmodel: image, pbimage: absent.fits}": ["absent.fits", "primary_beam.pbimage"],
        "mask={usemask: user, mask: absent.fits}": ["absent.fits", "mask.mask"],
        "data.vis=[]": ["data.vis"],
        "data.vis=absent.ms": ["absent.ms", "does not exist", "data.vis"],
        "data.vis=my.yaml": ["my.yaml", "not a MeasurementSet"],
        "data.vis=.": ["not a MeasurementSet"],
        "data.vis=[MS, MS/]": ["twice"],
        "data.vis=MS/ANTENNA": ["ANTENNA", "not a complete MeasurementSet"],
        "name=../escape": ["name", "../escape", "letters, digits"],
        "mask={usemask: user, mask: [3, 4, 5]}": ["mask.mask", "[x0, y0, x1, y1]"],
        "image.imsize=524288": ["too large", "[524288, 524288], which needs 10240.0 GiB", "that the machine has"],
        "niter": ["section.key=value"],
    }.items(),
)
def test_wrong_configuration(setting, words, project, tiny_ms):
    wrong = project()
    assert_refused(wrong, wrong.run(setting.replace("MS", str(tiny_ms)), check=False), *words)
    assert not (wrong.folder / "results").exists()
    assert not (wrong.folder / ".snakemake").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["no configuration file"]),
        ("name: x\n\tdata: 3\n", ["YAML", "\\t"]),
        ("- 1\n- 2\n", ["sections", "list"]),
        (b"SIMPLE  =  T \xff\xfe", ["YAML"]),
    ],
)
def test_wrong_configuration_file(text, words, project):
    wrong = project()
    (wrong.folder / "my.yaml").unlink()
    if text:
        (wrong.folder / "my.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert_refused(wrong, wrong.run(check=False), *words)


def test_a_section_without_lines_has_its_defaults(project):
    wrong = project(weighting=None)
    for change in ([], ["--set", "weighting.robust=0"]):
        assert wrong.imaging("check", "my.yaml", *change).stdout == "my.yaml is in order.\n"


@pytest.mark.parametrize(
    ("setting", "words"),
    {
        "data.vis=absent.ms": ["absent.ms", "does not exist"],
        "data.datacolumn=corrected": ["CORRECTED_DATA", "datacolumn: data"],
        "data.spw=2": ["data.spw", "4 channels, 1400~1412MHz"],
        "data.field=nowhere": ["data.field", "nowhere"],
        "data.scan=99": ["no rows", "scan 0"],
        "image.stokes=XX": ["XX", "RR", "image.stokes"],
        "image.phasecenter=J2000 01h31m00 -30d30m00": ["image.phasecenter", "90 degrees"],
        "image.cell=10arcmin": ["too coarse", "10arcmin", "at most"],
        "image={imsize: 128, cell: 8arcsec, specmode: cube, start: 2GHz}": ["outside the data", "1398 and 1414 MHz"],
        "image.imsize=524288": ["too large"],
        "mask={usemask: user, mask: absent.fits}": ["absent.fits", "mask.mask"],
    }.items(),
)
def test_check_says_what_the_jobs_would_say(setting, words, project):
    wrong = project()
    assert_refused(wrong, wrong.imaging("check", "my.yaml", "--set", setting, check=False), *words)
    assert not (wrong.folder / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "my.yaml", "--cores", "0"], ["--cores", "1 or more"]),
        (["run", "my.yaml", "--cores", "-3"], ["--cores", "-3"]),
        (["run", "MS"], ["is a MeasurementSet", "imaging init"]),
        (["init", "my.yaml"], ["is a configuration", "imaging run my.yaml"]),
    ],
)
def test_wrong_arguments(arguments, words, project, tiny_ms):
    wrong = project()
    done = wrong.imaging(*(a.replace("MS", str(tiny_ms)) for a in arguments), check=False)
    assert_refused(wrong, done, *words)
    assert not (wrong.folder / "results").exists()


def test_a_region_outside_the_image_is_told_at_the_end(project):
    made = project(clean={"niter": 0}, restore={"pbcor": False})
    (made.folder / "a.reg").write_text('fk5\ncircle(203.785,30.5,7.2")\ncircle(202.784,30.509,60")\n')
    done = made.run("mask={usemask: user, mask: a.reg}")
    assert "warning: a.reg: the circle at 203.785000 30.500000 deg holds no pixel of the image" in done.stdout


@pytest.mark.parametrize(
    ("config", "words"),
    [("clean={nitr: 5}", ["clean.nitr", "niter?"]), ("data={vis: absent.ms}", ["absent.ms", "does not exist"])],
)
def test_plain_snakemake_shows_the_message(config, words, project):
    wrong = project()
    done = wrong.snakemake("--cores", "1", "--configfile", "my.yaml", "--config", config, check=False)
    assert_refused(wrong, done, *words)
    assert not (wrong.folder / "results").exists()


@pytest.fixture
def imaged(finished, tmp_path):
    """A copy of the finished image, to be made again with another mask."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    return type(finished)(tmp_path / "copy", finished.values)


def _set_flags(columns):
    columns["flag"][:] = True


def _set_zero(columns):
    columns["vis"][:] = 0


def _set_nan(columns):
    columns["vis"][:] = np.nan


@pytest.mark.parametrize(
    ("edit", "words"),
    [(_set_flags, ["flagged", "672"]), (_set_zero, ["all zero", "data.datacolumn"]), (_set_nan, ["NaN", "672"])],
)
def test_nothing_to_image(edit, words, project, make_ms, tmp_path):
    wrong = project(data={"vis": str(make_ms(tmp_path / "wrong.ms", edit))})
    assert_refused(wrong, wrong.run(check=False), *words)
    assert made(wrong) <= {"loop.json"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["data.datacolumn=corrected"], ["CORRECTED_DATA", "datacolumn: data"]),
        (["data.scan=99"], ["no rows", "scan 0"]),
        (["image.stokes=XX"], ["XX", "RR", "image.stokes"]),
        (["data.uvrange=>1000km"], ["no rows", "uvrange 0"]),
        (["image.phasecenter=J2000 01h31m00 -30d30m00"], ["image.phasecenter", "90 degrees"]),
        (["image.cell=10arcmin"], ["too coarse", "10arcmin", "at most"]),
    ],
)
def test_data_and_configuration_do_not_fit(settings, words, imaged):
    """A slip is found before anything of a finished image is given up."""
    before = imaged.products()
    assert_refused(imaged, imaged.run(*settings, check=False), *words)
    assert imaged.products() == before


def test_plain_snakemake_shows_the_message_of_a_job(project):
    wrong = project(data={"field": "nowhere"})
    done = wrong.snakemake("--cores", "1", "--configfile", "my.yaml", check=False)
    assert_refused(wrong, done, "data.field", "nowhere")
    assert made(wrong) <= {"loop.json"}


def _smaller(folder: Path, image) -> str:
    mask = replace(image.grid, shape=(64, 64))
    return _save(folder, replace(image, data=np.ones((1, 1, 64, 64), np.float32), grid=mask, valid=None))


def _empty(folder: Path, image) -> str:
    return _save(folder, image.with_data(np.zeros_like(image.data)))


def _save(folder: Path, image) -> str:
    from imaging.io.images import save_image

    save_image(image, folder / "mask.fits")
    return "mask.fits"


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (_smaller, ["mask.fits", "another shape", "64 x 64", "128 x 128"]),
        (_empty, ["no pixel", "mask.fits"]),
        (lambda *_: "[[0, 0, 500, 500]]", ["[0, 0, 500, 500]", "127"]),
        (lambda *_: "my.yaml", ["my.yaml"]),
    ],
    ids=["another shape", "empty", "box outside", "no mask"],
)
def test_masks_that_do_not_fit(mask, words, imaged):
    from imaging.io.images import load_image

    entry = mask(imaged.folder, load_image(imaged.results / "small.mask.fits"))
    before = imaged.products()
    assert_refused(imaged, imaged.run("mask.usemask=user", f"mask.mask={entry}", check=False), *words)
    assert {"automask"} <= set(imaged.jobs()) <= {"automask", "loop"}
    after = imaged.products()
    assert "small.cycle000.mask.fits" not in after
    assert {name for name in after if after[name] != before[name]} <= {"small.loop.json"}


def test_a_beam_that_is_too_small_is_warned_of(imaged):
    assert "warning: restore.restoringbeam" in imaged.run("restore.restoringbeam=1arcsec").stdout


@contextmanager
def mounted(folder: Path, options: str):
    """A file system of its own in `folder`; skips where that is not permitted."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no permission to mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_results_are_a_file(project):
    wrong = project()
    (wrong.folder / "results").write_text("mine")
    assert_refused(wrong, wrong.run(check=False), "results/small", "permissions")
    assert (wrong.folder / "results").read_text() == "mine"


def test_read_only_disk(project):
    wrong = project()
    with mounted(wrong.folder / "results", "ro,size=1m"):
        assert_refused(wrong, wrong.run(check=False), "results/small", "Read-only file system")


@pytest.mark.parametrize("size", [0, 64, 100], ids="{}k".format)
def test_full_disk(size, project):
    """Full at the start, where Snakemake itself cannot write, and in several jobs."""
    wrong = project(clean={"niter": 0}, mask={"usemask": "user"})
    results = wrong.folder / "results"
    with mounted(results, f"size={size or 8}k"):
        if not size:
            (results / "other").write_bytes(bytes(8192))
        assert_refused(wrong, wrong.run(check=False), "cannot be written", "No space left on device", "room")
        assert not [name for name in made(wrong) if name.endswith(".fits")] or size == 100
        if size == 64:
            subprocess.run(["mount", "-o", "remount,size=20m", str(results)], check=True)
            wrong.run()
            assert "image.fits" in made(wrong)


def test_limit_of_the_size_of_files(project):
    wrong = project(clean={"niter": 0}, mask={"usemask": "user"})
    limited = (
        "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "runpy.run_module('imaging', run_name='__main__')"
    )
    command = [sys.executable, "-c", limited, "run", "my.yaml", "--cores", "1"]
    done = wrong._call(command, check=False, environment={})
    assert_refused(wrong, done, "cannot be written", "File too large", "ulimit")
    assert {name for name in made(wrong) if name.endswith(".fits")} == set()
