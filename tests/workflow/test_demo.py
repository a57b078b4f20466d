"""The demo: its files are in order, and what it recovers is what it simulated."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imaging.config import Config
from imaging.observation import Observation

DEMO = Path(__file__).parents[2] / "workflow" / "demo"


def test_its_files_fit_each_other():
    sky, config = Observation.load(DEMO / "sky.yaml"), Config.load(DEMO / "demo.yaml")
    half = np.array(config.image.imsize) * config.image.cell / 2
    for source in sky.sources:
        assert (np.abs(source.offset) < 0.95 * half).all(), source.name
    top = sky.startfreq + sky.nchan * sky.chanwidth
    longest = 3400  # m, of the C array
    assert max(config.image.cell) < 299792458 / top / longest / 3


@pytest.mark.full
def test_fluxes_and_positions_come_back(tmp_path):
    shutil.copytree(DEMO, tmp_path / "workflow" / "demo", ignore=shutil.ignore_patterns("__pycache__"))
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "workflow/demo/run.sh"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: all 7 sources" in done.stdout
    _, *lines, _, _, _ = (tmp_path / "demo" / "comparison.txt").read_text().splitlines()
    table = {line.split()[0]: line.split() for line in lines}
    assert len(table) == 7
    for name, row in table.items():
        ratio, beams = float(row[4]), float(row[7])
        noise = float(row[3]) / float(row[1])
        assert abs(ratio - 1) < 0.006 + 3 * noise, name
        assert beams < 0.05, name
    assert (tmp_path / "demo" / "demo.png").stat().st_size > 50_000
