"""Scripts of the user's in their own process: what they are given, what they may do, and how they fail."""

import os
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from imaging.contracts import Channel, Meta
from imaging.errors import ImagingError
from imaging.log import job_log
from imaging.scripts import Script, examine, files
from imaging.state import PlaneStop

SHAPE = (2, 1, 6, 8)
IDENTITY = 'return {"residual": residual, "model": model, "level": 0.0, "continue": False}'


@pytest.fixture
def script(tmp_path):
    """script(body, above="") is a Script with that body of deconvolve; `whole=` the whole text instead."""

    def make(body: str = "", above: str = "", whole: str | None = None) -> Script:
        path = tmp_path / "mine.py"
        body = textwrap.indent(textwrap.dedent(body).strip() + f"\n{IDENTITY}", "    ")
        path.write_text(f"{above}\ndef deconvolve(residual, model, psf, meta):\n{body}\n" if whole is None else whole)
        return Script(str(path))

    return make


def images(dtype=np.float32):
    random = np.random.default_rng(1)
    psf = random.uniform(0, 0.1, (SHAPE[0], *SHAPE[2:])).astype(dtype)
    psf[:, 3, 4] = 0.99
    return random.normal(size=SHAPE).astype(dtype), random.uniform(0, 1, SHAPE).astype(dtype), psf


def meta(options=None, **changes):
    channels = [Channel(1.0e9, 2.0), Channel(1.1e9, 3.0)]
    return Meta(**{"iteration_number": 5, "max_iterations": 100, "channels": channels} | changes, options=options or {})


def call(deconvolve, about=None, given=None):
    return deconvolve(*(given or images()), about or meta())


def test_arrays_are_private_float64_and_contiguous(script):
    out = call(script("""
        import numpy as np
        assert residual.shape == model.shape == (2, 1, 6, 8) and psf.shape == (2, 6, 8)
        for array in (residual, model, psf):
            assert array.dtype == np.float64 and array.flags.c_contiguous and array.flags.writeable
            assert array.flags.owndata
        assert (psf[:, 3, 4] == 1).all() and psf.max() == 1
        model[1, 0, 2, 5] += 1
        psf[:] = -1
    """))  # fmt: skip
    assert out["model"][1, 0, 2, 5] == images()[1][1, 0, 2, 5] + np.float32(1)
    assert out["model"].dtype == np.float32
    assert out["continue"] is False


def test_what_the_script_does_to_its_arrays_stays_with_it(script):
    given = images()
    copies = [array.copy() for array in given]
    call(script("residual[:] = 1\nmodel[:] = 2\npsf[psf < 0.05] = 0"), given=given)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_meta_has_wsclean_s_names_and_ours(script):
    about = meta(
        gain=0.1, mgain=0.8, major_iter_threshold=0.25, final_threshold=0.125, square_joined_channels=True,
        mask=np.ones(SHAPE, bool), rms=np.full((2, 1), 0.5), pb=np.ones((2, 1, 6, 8)),
    )  # fmt: skip
    call(script("""
        assert (meta.gain, meta.mgain, meta.major_iter_threshold, meta.final_threshold) == (0.1, 0.8, 0.25, 0.125)
        assert meta["mgain"] == meta.mgain and meta.square_joined_channels is True
        assert (meta.iteration_number, meta.max_iterations) == (5, 100)
        assert [c.frequency for c in meta.channels] == [1.0e9, 1.1e9]
        assert [c.weight for c in meta.channels] == [c.weights for c in meta["channels"]] == [2.0, 3.0]
        assert meta.mask.shape == residual.shape and meta.rms.shape == (2, 1) and meta.pb.shape == (2, 1, 6, 8)
        for wrong in (1.5, -1):
            try:
                meta.iteration_number = wrong
            except TypeError:
                continue
            raise AssertionError(wrong)
        meta.iteration_number += 7
    """), about)  # fmt: skip
    assert about.iteration_number == 12


def test_the_spectral_fitter_takes_values_alone_or_with_x_and_y(script):
    from imaging.algorithms.spectral_fitting import SpectralFitter

    fitter = SpectralFitter("polynomial", 2, [1.0e9, 1.1e9], [2.0, 3.0])
    call(script("""
        import numpy as np
        fitter = meta.spectral_fitter
        values = [1.0, 2.0]
        for fitted in (fitter.fit_and_evaluate(values), fitter.fit_and_evaluate(np.float32(values), 3, np.int64(4))):
            np.testing.assert_allclose(fitted, values)
        assert len(fitter.fit(values)) == len(fitter.fit(values, y=1, x=2)) == 2
    """), meta(spectral_fitter=fitter))  # fmt: skip


def test_loaded_as_wsclean_does(script):
    deconvolve = script(
        whole="""
import sys, helper
assert __name__ == "__main__" and __file__.endswith("mine.py") and sys.argv == [""]
assert sys.modules["__main__"].__dict__ is globals()
ran = []
class Channel: pass
mine = Channel
if __name__ == "__main__":
    ran.append(1)
def solve(residual, model, psf, meta):
    assert ran == [1] and helper.VALUE == 3
    assert Channel is not mine and isinstance(meta.channels[0], Channel) and isinstance(meta, MetaData)
    assert SpectralFitter("none", 0, [1.0], [1.0]).fit_and_evaluate([2.0]) == [2.0]
    return {"residual": residual, "model": model, "level": 0, "continue": True}
deconvolve = solve
"""
    )
    Path(deconvolve.name).with_name("helper.py").write_text("VALUE = 3\n")
    assert call(deconvolve)["continue"] is True


def test_scripts_import_from_the_working_folder(script, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "nearby.py").write_text("VALUE = 4\n")
    monkeypatch.chdir(tmp_path / "here")
    call(script("assert nearby.VALUE == 4", above="import nearby"))


def test_random_numbers_are_the_same_in_every_run(script):
    text = "import random, numpy\nmodel[0, 0, 0, :3] = random.random(), numpy.random.normal(), hash('a') % 1000"
    first, second = (call(script(text))["model"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_output_of_all_kinds_goes_to_the_log(script, caplog):
    caplog.set_level("INFO", logger="imaging")
    call(script("""
        import os, sys, subprocess
        print("from print")
        print("to stderr", file=sys.stderr)
        os.write(1, b"from the system\\n")
        subprocess.run(["echo", "from a command"])
    """))  # fmt: skip
    lines = caplog.text
    assert [w for w in ("from print", "to stderr", "from the system", "from a command") if w not in lines] == []


# How scripts misbehave


def failing(deconvolve, about=None) -> ImagingError:
    with pytest.raises(ImagingError) as caught:
        call(deconvolve, about)
    message = str(caught.value)
    assert all(label in message for label in ("got:", "expected:", "next step:"))
    return caught.value


def test_wrong_shape(script):
    error = failing(script("model = model[:, :, :-1]"))
    assert error.what.endswith("mine.py: The model returned by deconvolve() has the wrong shape.")
    assert error.got == "(2, 1, 5, 8)"


def test_fortran_order(script):
    out = call(script("import numpy as np\nmodel[0, 0, 1, 2] = 7\nmodel = np.asfortranarray(model)"))
    assert out["model"][0, 0, 1, 2] == 7
    assert (out["model"] != images()[1]).sum() == 1


def test_nan(script):
    error = failing(script("model[1, 0, 2, 3] = float('nan')"))
    assert error.what.endswith("mine.py: The model returned by deconvolve() is not finite.")
    assert "[1, 0, 2, 3]" in error.got


def test_too_large_for_the_images(script):
    assert (
        "mine.py: The model returned by deconvolve() is not finite."
        in failing(script("model[0, 0, 0, 0] = 1e300")).what
    )


def test_exception(script, caplog):
    caplog.set_level("INFO", logger="imaging")
    error = failing(script("helper()", above="def helper():\n    raise RuntimeError('This is a test')\n"))
    assert error.what.startswith("Error occurred while executing python deconvolution function of ")
    assert error.what.endswith("mine.py: RuntimeError.")
    assert error.next_step == "mend it and try again"  # there is no log
    assert error.got.startswith("This is a test (")
    assert error.got.endswith("mine.py, line 2)")
    log = caplog.text
    assert "Traceback (most recent call last):" in log
    assert "raise RuntimeError('This is a test')" in log
    assert "in deconvolve" in log
    assert "script_worker" not in log
    assert "raise RuntimeError('This is a test')" in error.__notes__[0]


@pytest.mark.parametrize("text", ["raise RuntimeError", "while True: pass", "import os; os._exit(3)"])
def test_messages_name_the_script_and_the_log(script, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with job_log("logs/minor.log"):
        error = failing(script(text), meta({"script_timeout": 1.0}))
    assert "mine.py" in error.what
    assert "logs/minor.log" in error.next_step


@pytest.mark.parametrize("text", ["raise SystemExit(0)", "raise KeyboardInterrupt", "raise NotImplementedError('why')"])
def test_exceptions_of_all_kinds(script, text):
    name = text.split()[1].partition("(")[0]
    error = failing(script(text))
    assert error.what.endswith(f"mine.py: {name}.")
    assert ("clean.script_planes" in str(error)) is (name == "NotImplementedError")


def test_no_function(script):
    assert "has no function deconvolve" in failing(script(whole="x = 1\n")).what
    assert "has no function deconvolve" in failing(script(whole="deconvolve = 3\n")).what


@pytest.mark.parametrize("text", ["while True:\n    pass", "import ctypes\nctypes.CDLL(None).pause()"])
def test_endless_loop_with_a_time_limit(script, text, caplog):
    caplog.set_level("INFO", logger="imaging")
    started = time.monotonic()
    error = failing(script(text), meta({"script_timeout": 1.0}))
    assert time.monotonic() - started < 6
    assert error.what.endswith("mine.py did not come to its end.")
    assert error.got == "still at work after 1 s"
    assert "clean.script_timeout" in error.next_step
    assert "in deconvolve" in caplog.text  # where it was


def test_modified_psf(script):
    """The psf is the script's own: nothing that it does to it matters."""
    given = images()
    before = given[2].copy()
    out = call(script("psf[:] = float('nan')"), given=given)
    np.testing.assert_array_equal(given[2], before)
    np.testing.assert_array_equal(out["model"], given[1])


def test_views(script):
    out = call(script("""
        padded = np.zeros((2, 1, 12, 16))
        padded[:, :, 3:9, 4:12] = model
        residual = residual.transpose(3, 2, 1, 0)[::-1].T[..., ::-1]
        model = padded[:, 0, 3:9, 4:12]
    """, above="import numpy as np"))  # fmt: skip
    np.testing.assert_array_equal(out["model"], images()[1])
    np.testing.assert_array_equal(out["residual"], images()[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("import os; os._exit(3)", "ended with status 3"),
        ("import os; os.close(0); os.closerange(3, 100); os._exit(0)", "ended with status 0"),
    ],
)
def test_a_process_that_breaks_off(script, text, words):
    error = failing(script(text))
    assert error.got == words
    assert "broke off" in error.what


def test_what_a_script_left_running_is_ended(script, tmp_path):
    number = tmp_path / "number"
    call(script(f"""
        import subprocess
        open({str(number)!r}, "w").write(str(subprocess.Popen(["sleep", "60"]).pid))
    """))  # fmt: skip
    deadline = time.monotonic() + 5
    stat = Path(f"/proc/{number.read_text()}/stat")
    while stat.exists() and " Z " not in stat.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not stat.exists() or " Z " in stat.read_text()


def test_it_ends_with_its_caller(script, tmp_path):
    import signal
    import subprocess

    number = tmp_path / "number"
    deconvolve = script(f"""
        import os, time
        open({str(number)!r}, "w").write(str(os.getpid()))
        time.sleep(60)
    """)
    code = textwrap.dedent(f"""
        import numpy as np
        from imaging.contracts import Meta
        from imaging.scripts import Script
        Script({deconvolve.name!r})(*np.ones((3, 1, 1, 4, 4))[:2], np.ones((1, 4, 4)), Meta())
    """)
    caller = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    deadline = time.monotonic() + 20
    while not (number.exists() and number.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    stat = Path(f"/proc/{number.read_text()}/stat")
    while stat.exists() and " Z " not in stat.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not stat.exists() or " Z " in stat.read_text()


def test_scripts_that_cannot_be_loaded(script):
    assert "cannot be loaded: SyntaxError" in failing(script(whole="def deconvolve(:\n")).what
    error = failing(script(whole="import sys\n\nimport no_such_module\n"))
    assert "cannot be loaded: ModuleNotFoundError" in error.what
    assert "line 3" in error.got
    about = meta({"script_timeout": 1.0})
    assert failing(script(whole="while True: pass\n"), about).got == "still at work after 1 s"


# Masks and what came of each plane


def test_confined_to_the_mask(script):
    mask = np.zeros(SHAPE, bool)
    mask[:, :, 2:4, 2:5] = True
    text = "assert residual[:, :, :2].any() == {} and residual[:, :, 2:4, 2:5].all()\nmodel += 1"
    about = meta(mask=mask)
    out = call(script(text.format(False)), about)
    np.testing.assert_array_equal(out["model"], images()[1] + mask.astype(np.float32))
    out = call(script(text.format(True)), meta({"script_mask": False}, mask=mask))
    np.testing.assert_array_equal(out["model"], images()[1] + np.float32(1))


def test_the_residual_is_that_of_the_model_that_is_kept(script):
    """Outside the mask it shows again what was hidden, and what was taken off it by components that are dropped."""
    from imaging.algorithms.convolving import convolve_patch

    mask = np.zeros(SHAPE, bool)
    mask[:, :, :, 3:] = True
    residual, model, psf = images()
    psf /= psf[:, 3:4, 4:5]
    deconvolve = script("""
        from imaging.algorithms.convolving import convolve_patch
        change = np.zeros(residual.shape)
        change[0, 0, 2, 4], change[0, 0, 4, 1], change[1, 0, 5, 0] = 1, 2, -3
        model += change
        for chan in range(2):
            residual[chan, 0] -= convolve_patch(change[chan, 0], psf[chan])
    """, above="import numpy as np")  # fmt: skip
    out = deconvolve(residual, model, psf, meta(mask=mask))
    change = np.zeros(SHAPE)
    change[0, 0, 2, 4] = 1
    np.testing.assert_allclose(out["model"], model + change, rtol=1e-6)
    for chan in range(2):
        expected = residual[chan, 0] - convolve_patch(change[chan, 0], psf[chan])
        np.testing.assert_allclose(out["residual"][chan, 0], expected, atol=1e-5)


def test_what_came_of_each_plane(script):
    about = meta(final_threshold=0.5, mask=np.ones(SHAPE, bool))
    about.mask[1] = False
    out = call(script("residual[0] = 0.25\nmeta.iteration_number += 9"), about)
    first, second = about.plane_results
    assert (first.chan, first.iterations, first.peak_after, first.peak_nomask) == (0, 9, 0.25, 0.25)
    assert first.peak_before == np.abs(images()[0][0]).max()
    assert first.stop == PlaneStop.CYCLETHRESHOLD
    assert first.model_flux == pytest.approx(float(out["model"][0].sum(dtype=np.float64)))
    assert (second.stop, second.peak_before) == (PlaneStop.SKIPPED, None)


def test_components_count_where_the_script_does_not(script):
    for text, done in (("", 0), ("model[0, 0, 0, 0] += 1", 1), ("meta.iteration_number = 0", 0)):
        about = meta()
        call(script(text), about)
        assert about.iteration_number == 5 + done


# What is found before a run


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "could not be opened!"),
        ("def deconvolve(:\n", "is not Python"),
        ("def solve(): pass\n", "has no function deconvolve"),
    ],
)
def test_examined_before_anything_runs(text, words, tmp_path):
    path = tmp_path / "mine.py"
    if text:
        path.write_text(text)
    with pytest.raises(ImagingError, match=words) as caught:
        examine(str(path))
    assert caught.value.next_step


@pytest.mark.parametrize(
    "text", ["def deconvolve(r, m, p, meta): pass", "from x import solve as deconvolve", "deconvolve = print",
             "from x import *"],
)  # fmt: skip
def test_all_ways_to_name_a_function_do(text, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    examine(str(tmp_path / "mine.py"))


def test_files_of_a_script_are_those_it_imports_from_its_folder(tmp_path):
    (tmp_path / "tools").mkdir()
    for name, text in {
        "mine.py": "import numpy, one\nfrom tools.two import x\n", "one.py": "def f():\n    import three\n",
        "three.py": "import one\n", "other.py": "", "tools/__init__.py": "", "tools/two.py": "",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    found = files(str(tmp_path / "mine.py"))
    assert found == [str(tmp_path / n) for n in ("mine.py", "one.py", "three.py", "tools/__init__.py", "tools/two.py")]


# Planes


@pytest.mark.parametrize(
    ("planes", "shapes"),
    {
        "all": [(2, 3)],
        "channels": [(2, 1)] * 3,
        "polarizations": [(1, 3)] * 2,
        "single": [(1, 1)] * 6,
    }.items(),
)
def test_planes_of_a_call(planes, shapes, script):
    """The function is called for each group of planes, as often in a row as there are, and keeps its state."""
    residual = np.random.default_rng(1).normal(size=(2, 3, 6, 8)).astype(np.float32)
    about = meta(
        {"script_planes": planes, "script_mask": False}, rms=np.arange(6.0).reshape(2, 3), mask=residual > 0,
        plane_thresholds=1.0 + np.arange(6).reshape(2, 3), major_iter_threshold=9.0, final_threshold=0.5,
        pb=np.ones((2, 1, 6, 8)),
    )  # fmt: skip
    deconvolve = script("""
        seen.append(residual.shape[:2])
        assert model.shape == residual.shape == meta.mask.shape and len(psf) == len(meta.channels) == len(meta.pb)
        assert meta.rms.shape == residual.shape[:2] and ((residual > 0) == meta.mask).all()
        assert meta.final_threshold == meta.plane_thresholds.min() and meta.iteration_number == 5
        assert meta.major_iter_threshold == (9.0 if residual.shape[:2] == (1, 1) else 0.0)
        assert len(meta.spectral_fitter.fit_and_evaluate(residual[:, 0, 0, 0])) == len(residual)
        meta.iteration_number += len(seen)
        model += residual
        return {"residual": residual, "model": model, "level": len(seen), "continue": len(seen) == 1}
    """, above="seen = []")  # fmt: skip
    out = deconvolve(residual, np.zeros_like(residual), images()[2], about)
    np.testing.assert_array_equal(out["model"], residual)
    assert out["level"] == len(shapes)
    assert out["continue"] is True
    assert about.iteration_number == 5 + sum(range(1, len(shapes) + 1))
    assert {p.iterations for p in about.plane_results} == set(range(1, len(shapes) + 1))
    assert [(p.chan, p.pol) for p in about.plane_results] == [(c, p) for c in range(2) for p in range(3)]


def test_joined_planes_have_one_threshold_and_one_noise(script):
    about = meta(rms=np.full((1, 1), 0.5), plane_thresholds=np.full((1, 1), 0.25), major_iter_threshold=3.0)
    call(script("""
        assert meta.rms.tolist() == [[0.5], [0.5]] and meta.final_threshold == 0.25
        assert meta.major_iter_threshold == 0
    """), about)  # fmt: skip
    assert len(about.plane_results) == 2
