"""After `imaging warmup` no job of a run has anything left to compile."""

import os
import subprocess
import sys

import pytest

RUNS = {
    "automask": {},
    "cube of four polarisations": {"image": {"stokes": "IQUV", "specmode": "cube"}},
    "clark, epsilon": {"clean": {"deconvolver": "clark"}, "gridding": {"epsilon": 1e-3, "wterm": False}},
    "multiscale, taper": {"clean": {"deconvolver": "multiscale", "scales": [0, 3]},
                          "weighting": {"weighting": "uniform", "uvtaper": "2klambda"}},
    "double, hybrid": {"gridding": {"precision": "double", "epsilon": 1e-8, "major_cycle": "hybrid"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A cache of compiled kernels that only `imaging warmup` has filled."""
    cache = tmp_path_factory.mktemp("cache")
    command = [sys.executable, "-m", "imaging", "warmup"]
    subprocess.run(command, env=os.environ | {"FRINGEFLOW_CACHE": str(cache)}, check=True, capture_output=True)
    return cache


@pytest.mark.full
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
@pytest.mark.parametrize("sections", RUNS.values(), ids=RUNS)
def test_no_job_compiles(warm, project, sections):
    made = project(**sections)
    made.run(FRINGEFLOW_CACHE=str(warm))
    said = [line for log in made.results.glob("logs/*.log") for line in log.read_text().splitlines()]
    assert any("major_cycle done" in line for line in said)
    assert [line for line in said if "compiled" in line] == []
