"""Compiled once per machine: the cache that jobs share, cold, read-only, and with several jobs at once."""

import os
import subprocess
import sys

import pytest

NO_COMPILER = os.environ.get("NUMBA_DISABLE_JIT") == "1"
pytestmark = pytest.mark.skipif(NO_COMPILER, reason="nothing is compiled")
JOB = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
import numpy as np
from imaging.kernels import clean
patch, where = np.ones((1, 3, 3), sys.argv[1]), np.array([[0, 2, 2]])
model = np.zeros((5, 5), sys.argv[1])
clean.add_components(model, patch, where, np.ones(1, sys.argv[1]))
assert model.sum() == 9 and model.dtype == sys.argv[1]
"""
HIDE = """
import os, tempfile
access = os.access
os.access = lambda path, mode: access(path, mode) and not (mode == os.W_OK and "/shared/" in str(path))
"""


def start(cache, dtype="float32", code=JOB, **more):
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"FRINGEFLOW_CACHE": str(cache)} | more
    command = [sys.executable, "-c", code, dtype]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(job):
    said, _ = job.communicate(timeout=120)
    assert job.returncode == 0, said
    return said


def test_a_job_that_compiles_says_so_and_the_next_does_not(tmp_path):
    assert "compiled add_components" in finish(start(tmp_path))
    assert finish(start(tmp_path)) == ""


def test_jobs_that_start_at_once_on_a_cold_cache(tmp_path):
    types = ("float32", "float64", "float32", "float64")
    for job in [start(tmp_path, dtype) for dtype in types]:
        finish(job)
    assert [finish(start(tmp_path, dtype)) for dtype in types[:2]] == ["", ""]


def test_a_filled_cache_that_cannot_be_written_is_used(tmp_path):
    shared, temporary = tmp_path / "shared", tmp_path / "temporary"
    temporary.mkdir()
    assert "compiled" in finish(start(shared))
    where = {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(shared / "home")}
    jobs = [start(shared, code=HIDE + JOB, **where) for _ in range(2)]
    assert [finish(job) for job in jobs] == ["", ""]
    assert list(temporary.glob("fringeflow-*/*/*/*.nbi"))
