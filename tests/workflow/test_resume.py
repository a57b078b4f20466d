"""Killed anywhere, the next run finishes with the same bytes and redoes no finished step."""

from pathlib import Path

import pytest

DEADLY = Path(__file__).parent / "deadly"
STAGES = ("ingest", "weights", "pb", "psf", "major_cycle", "automask", "decide", "minor_cycle", "restore", "pbcor",
          "report")  # fmt: skip
ONCE = ("ingest", "weights", "pb", "psf")


@pytest.mark.parametrize("who", ["job", "snakemake", "all"])
def test_killed_in_every_stage(who, project, finished):
    """One image, killed in every stage in turn; each run goes on from where the one before was killed."""
    small = project()
    done: dict[str, int] = {}
    for stage in STAGES:
        marker = small.folder / f"killed-{stage}"
        killed = small.run(check=False, PYTHONPATH=str(DEADLY), FRINGEFLOW_TEST_KILL=f"{stage}:{who}:{marker}")
        assert marker.exists(), f"{stage} was never reached"
        assert killed.returncode == 1
        assert "Traceback" not in killed.stderr
        assert "next step:" in killed.stderr
        for job, count in small.finished_jobs().items():
            done[job] = done.get(job, 0) + count
    small.run()
    for job, count in small.finished_jobs().items():
        done[job] = done.get(job, 0) + count
    assert small.products() == finished.products()
    assert not list(small.results.rglob(".partial-*"))
    assert done == finished.first_jobs, "a finished step was done again"


def test_a_killed_front_leaves_nothing_in_the_way(project, finished, tmp_path):
    """SIGKILL of `imaging run` itself: its Snakemake and jobs go on as orphans until the next run ends them."""
    import os
    import signal
    import subprocess
    import sys
    import time

    small = project()
    marker = tmp_path / "killed"
    environment = os.environ | {"PYTHONPATH": str(DEADLY), "FRINGEFLOW_TEST_KILL": f"psf:sleep:{marker}"}
    front = subprocess.Popen([sys.executable, "-m", "imaging", "run", "my.yaml"], cwd=small.folder, env=environment)
    deadline = time.monotonic() + 60
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(front.pid, signal.SIGKILL)
    front.wait()
    small.run()
    assert small.products() == finished.products()
