"""A job's log, its messages and its exit status."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imaging.errors import ImagingError
from imaging.fingerprint import fingerprint
from imaging.log import FAILED, log_to, logger
from imaging.names import Names

SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"


def test_a_users_mistake_is_one_message(tmp_path, capsys):
    log = tmp_path / "logs" / "psf.log"
    with pytest.raises(SystemExit) as stopped, log_to(str(log), "psf"):
        raise ImagingError("The sky is cloudy.", got="clouds", expected="stars", next_step="wait")
    assert stopped.value.code == 1
    assert log.read_text().endswith(f"{FAILED} psf\n{capsys.readouterr().err}")
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ZeroDivisionError("a defect")])
def test_other_errors_are_one_message_with_the_traceback_in_the_log(tmp_path, capsys, error):
    log = tmp_path / "psf.log"
    with pytest.raises(SystemExit), log_to(str(log), "psf"):
        raise error
    message = capsys.readouterr().err
    assert all(part in message for part in ("got:", "expected:", "next step:"))
    assert "Traceback" not in message
    assert "Traceback" in log.read_text()


def test_a_finished_job_says_so(tmp_path):
    log = tmp_path / "psf.log"
    with log_to(str(log), "psf"):
        logger.info("42 components")
    assert "42 components" in log.read_text()
    assert "psf done" in log.read_text()


def test_importing_the_package_is_cheap():
    code = "import imaging, sys; assert not {'numpy', 'numba', 'pydantic', 'astropy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_job_scripts_import_no_configuration_machinery():
    stages = ("ingest", "weights", "psf", "psf_double", "pb", "major_cycle", "automask", "decide", "minor_cycle",
              "restore", "pbcor")  # fmt: skip
    imports = "; ".join(f"import imaging.stages.{s}" for s in stages)
    code = f"{imports}; import sys; assert not {{'pydantic', 'snakemake', 'matplotlib', 'pandas'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fingerprints_follow_what_a_stage_imports():
    import imaging.fingerprint as module

    assert "imaging.algorithms.major_cycle" in module._closure("imaging.stages.psf")
    assert "imaging.algorithms.masking" not in module._closure("imaging.stages.pbcor")
    assert fingerprint("psf", scripts=SCRIPTS) != fingerprint("pbcor", scripts=SCRIPTS)


def test_every_module_behind_a_stage_is_in_its_fingerprint():
    """What a job has really imported when it is done, down to the kernels and the plug-in."""
    import imaging.fingerprint as module
    from imaging.plugins import DECONVOLVERS, deconvolver_module

    for name in DECONVOLVERS:
        plugin = deconvolver_module(name)
        known = module._closure("imaging.stages.minor_cycle") | module._closure(plugin)
        code = f"import {plugin}, imaging.stages.minor_cycle, sys; print(*(m for m in sys.modules if 'imaging.' in m))"
        loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
        assert plugin in loaded
        assert any(x.startswith("imaging.kernels.") for x in loaded)
        assert {x for x in loaded if module._path(x).read_bytes()} <= known
    plain, clark = (fingerprint("minor_cycle", *more, scripts=SCRIPTS) for more in ((), (deconvolver_module("clark"),)))
    assert plain != clark


def test_a_changed_script_changes_its_stage_alone(tmp_path):
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    before = [fingerprint(stage, scripts=tmp_path / "scripts") for stage in ("psf", "pb")]
    assert before == [fingerprint(stage, scripts=SCRIPTS) for stage in ("psf", "pb")]
    with open(tmp_path / "scripts" / "psf.py", "a") as script:
        script.write("# changed\n")
    psf, pb = (fingerprint(stage, scripts=tmp_path / "scripts") for stage in ("psf", "pb"))
    assert psf != before[0]
    assert pb == before[1]


def test_progress_bears_files_that_are_made_again(tmp_path, capsys):
    from imaging.run import Progress

    names = Names("a", str(tmp_path))
    (tmp_path / "a").mkdir()
    (tmp_path / "snakemake.log").touch()
    Path(names.state(0)).symlink_to(tmp_path / "removed")  # listed, and gone when it is looked at
    Progress([names], tmp_path / "snakemake.log", 0.0).update()
    assert capsys.readouterr().out == ""
