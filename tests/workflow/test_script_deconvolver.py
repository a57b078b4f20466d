"""Scripts of the user's as deconvolvers of a whole run: memory, edits, schedules, failures, crashes."""

import os
import pickle
import re
import shutil
from pathlib import Path

import pytest

SIMPLE = (Path(__file__).parents[1] / "oracles" / "wsclean_scripts" / "simple.py").read_text()
COUNTING = """
import numpy as np
from helper import STEPS

peaks = []


def deconvolve(residual, model, psf, meta):
    assert meta.mask.shape == residual.shape and meta.pb.shape == residual.shape and meta.rms.shape == (1, 1)
    deconvolve.counter = getattr(deconvolve, "counter", 0) + 1
    image = residual[0, 0]
    peaks.append(image.max())
    print("call", deconvolve.counter, "peaks", len(peaks))
    for _ in range(STEPS):
        y, x = np.unravel_index(image.argmax(), image.shape)
        flux = meta.gain * image[y, x]
        model[0, 0, y, x] += flux
        image -= flux * np.roll(psf[0], (y - image.shape[0] // 2, x - image.shape[1] // 2), (0, 1))
        meta.iteration_number += 1
    return {"residual": residual, "model": model, "level": image.max(), "continue": deconvolve.counter < 3}
"""
CLEAN = {"deconvolver": "mine.py", "niter": 1000, "nmajor": 5, "cycleniter": 10}


def cycles_run(project, rule: str) -> list[int]:
    """The cycles in which the last run did `rule`."""
    log = (project.results / "logs" / "snakemake.log").read_text()
    blocks = re.findall(rf"^(?:local)?(?:rule|checkpoint) {rule}:\n((?:    .*\n)+)", log, flags=re.MULTILINE)
    return sorted(int(re.search(r"wildcards: cycle=(\d+)", block).group(1)) for block in blocks)


def log_of(project, cycle: int) -> str:
    return (project.results / "logs" / f"minor_cycle.cycle{cycle:03d}.log").read_text()


def memory_of(project, cycle: int) -> dict[str, bytes]:
    return pickle.loads((project.results / f"small.cycle{cycle:03d}.memory.pickle").read_bytes())


@pytest.fixture(scope="module")
def counted(finished, tmp_path_factory):
    """The small image, gone on with by the counting script from the files that are there."""
    made = type(finished)(tmp_path_factory.mktemp("counted"), finished.values | {"clean": CLEAN})
    shutil.copytree(finished.results, made.results)
    shutil.copytree(finished.folder / ".snakemake", made.folder / ".snakemake")
    (made.folder / "mine.py").write_text(COUNTING)
    (made.folder / "helper.py").write_text("STEPS = 20\n")
    made.output = made.run().stdout
    return made


@pytest.fixture
def copy(counted, tmp_path):
    shutil.copytree(counted.folder, tmp_path / "copy")
    return type(counted)(tmp_path / "copy", counted.values)


def test_state_survives_from_cycle_to_cycle_and_the_script_ends_the_loop(counted):
    assert cycles_run(counted, "minor_cycle") == [0, 1, 2]
    assert not {"ingest", "weights", "psf", "pb"} & set(counted.jobs())
    for cycle in range(3):
        assert f"call {cycle + 1} peaks {cycle + 1}" in log_of(counted, cycle)
    assert "stop: the deconvolver says that it is done" in counted.output
    assert "cycle 3: " in counted.output
    assert list(memory_of(counted, 2)) == ["mine.py"]


def test_components_are_inside_the_mask(counted):
    from imaging.io.images import load_image

    for cycle in range(3):
        model, mask = (load_image(counted.results / f"small.cycle{cycle:03d}.{p}.fits").data for p in ("model", "mask"))
        assert model.any()
        assert not model[(mask == 0) & (model != 0)].any() or cycle  # masks of earlier cycles are others


def test_what_was_run_is_in_the_header(counted):
    from astropy.io import fits

    text = str(fits.getheader(counted.results / "small.image.fits")["HISTORY"])
    assert "mine.py sha256 " in text


def test_an_edited_script_runs_again_from_the_first_cycle_that_used_it(copy):
    """What it imports from its folder is part of it."""
    (copy.folder / "helper.py").write_text("STEPS = 25\n")
    copy.run()
    assert cycles_run(copy, "minor_cycle") == [0, 1, 2]
    assert cycles_run(copy, "major_cycle") == [1, 2, 3]


def test_what_does_not_change_the_result_runs_nothing_again(copy):
    os.utime(copy.folder / "mine.py")
    copy.run("clean.script_timeout=1h", "clean.schedule=[{cycle: 3, deconvolver: hogbom}]")
    assert not cycles_run(copy, "minor_cycle")


def test_a_schedule_goes_on_from_the_files_that_are_there(copy):
    """hogbom from cycle 1, then the script again, which remembers what it did in cycle 0."""
    schedule = "[{{cycle: 1, deconvolver: hogbom}}, {{cycle: {}, deconvolver: mine.py}}]"
    copy.run(f"clean.schedule={schedule.format(3)}", "clean.nmajor=4")
    assert cycles_run(copy, "minor_cycle") == [1, 2, 3]
    assert "call 2 peaks 2" in log_of(copy, 3)
    before = copy.products()
    copy.run(f"clean.schedule={schedule.format(2)}", "clean.nmajor=4")
    assert cycles_run(copy, "minor_cycle") == [2, 3]
    assert "call 2 peaks 2" in log_of(copy, 2)
    for cycle in range(2):
        for product in ("model.fits", "memory.pickle", "minor.json"):
            name = f"small.cycle{cycle:03d}.{product}"
            assert copy.products()[name] == before[name]


def test_a_later_entry_of_the_schedule_runs_again_from_its_cycle_only(copy):
    copy.run("clean.schedule=[{cycle: 2, deconvolver: clark}]", "clean.nmajor=3")
    assert cycles_run(copy, "minor_cycle") == [2]
    assert cycles_run(copy, "major_cycle") == [3]
    assert memory_of(copy, 2) == memory_of(copy, 1)


def test_a_failing_script_is_one_message_and_the_last_good_cycle_is_of_use(copy):
    fault = "    if deconvolve.counter == 2:\n        raise ValueError('no')\n"
    failing = COUNTING.replace("    image = residual", f"{fault}    image = residual")
    (copy.folder / "mine.py").write_text(failing)
    done = copy.run(check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith(
        "Error occurred while executing python deconvolution function of mine.py: ValueError.\n"
    )
    assert "its traceback is in results/small/logs/minor_cycle.cycle001.log" in done.stderr
    assert "got:       no (mine.py, line 12)" in done.stderr
    assert all(label in done.stderr for label in ("expected:", "next step:"))
    assert "raise ValueError('no')" in log_of(copy, 1)
    assert "small.cycle000.model.fits" in copy.products()
    assert not list(copy.results.rglob(".partial-*"))
    copy.run("clean.nmajor=1")
    assert not cycles_run(copy, "minor_cycle")
    (copy.folder / "mine.py").write_text(COUNTING)
    copy.run()
    assert "call 3 peaks 3" in log_of(copy, 2)


def test_an_endless_loop_ends_with_a_message(copy):
    (copy.folder / "mine.py").write_text("def deconvolve(residual, model, psf, meta):\n    while True:\n        pass\n")
    done = copy.run("clean.script_timeout=2s", check=False)
    assert done.returncode == 1
    assert "mine.py did not come to its end." in done.stderr
    assert "still at work after 2 s" in done.stderr
    assert "results/small/logs/minor_cycle.cycle000.log shows where it was" in done.stderr
    assert re.search(r'File "mine.py", line [23] in deconvolve', log_of(copy, 0))


def test_killed_between_cycles_it_ends_with_the_same_bytes(counted, copy):
    """SIGKILL of a job in the middle of the second cycle's script."""
    deadly = COUNTING.replace("    image = residual", "    import os, signal\n    if deconvolve.counter == 2:\n"
                              "        os.kill(os.getppid(), signal.SIGKILL)\n        signal.pause()\n"
                              "    image = residual")  # fmt: skip
    (copy.folder / "mine.py").write_text(deadly)
    done = copy.run(check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (copy.folder / "mine.py").write_text(COUNTING)
    copy.run()
    assert copy.products() == counted.products()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("absent.py", None, ['File "absent.py" could not be opened!', "clean.deconvolver"]),
        ("mine.py", "def solve(): pass\n", ["mine.py has no function deconvolve", "docs/plugins.md"]),
        ("mine.py", "def deconvolve(:\n", ["mine.py is not Python", "line 1"]),
        ("hogbomm", None, ["clean.deconvolver", "hogbomm", "clark, hogbom", "did you mean hogbom?"]),
    ],
)
def test_found_before_anything_runs(name, text, words, copy):
    if text:
        (copy.folder / name).write_text(text)
    before = copy.products()
    done = copy.run(f"clean.deconvolver={name}", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [word for word in words if word not in done.stderr] == []
    assert copy.products() == before


def test_wsclean_s_simple_example_images_the_field(copy, finished):
    """The unmodified loop of a script that knows nothing of masks and counts its own cycles' depth."""
    import json

    (copy.folder / "mine.py").write_text(SIMPLE)
    copy.run("clean.niter=300", "clean.nsigma=0", "clean.threshold=20mJy", "mask.usemask=pb", "mask.pbmask=0.2")
    report = json.loads((copy.results / "small.report.json").read_text())
    assert len(report["cycles"]) > 2
    assert report["cycles"][-1]["peak"] < 0.3 * report["cycles"][0]["peak"]
    for cycle in report["cycles"][:-2]:
        assert cycle["iterations"] > 0


def test_plugins_are_listed_and_tried(project, tmp_path):
    small = project()
    listed = small.imaging("plugins").stdout
    for name in ("hogbom", "clark", "multiscale"):
        assert f"\n{name} " in f"\n{listed}"
    (small.folder / "mine.py").write_text(SIMPLE)
    tried = small.imaging("plugins", "mine.py")
    assert "mine.py is in order. It cannot do: 3 channels, 1 polarisations" in tried.stdout
    (small.folder / "mine.py").write_text(SIMPLE.replace("+= level", "-= level"))
    wrong = small.imaging("plugins", "mine.py", check=False)
    assert wrong.returncode == 1
    assert "a source of [[1.0]] Jy came out as" in wrong.stderr


def test_serial_imager_makes_the_same_bytes(counted, copy, monkeypatch):
    """Scripts, their memory and schedules too."""
    from imaging.config import Config
    from imaging.serial_imager import SerialImager

    schedule = "clean.schedule=[{cycle: 1, deconvolver: hogbom}, {cycle: 2, deconvolver: mine.py}]"
    copy.run(schedule)
    assert "call 2 peaks 2" in log_of(copy, 2)
    (copy.folder / "serial").mkdir()
    made = type(counted)(copy.folder / "serial", counted.values)
    for name in ("mine.py", "helper.py"):
        shutil.copy(counted.folder / name, made.folder / name)
    monkeypatch.chdir(made.folder)
    SerialImager(Config.load("my.yaml", (schedule,))).run()
    ours, theirs = copy.products(), made.products()
    for name in theirs:
        if ".cycle" in name and name in ours:
            assert theirs[name] == ours[name], name
    assert {f"small.cycle00{cycle}.memory.pickle" for cycle in range(3)} <= set(theirs)
