"""On PYTHONPATH of a test: kill a job, its Snakemake, or both at the moment the job would show its first product.

FRINGEFLOW_TEST_KILL is "<who>:<folder>:<stage>"; who is job, snakemake, all, or sleep (the job hangs and nobody is
killed). It happens once, to that stage or, without one, to every stage: its marker in the folder is made first, and
nothing happens where it exists.
"""

import os
import signal
import sys
import time

_who, _folder, _only = os.environ.get("FRINGEFLOW_TEST_KILL", "::").split(":")
_script = sys.orig_argv[-1] if sys.orig_argv else ""
_stage = _script.split(".")[-2] if _script.endswith(".py") else ""
_marker = os.path.join(_folder, _stage)
_replace = os.replace


def _die(source, target, **keywords):
    if not os.path.exists(_marker) and "/logs/" not in str(target):
        with open(_marker, "x"):
            pass
        if _who in ("snakemake", "all"):
            os.kill(os.getsid(0), signal.SIGKILL)  # the leader of the session is Snakemake
        if _who in ("job", "all"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)  # an orphan, still at work
    return _replace(source, target, **keywords)


if _who and "/.snakemake/scripts/" in _script and _only in ("", _stage):
    os.replace = _die
