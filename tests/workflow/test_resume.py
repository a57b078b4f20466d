"""Killed anywhere, the next run finishes with the same bytes and redoes no finished step."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEADLY = os.pathsep.join([str(Path(__file__).parent / "deadly"), *filter(None, [os.environ.get("PYTHONPATH")])])
STAGES = ("ingest", "weights", "pb", "psf", "major_cycle", "automask", "decide", "minor_cycle", "restore", "pbcor",
          "report")  # fmt: skip


@pytest.mark.parametrize("who", ["job", "snakemake", "all"])
def test_killed_in_every_stage(who, project, finished, tmp_path):
    """Every stage is killed when it is first reached; each run goes on from where the one before was killed."""
    small, killed = project(), tmp_path / "killed"
    killed.mkdir()
    done: dict[str, int] = {}
    for _ in range(len(STAGES) + 1):
        run = small.run(check=False, PYTHONPATH=DEADLY, FRINGEFLOW_TEST_KILL=f"{who}:{killed}:")
        for job, count in small.finished_jobs().items():
            done[job] = done.get(job, 0) + count
        if run.returncode == 0:
            break
        assert "Traceback" not in run.stderr
        assert "next step:" in run.stderr
    assert run.returncode == 0
    assert sorted(path.name for path in killed.iterdir()) == sorted(STAGES)
    assert small.products() == finished.products()
    assert not list(small.results.rglob(".partial-*"))
    assert done == finished.first_jobs, "a finished step was done again"


def test_a_killed_front_leaves_nothing_in_the_way(project, finished, tmp_path):
    """SIGKILL of `imaging run` itself: its Snakemake and jobs go on as orphans until the next run ends them."""
    small = project()
    marker = tmp_path / "psf"
    environment = os.environ | {"PYTHONPATH": DEADLY, "FRINGEFLOW_TEST_KILL": f"sleep:{tmp_path}:psf"}
    front = subprocess.Popen([sys.executable, "-m", "imaging", "run", "my.yaml"], cwd=small.folder, env=environment)
    deadline = time.monotonic() + 60
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(front.pid, signal.SIGKILL)
    front.wait()
    small.run()
    assert small.products() == finished.products()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_front_stops_its_jobs(number, project, tmp_path):
    small = project()
    environment = os.environ | {"PYTHONPATH": DEADLY, "FRINGEFLOW_TEST_KILL": f"sleep:{tmp_path}:ingest"}
    front = subprocess.Popen(
        [sys.executable, "-m", "imaging", "run", "my.yaml"], cwd=small.folder, env=environment, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "ingest").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    front.send_signal(number)
    _, message = front.communicate(timeout=60)
    assert front.returncode == 130
    assert b"interrupted" in message
    assert b"Traceback" not in message
    mark = f"FRINGEFLOW_RUN={small.results}".encode()
    assert not [p for p in Path("/proc").glob("[0-9]*/environ") if mark in _read(p)]


@pytest.mark.parametrize("place", ["identify_data", "_clear", "_watch"])
def test_an_interruption_is_one_line_wherever_it_comes(place, project, monkeypatch, capsys):
    from imaging import __main__, run
    from imaging.config import Config

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(project().folder)
    monkeypatch.setattr(Config if hasattr(Config, place) else run, place, interrupt)
    assert __main__.main(["run", "my.yaml"]) == 130
    assert capsys.readouterr().err.strip().splitlines() == ["interrupted: the same command goes on from here"]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
