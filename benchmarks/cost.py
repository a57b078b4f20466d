"""What the workflow costs around the work: python benchmarks/cost.py run RESULTS_FOLDER | startup | ingest

run RESULTS_FOLDER   wall time and peak memory of each stage of a finished run (results/<name>), from Snakemake's
                     benchmark files
startup              what a job costs on top of its work: each stage's script in a new interpreter on a tiny image,
                     less the same call repeated in a warm one
ingest               peak memory of ingest on MeasurementSets of growing size
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from imaging.config import Config
from imaging.names import Names
from imaging.observation import Observation
from imaging.settings import Settings
from imaging.stages.simulate import simulate

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"
JOB = """
import pickle, sys
from snakemake import script  # as the preamble of every job's script does
snakemake = pickle.load(sys.stdin.buffer)
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"))
"""
PEAK = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
SKY = {
    "telescope": "VLA", "configuration": "d", "phasecenter": "J2000 12h00m00 +08d00m00", "hourangle": ["-2h", "2h"],
    "integration": "10s", "startfreq": "1.4GHz", "chanwidth": "4MHz", "sefd": "420Jy",
    "sources": [{"name": "point", "offset": ["60arcsec", "-80arcsec"], "flux": "1Jy"}],
}  # fmt: skip
REPEATS = 9


def cost_of_run(folder: str) -> None:
    """One line a stage: jobs, seconds in all and at most, peak memory."""
    stages: dict[str, list] = {}
    for path in sorted(Path(folder, "benchmarks").glob("*.tsv"), key=lambda path: path.stat().st_mtime):
        with open(path) as file:
            for row in csv.DictReader(file, delimiter="\t"):
                stages.setdefault(path.name.split(".")[0], []).append(row)
    print(f"{'stage':12s}  jobs  total/s  longest/s  peak MiB")
    for stage, rows in stages.items():
        seconds = [float(row["s"]) for row in rows]
        memory = [float(row["max_rss"]) for row in rows if row["max_rss"] not in ("NA", "-")]
        peak = f"{max(memory):8.0f}" if memory else "       -"
        print(f"{stage:12s}  {len(rows):4d}  {sum(seconds):7.2f}  {max(seconds):9.2f}  {peak}")


def cost_of_startup() -> None:
    print(f"load {os.getloadavg()[0]:.1f}; seconds, best of {REPEATS}")
    print(f"{'stage':12s}    job  of it CPU   warm  overhead  peak MiB")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        observe("tiny.ms", every="10min", antennas=10, nchan=4)
        for stage, job in jobs(tiny_config()):
            cold = [run_cold(stage, job) for _ in range(REPEATS)]
            wall, cpu, peak = (min(values) for values in zip(*cold, strict=True))
            warm = run_warm(stage, job)
            print(f"{stage:12s}  {wall:5.2f}  {cpu:9.2f}  {warm:5.2f}  {wall - warm:8.2f}  {peak:8.0f}")


def tiny_config() -> Config:
    return Config.parse({
        "name": "tiny", "data": {"vis": "tiny.ms"}, "image": {"imsize": 128, "cell": "8arcsec"},
        "weighting": {"weighting": "briggs"},
        "clean": {"deconvolver": "multiscale", "scales": [0, 5], "niter": 100, "nsigma": 3},
        "mask": {"usemask": "auto-multithresh"}, "restore": {"pbcor": True},
    })  # fmt: skip


def jobs(config: Config):
    """The stages of a run with one clean cycle, in order: what Snakemake hands to their scripts."""
    n = Names("tiny")
    Path(n.folder).mkdir(parents=True)
    data = {"vis": n.vis(), "weights": n.weights()}
    decided = {"pb": n.pb(), "psf": n.psf()}
    yield from (
        make_job(config, *job)
        for job in (
            ("ingest", {"ms": ["tiny.ms"]}, {"vis": n.vis()}),
            ("weights", {"vis": n.vis()}, {"weights": n.weights()}),
            ("psf", data, {"psf": n.psf(), "sumwt": n.sumwt()}),
            ("pb", data, {"pb": n.pb()}),
            ("major_cycle", data, {"residual": n.residual(0)}),
            ("automask", {"residual": n.residual(0), **decided}, {"mask": n.mask(0), "automask": n.automask(0)}),
            ("decide", {"residual": n.residual(0), "mask": n.mask(0), "automask": n.automask(0), **decided},
             {"state": n.state(0)}),
            ("minor_cycle", {"residual": n.residual(0), "mask": n.mask(0), "psf": n.psf(), "sumwt": n.sumwt(),
                             "state": n.state(0)}, {"model_out": n.model(0), "minor": n.minor(0)}),
            ("restore", {"residual": n.residual(0), "model": n.model(0), "mask": n.mask(0), "state": n.state(0),
                         **decided}, {"image": n.image(), "residual_out": n.residual(), "model_out": n.model(),
                                      "mask_out": n.mask()}),
            ("pbcor", {"image": n.image(), "pb": n.pb()}, {"image_pbcor": n.image_pbcor()}),
            ("report", {"states": [n.state(0)], "minors": [], "image": n.image(), **data}, {"report": n.report()}),
        )
    )  # fmt: skip


def make_job(config: Config, stage: str, inputs: dict, outputs: dict):
    params = SimpleNamespace(config=config.settings(stage), provenance=config.provenance({}))
    return stage, SimpleNamespace(input=inputs, output=outputs, params=params, log=["log"], threads=1)


def run_cold(stage: str, job) -> tuple[float, float, float]:
    """Wall and CPU seconds and peak MiB of the stage's script in a new interpreter."""
    command = [sys.executable, "-c", JOB + PEAK, str(SCRIPTS / f"{stage}.py")]
    with tempfile.TemporaryFile() as pickled:
        pickled.write(pickle.dumps(job))
        pickled.seek(0)
        return measure(command, pickled)


def measure(command: list[str], stdin=None) -> tuple[float, float, float]:
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True)
    peak = process.stdout.read()  # the kernel's own figure counts the parent's memory before exec
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, float(peak) / 1024


def run_warm(stage: str, job) -> float:
    """Seconds of the stage's work where everything is imported and loaded."""
    function = getattr(importlib.import_module(f"imaging.stages.{stage}"), stage)
    call = functools.partial(function, **job.input, **job.output, config=Settings.of(job.params.config))
    if stage in ("psf", "major_cycle", "minor_cycle"):
        call = functools.partial(call, threads=job.threads)
    if stage == "restore":
        call = functools.partial(call, provenance=job.params.provenance)
    seconds = []
    for _ in range(1 + REPEATS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def cost_of_ingest() -> None:
    print(f"load {os.getloadavg()[0]:.1f}")
    print("      rows   MS MiB  seconds  peak MiB  above an idle interpreter")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        idle = measure(
            [sys.executable, "-c", "import imaging.stages.ingest, casacore.tables, snakemake.script\n" + PEAK]
        )[2]
        observe("tiny.ms", every="400s", antennas=27, nchan=32)
        for copies in (1, 10, 100):
            rows = repeat("tiny.ms", "long.ms", copies)
            size = sum(path.stat().st_size for path in Path("long.ms").rglob("*") if path.is_file()) / 2**20
            stage, job = make_job(tiny_config(), "ingest", {"ms": ["long.ms"]}, {"vis": "long.vis"})
            wall, _, peak = run_cold(stage, job)
            print(f"{rows:10d}  {size:7.0f}  {wall:7.2f}  {peak:8.0f}  {peak - idle:8.0f}", flush=True)


def repeat(ms: str, out: str, copies: int) -> int:
    """Make `out`, `ms` so many times one after the other; returns its number of rows."""
    from casacore.tables import table, tablecopy

    tablecopy(ms, out)
    with table(ms, ack=False) as source, table(out, readonly=False, ack=False) as target:
        for _ in range(copies - 1):
            source.copyrows(target)
        return target.nrows()


def observe(ms: str, **changes) -> None:
    """Simulate `ms` in a process of its own."""
    pid = os.fork()
    if pid == 0:
        simulate(ms=ms, truth="truth.csv", config=Settings.of(Observation.model_validate(SKY | changes).values()))
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit("the simulation failed")


COMMANDS = {"run": cost_of_run, "startup": cost_of_startup, "ingest": cost_of_ingest}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("folder", nargs="*")
    arguments = parser.parse_args()
    COMMANDS[arguments.what](*arguments.folder)
