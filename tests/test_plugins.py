"""Deconvolvers by name, their list, and what authors test theirs with."""

import importlib
import logging
import re
from pathlib import Path

import numpy as np
import pytest

from imaging import plugins
from imaging.__main__ import _parser, main
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.plugins import DECONVOLVERS, find_deconvolver
from imaging.testing import check_deconvolver, example, try_deconvolver

DOCS = Path(__file__).parents[1] / "docs" / "plugins.md"
SIMPLE = Path(__file__).parent / "oracles" / "wsclean_scripts" / "simple.py"


@pytest.mark.parametrize("name", DECONVOLVERS)
def test_built_in_deconvolvers_keep_the_contract(name):
    assert try_deconvolver(name) == f"{name} is in order."


# The page for authors


def documented() -> str:
    return re.findall(r"```python\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)[0]


def test_the_documented_deconvolver_has_twenty_lines_and_keeps_the_contract(tmp_path):
    code = documented()
    assert len(code.strip().splitlines()) <= 20
    (tmp_path / "mine.py").write_text(code)
    assert "It cannot do: 3 channels" in try_deconvolver(str(tmp_path / "mine.py"))
    space = {}
    exec(code, space)
    assert check_deconvolver(space["deconvolve"], single_plane=True) == []
    script = find_deconvolver(str(tmp_path / "mine.py"))
    assert check_deconvolver(script, options={"script_planes": "single"}) == []


def test_the_page_names_all_that_meta_has():
    from imaging.contracts import Meta

    ours = {"compat", "plane_results", "plane_thresholds", "state"}  # for the built-in deconvolvers
    assert set(re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), flags=re.MULTILINE)) >= set(Meta.keys()) - ours


# What the command says of scripts that fail


def tried(tmp_path, monkeypatch, capfd, body: str, *options: str) -> str:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(f"def deconvolve(residual, model, psf, meta):\n    print('hello')\n    {body}\n")
    monkeypatch.setattr("imaging.scripts.printed", logging.Logger("scripts"))  # its handler goes with it
    assert main(["plugins", "mine.py", *options]) == 1
    message = capfd.readouterr().err
    assert "hello\n" in message
    for label in ("  got: ", "  expected: ", "  next step: "):
        assert message.count(label) == 1
    assert "minor cycle" not in message
    return message


def test_a_script_that_raises_is_one_message_and_its_traceback(tmp_path, monkeypatch, capfd):
    message = tried(tmp_path, monkeypatch, capfd, "raise ValueError('no such')")
    traceback, _, rest = message.partition("(tried with 1 channels, 1 polarisations)\n")
    assert "    raise ValueError('no such')\nValueError: no such\n" in traceback
    assert "script_worker" not in message
    assert rest.startswith("Error occurred while executing python deconvolution function of mine.py: ValueError.\n")


def test_a_script_that_does_not_end_is_ended(tmp_path, monkeypatch, capfd):
    message = tried(tmp_path, monkeypatch, capfd, "while True: pass", "--timeout", "1")
    assert "mine.py did not come to its end.\n  got:       still at work after 1 s\n" in message
    assert 'File "mine.py", line 3 in deconvolve' in message
    assert "--timeout" in message


def test_a_script_has_a_minute_unless_told_otherwise():
    assert _parser().parse_args(["plugins", "mine.py"]).timeout == 60


def test_a_script_that_returns_something_else_is_named(tmp_path, monkeypatch, capfd):
    message = tried(tmp_path, monkeypatch, capfd, "return 3")
    assert "\nmine.py: Return value of deconvolve() should be a dictionary.\n" in message


# What check_deconvolver finds


def broken(change):
    """hogbom, with something done to its arguments and what it returns."""
    from imaging.deconvolution.hogbom import deconvolve

    def wrong(residual, model, psf, meta):
        return change(deconvolve, residual, model, psf, meta)

    return wrong


def _does_not_count(clean, residual, model, psf, meta):
    before = meta.iteration_number
    out = clean(residual, model, psf, meta)
    meta.iteration_number = before
    return out


def _returns_a_change(clean, residual, model, psf, meta):
    before = model.copy()
    out = clean(residual, model, psf, meta)
    return out | {"model": out["model"] - before}


def _off_by_one(clean, residual, model, psf, meta):
    return clean(residual, model, np.roll(psf, 4, axis=2), meta)


def _ignores_limits(clean, residual, model, psf, meta):
    meta.max_iterations = 10_000
    meta.final_threshold = 0.0
    meta.mgain = 1.0
    return clean(residual, model, psf, meta)


def _keeps_the_residual(clean, residual, model, psf, meta):
    before = residual.copy()
    return clean(residual, model, psf, meta) | {"residual": before}


def _gives_up_at_flags(clean, residual, model, psf, meta):
    if not all(c.weight for c in meta.channels):
        return {"residual": residual, "model": model, "level": 0.0, "continue": False}
    return clean(residual, model, psf, meta)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_does_not_count, "meta.iteration_number was not increased"),
        (_returns_a_change, "do not fit"),
        (_off_by_one, "came out as"),
        (_ignores_limits, "meta.max_iterations was reached"),
        (_keeps_the_residual, "the peak of the residual only went from 0.999"),
        (_gives_up_at_flags, "with one channel flagged the others were not cleaned"),
        (lambda *_: {}, "is missing items"),
        (lambda *_: None, "should be a dictionary"),
    ],
)
def test_what_is_wrong_is_named(change, words):
    with pytest.raises(AssertionError, match=words):
        check_deconvolver(broken(change))


def test_the_example_is_a_point_in_noise():
    residual, psf, meta = example(2, 3)
    assert residual.shape == (2, 3, 96, 80)
    assert psf.shape == (2, 96, 80)
    assert (psf[:, 48, 40] == 1).all()
    assert psf.max() == 1
    assert np.argmax(residual[0, 0]) == np.ravel_multi_index((40, 50), (96, 80))
    assert len(meta.channels) == 2


# Installed ones


@pytest.fixture
def package(tmp_path, monkeypatch):
    """package(**entries) installs a package whose module `tool.inner` holds the simple example, with entry points."""

    def install(**entries: str):
        (tmp_path / "tool").mkdir()
        (tmp_path / "tool" / "__init__.py").write_text("")
        (tmp_path / "tool" / "inner.py").write_text(SIMPLE.read_text() + "\nclass Tools:\n    clean = deconvolve\n")
        info = tmp_path / "tool-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tool\nVersion: 1.2\n")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{plugins.GROUP}]", *lines]) + "\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
        importlib.invalidate_caches()

    return install


def test_an_installed_deconvolver_works_by_its_name(package, tmp_path):
    package(mine="tool.inner:deconvolve", ours="tool.inner:Tools.clean")
    for name in ("mine", "ours"):
        assert Config.parse({"clean": {"deconvolver": name}}).clean.deconvolver == name
        assert try_deconvolver(name).startswith(f"{name} is in order. It cannot do")
        assert plugins.deconvolver_files(name) == [str(tmp_path / "tool" / "inner.py")]
        assert plugins.deconvolver_version(name) == "tool 1.2"
    listed = {name: (origin, summary) for name, origin, summary in plugins.installed()}
    assert listed["mine"][0] == "tool 1.2"
    assert listed["mine"][1].startswith("Clean of positive peaks with gain 1")
    assert listed["hogbom"][1].startswith("Hogbom clean")


def test_an_installed_deconvolver_keeps_its_state(package, tmp_path):
    package(mine="tool.inner:count")
    (tmp_path / "tool" / "inner.py").write_text(
        "def count(residual, model, psf, meta):\n    count.n = getattr(count, 'n', 0) + 1\n"
        "    return {'residual': residual, 'model': model, 'level': count.n, 'continue': True}\n"
    )
    deconvolve = find_deconvolver("mine")
    residual, psf, meta = example()
    assert [deconvolve(residual, residual, psf, meta)["level"] for _ in range(3)] == [1, 2, 3]


def test_a_broken_entry_point_is_listed_as_such(package):
    package(mine="no_such_tool:deconvolve", other="tool.absent:deconvolve")
    listed = {name: summary for name, _, summary in plugins.installed()}
    assert listed["mine"] == "broken: there is no module no_such_tool"
    assert listed["other"] == "broken: there is no module tool.absent"
    with pytest.raises(ImagingError, match="mine cannot be loaded: ModuleNotFoundError"):
        find_deconvolver("mine")(*example()[:1] * 2, *example()[1:])


@pytest.mark.parametrize(
    ("clean", "words"),
    [
        ({"deconvolver": "hogbon"}, ["clean.deconvolver", "'hogbon'", "did you mean hogbom?"]),
        ({"deconvolver": "asp"}, ["clean.deconvolver", "or the path of a script", "imaging plugins"]),
        ({"schedule": [{"cycle": 2, "deconvolver": "hogbon"}]}, ["clean.schedule.deconvolver", "hogbom"]),
        ({"schedule": [{"cycle": -1, "deconvolver": "clark"}]}, ["clean.schedule.cycle", "0 or more"]),
        ({"schedule": [{"cycle": 2, "deconvolver": "clark"}] * 2}, ["clean.schedule", "each cycle once"]),
        ({"schedule": [{"cycl": 2, "deconvolver": "clark"}]}, ["clean.schedule.cycl.", "did you mean cycle?"]),
        ({"schedule": [{"cycle": 2, "deconvolver": "multiscale"}]}, ["multiscale has no scales"]),
        ({"script_planes": "some"}, ["clean.script_planes", "'polarizations'"]),
        ({"script_timeout": "5m"}, ["clean.script_timeout", "5m", "min"]),
    ],
)
def test_wrong_names_and_schedules(clean, words):
    with pytest.raises(ImagingError) as caught:
        Config.parse({"clean": clean})
    message = str(caught.value)
    assert [word for word in words if word not in message] == []
    assert all(label in message for label in ("got:", "expected:", "next step:"))


def test_a_schedule_names_the_deconvolver_of_each_cycle():
    schedule = [{"cycle": 2, "deconvolver": "mine.py"}, {"cycle": 5, "deconvolver": "clark"}]
    config = Config.parse({"clean": {"deconvolver": "hogbom", "schedule": schedule}})
    assert [config.deconvolver_at(cycle) for cycle in range(7)] == ["hogbom"] * 2 + ["mine.py"] * 3 + ["clark"] * 2
    assert config.deconvolvers() == ["hogbom", "mine.py", "clark"]
    assert config.settings("minor_cycle", 1)["clean"]["deconvolver"] == "hogbom"
    assert "script_mask" not in config.settings("minor_cycle", 1)["clean"]
    assert config.settings("minor_cycle", 4)["clean"]["script_mask"] is True
    whole = Config.parse({"clean": {"schedule": [{"cycle": 0, "deconvolver": "mine.py"}]}})
    assert whole.deconvolvers() == ["mine.py"]
