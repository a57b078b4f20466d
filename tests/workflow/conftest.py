"""A small image, made in the folder of a test."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


class Project:
    """A folder with a configuration; runs commands in it."""

    def __init__(self, folder: Path, values: dict):
        self.folder, self.values = folder, values
        self.results = folder / "results" / values["name"]
        (folder / "my.yaml").write_text(yaml.safe_dump(values))

    def imaging(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess:
        return self._call([sys.executable, "-m", "imaging", *arguments], check, environment)

    def run(self, *settings: str, cores: int = 2, check: bool = True, **environment: str):
        changes = [word for setting in settings for word in ("--set", setting)]
        return self.imaging("run", "my.yaml", "--cores", str(cores), *changes, check=check, **environment)

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        snakefile = str(ROOT / "Snakefile")
        return self._call([sys.executable, "-m", "snakemake", "--snakefile", snakefile, *arguments], check, {})

    def _call(self, command: list[str], check: bool, environment: dict):
        done = subprocess.run(
            command, cwd=self.folder, env=os.environ | environment, capture_output=True, text=True, timeout=900
        )
        if check and done.returncode:
            logs = "\n".join(log.read_text() for log in sorted(self.results.glob("logs/*.log")))
            pytest.fail(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}\n{logs}")
        return done

    def jobs(self) -> dict[str, int]:
        """How many jobs of each rule the last run started."""
        return self._count(r"^(?:local)?(?:rule|checkpoint) (\w+):$")

    def finished_jobs(self) -> dict[str, int]:
        """How many jobs of each rule came to their end in the last run."""
        return self._count(r"Finished jobid: \d+ \(Rule: (\w+)\)")

    def _count(self, pattern: str) -> dict[str, int]:
        rules = re.findall(pattern, (self.results / "logs" / "snakemake.log").read_text(), flags=re.MULTILINE)
        return {rule: rules.count(rule) for rule in dict.fromkeys(rules) if rule not in ("default", "all")}

    def products(self) -> dict[str, bytes]:
        """The bytes of every product but logs, timings and the run's own notes."""
        found = {}
        for path in sorted(self.results.rglob("*")):
            relative = path.relative_to(self.results)
            hidden = path.name.startswith(".") or relative.parts[0] in ("logs", "benchmarks")
            if path.is_file() and not hidden and not path.name.endswith(".config.yaml"):
                found[str(relative)] = path.read_bytes()
        return found


def small(ms: Path, **sections) -> dict:
    values = {
        "name": "small",
        "data": {"vis": str(ms)},
        "image": {"imsize": 128, "cell": "8arcsec"},
        "weighting": {"weighting": "briggs", "robust": 0.5},
        "clean": {"deconvolver": "hogbom", "niter": 200, "nmajor": 2, "nsigma": 3},
        "mask": {"usemask": "auto-multithresh"},
        "restore": {"pbcor": True},
    }
    for section, changes in sections.items():
        values[section] = values[section] | changes if isinstance(changes, dict) and section in values else changes
    return values


@pytest.fixture
def project(tmp_path, tiny_ms):
    """`project(section={...})`: a folder with the small configuration, changed so."""
    return lambda **sections: Project(tmp_path, small(tiny_ms, **sections))


@pytest.fixture
def project_of(tmp_path):
    """`project_of(values)`: a folder with that configuration and nothing else."""
    return lambda values: Project(tmp_path, values)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny_ms):
    """The small image, made once."""
    made = Project(tmp_path_factory.mktemp("finished"), small(tiny_ms))
    made.output = made.run().stdout
    made.first_jobs = made.finished_jobs()
    return made


@pytest.fixture(scope="session")
def project_at():
    """`project_at(folder, values)`: a folder of one's own with that configuration."""
    return Project
