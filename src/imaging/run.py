"""`imaging run`: validate, lock, clear what a killed run left, start Snakemake, show progress, explain failures."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from imaging.algorithms.selfcal import Verdict
from imaging.check import check
from imaging.config import Config
from imaging.config_base import load_values
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path, remove_partial
from imaging.io.lock import locked
from imaging.log import FAILED
from imaging.names import Names
from imaging.progress import cycle_line, image_line, round_line
from imaging.rounds import Rounds
from imaging.serial_notes import check_serial
from imaging.state import CleanState

MARK = "FRINGEFLOW_RUN"
"""Environment variable by which the processes of a run are known, also when their parent is gone."""
SAID = ("simulate", "predict", "corrupt", "correct",
        "ingest", "weights", "psf", "pb", "startmodel", "restore", "pbcor", "components")  # fmt: skip
"""Stages that are named as they begin."""


IDLE = r"(self\d+_)?(default|all|loop|limits)"
"""Rules that are nothing to speak of."""


SHOWS_ONLY = ("-n", "--dry-run", "--dryrun", "--lint", "--summary", "--dag")
"""Options of Snakemake with which it makes nothing."""


def run(configfile: Path, cores: int | None, profile: str, overrides: tuple[str, ...], further: list[str],
        dry_run: bool = False) -> int:  # fmt: skip
    """Image what `configfile` describes, or tell with `dry_run` which jobs that would take; returns the exit status."""
    if cores is not None and cores < 1:
        raise ImagingError("The value of --cores is not usable.", got=cores, expected="1 or more",
                           next_step="leave it out for what the profile says")  # fmt: skip
    chosen = _profile(profile)
    values = load_values(configfile, overrides)
    config = Config.parse(values)
    check(config, here=profile == "default")
    names = Names(config.name, image_format=config.image_format)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile()), "--workflow-profile", str(chosen),
               "--rerun-incomplete", "--nolock", *(["--cores", str(cores)] if cores else [])]  # fmt: skip
    if dry_run or any(option in further for option in SHOWS_ONLY):
        return _show(command, values, further, dry_run)
    check_serial(config, config.identify_data(), names)
    runs = Rounds(config, names).runs
    with locked(Path(names.folder)):
        mark = f"{os.path.abspath(names.folder)}"
        _clear(runs, mark)
        effective = Path(names.folder) / f"{names.name}.config.yaml"
        _write_yaml(values, effective)
        command += ["--configfile", str(effective)]
        if shutil.which("scancel"):
            command += ["--slurm-jobname-prefix", _job_prefix(mark)]
        return _watch(command + further, runs, {**os.environ, MARK: mark})


def snakefile() -> Path:
    """The workflow: beside the sources in a checkout, inside the package where it is installed."""
    package = Path(__file__).parent
    for root in (package.parents[1], package / "_project"):
        if (root / "workflow" / "Snakefile").exists():
            return root / "Snakefile"
    raise ImagingError("The workflow is not installed.", expected="a Snakefile beside the package",
                       next_step="install fringeflow from its checkout or wheel")  # fmt: skip


def _profile(name: str) -> Path:
    """One of the profiles beside the Snakefile, or a path; Snakemake itself would go on without a missing one."""
    shipped = snakefile().parent / "profiles"
    path = Path(name) if os.sep in name else shipped / name
    if not path.exists():
        known = ", ".join(sorted(entry.name for entry in shipped.iterdir() if entry.is_dir()))
        raise ImagingError(f"There is no profile {name}.", got=f"no folder {path}",
                           expected=f"one of {known}, or the path of your own, as in ./mycluster",
                           next_step="see docs/clusters.md")  # fmt: skip
    return path.absolute()


def _show(command: list[str], values: dict, further: list[str], brief: bool) -> int:
    """Let Snakemake tell what it would do, without a trace in the results; `brief` keeps to the jobs' numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        _write_yaml(values, path)
        command = [*command, "--configfile", str(path)]
        if not brief:
            return subprocess.run(command + further).returncode
        done = subprocess.run([*command, "--quiet", "rules", "host", "-n", *further], capture_output=True, text=True)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        return 1
    text = done.stdout + done.stderr
    table = re.search(r"^Job stats:$(.*?)^total", text, flags=re.DOTALL | re.MULTILINE)
    jobs = re.findall(r"^(\w+) +(\d+)$", table[1] if table else "", flags=re.MULTILINE)
    jobs = {name: count for name, count in jobs if not re.fullmatch(IDLE, name)}
    for name, count in jobs.items():
        print(f"{name:17s} {count}")
    if not jobs:
        print("nothing to do: all products are up to date")
    if any(re.fullmatch(r"(self\d+_)?decide", name) for name in jobs):
        print("and further cycles as decide orders them")
    if "judge" in jobs:
        print("and further rounds as judge orders them")
    return 0


def _write_yaml(values: dict, path: Path) -> None:
    import yaml

    with atomic_path(path) as partial:
        partial.write_text(yaml.safe_dump(values, sort_keys=False))


def _clear(runs: list[Names], mark: str) -> None:
    """End the orphaned jobs of a killed run and remove its half-written products and stale locks."""
    for pid in _orphans(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _orphans(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    if shutil.which("scancel"):
        _cancel_slurm_jobs(_job_prefix(mark))  # after the orphans: a living Snakemake would submit them anew
    for names in runs:
        remove_partial(names.folder)
    locks = Path(".snakemake/locks")
    for lock in locks.glob("*.output.lock"):
        if any(f"{names.folder}/" in lock.read_text() for names in runs):
            if _snakemake_here():
                raise ImagingError(f"A Snakemake is at work on {runs[0].folder}.", got="its lock and its process",
                                   expected="one run at a time for a name", next_step="wait for it to end")  # fmt: skip
            lock.unlink(missing_ok=True)
            lock.with_name(lock.name.replace(".output.", ".input.")).unlink(missing_ok=True)


def _processes():
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            yield int(entry.name), entry


def _orphans(mark: str) -> list[int]:
    """Living processes that carry the mark of this run; the lock says that their parent is gone."""
    wanted, found = f"{MARK}={mark}\0".encode(), []
    for pid, entry in _processes():
        with contextlib.suppress(OSError):
            is_zombie = entry.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if not is_zombie and wanted in entry.joinpath("environ").read_bytes() + b"\0":
                found.append(pid)
    return found


def _snakemake_here() -> bool:
    """Whether a Snakemake other than ours runs in this folder."""
    for _, entry in _processes():
        with contextlib.suppress(OSError):
            if b"snakemake" in entry.joinpath("cmdline").read_bytes() and os.readlink(entry / "cwd") == os.getcwd():
                return True
    return False


def _job_prefix(mark: str) -> str:
    return "fringeflow_" + hashlib.sha256(mark.encode()).hexdigest()[:12]


def _cancel_slurm_jobs(prefix: str) -> None:
    deadline = time.monotonic() + 120
    while jobs := _slurm_jobs(prefix):
        if time.monotonic() > deadline:
            raise ImagingError("Jobs of a killed run do not end.", got=f"Slurm jobs {', '.join(jobs)}",
                               expected="none in the queue after scancel",
                               next_step="wait until squeue no longer lists them, and start again")  # fmt: skip
        subprocess.run(["scancel", *jobs], capture_output=True)
        time.sleep(0.5)


def _slurm_jobs(prefix: str) -> list[str]:
    """Waiting, running and ending jobs so named; none where Slurm's commands have no cluster to talk to."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        listed = subprocess.run(["squeue", "-h", "--me", "-o", "%i %j"], capture_output=True, text=True, timeout=60)
        return [line.split()[0] for line in listed.stdout.splitlines() if f" {prefix}" in line]
    return []


def _watch(command: list[str], runs: list[Names], environment: dict) -> int:
    """Run Snakemake, its output in a log; print a line a cycle, and the messages of failed jobs.

    `runs` are the run itself and its rounds of self-calibration.
    """
    log_path = Path(runs[0].folder) / "logs" / "snakemake.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    started = time.time()
    # What started us may ignore ^C, and a scheduler ends us by SIGTERM: both stop Snakemake and its jobs first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with open(log_path, "w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            progress = Progress(runs, log_path, started)
            while process.poll() is None:
                progress.update()
                time.sleep(0.2)
        except KeyboardInterrupt:
            _stop(process)
            raise
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        progress.update()
    if process.returncode:
        _explain(runs, log_path, started)
        return 1
    progress.finish()
    return 0


def _stop(process: subprocess.Popen) -> None:
    """End Snakemake and its local jobs: politely, so that it can take back jobs of a cluster, then for good."""
    for number, patience in ((signal.SIGINT, 20), (signal.SIGINT, 10), (signal.SIGKILL, None)):
        with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
            os.killpg(process.pid, number)
            process.wait(patience)
            return


class Progress:
    """Says in a line what each finished cycle found, and on a terminal which stage is at work."""

    def __init__(self, runs: list[Names], log_path: Path, started: float):
        self.names, self.runs, self.log_path, self.started = runs[0], runs, log_path, started
        self.position, self.shown, self.stage, self.round = 0, set(), "", ""
        self.is_terminal = sys.stdout.isatty()

    def update(self) -> None:
        with open(self.log_path) as log:
            log.seek(self.position)
            lines = [line.split() for line in log]
            self.position = log.tell()
        # States are there before the log speaks of what follows from them.
        for names in self.runs:
            for path in sorted(Path(names.folder).glob(f"{names.name}.cycle*.state.json")):
                if text := self._new(path):
                    exactly = path.name.endswith(".exact.state.json")
                    self._line(cycle_line(CleanState.from_json(text), exactly=exactly))
            if names is not self.names and (text := self._new(Path(names.selfcal()))):
                self._line(round_line(Verdict.of(json.loads(text))))
        for words in lines:
            if len(words) == 2 and words[0] in ("rule", "checkpoint", "localrule", "localcheckpoint"):
                self._say_stage(words[1].rstrip(":"))

    def _new(self, path: Path) -> str:
        """The text of a file that has come since this run began, once."""
        with contextlib.suppress(FileNotFoundError):  # Snakemake removes what it is about to make again
            if path not in self.shown and path.stat().st_mtime >= self.started:
                text = path.read_text()
                self.shown.add(path)
                return text
        return ""

    def _say_stage(self, stage: str) -> None:
        of_round = re.fullmatch(r"self(\d+)_(\w+)", stage)
        stage = of_round[2] if of_round else stage
        if re.fullmatch(IDLE, stage):
            return
        if of_round and stage == "ingest" and of_round[1] != self.round:
            self.round = of_round[1]
            self._line(f"round {self.round}" if int(self.round) else "round 0, before self-calibration")
        if self.is_terminal:
            print(f"\r\033[K{stage} ...", end="", flush=True)
        elif stage != self.stage and stage.removesuffix("_terms") in SAID:
            self._line(stage)
        self.stage = stage

    def _line(self, text: str) -> None:
        print(("\r\033[K" if self.is_terminal else "") + text, flush=True)

    def finish(self) -> None:
        found = [p for names in self.runs for p in Path(names.folder).glob("logs/*.log")]
        logs = [p for p in found if p.stat().st_mtime >= self.started - 1]
        lines = [line for path in logs if path != self.log_path for line in path.read_text().splitlines()]
        warnings = dict.fromkeys(line.partition(" WARNING ")[2] for line in lines if " WARNING " in line)
        compiled = [warning for warning in warnings if warning.startswith("compiled ")]
        for warning in warnings:
            if warning not in compiled[1:]:
                more = f" (and {len(compiled) - 1} more)" if compiled[1:] and warning == compiled[0] else ""
                self._line(f"warning: {warning}{more}")
        self._line(f"done in {time.time() - self.started:.0f} s: {self.names.folder}/{self._image()}")

    def _image(self) -> str:
        """Peak, noise and beam of the image; nothing where other products were asked for."""
        try:
            report = json.loads(Path(self.names.report()).read_text())
        except FileNotFoundError:
            return ""
        return image_line(report)


def _explain(runs: list[Names], log_path: Path, started: float) -> None:
    """Print the message of the first job that failed since `started`, or what Snakemake itself stumbled over."""
    failures = []
    names, found = runs[0], [path for names in runs for path in Path(names.folder).glob("logs/*.log")]
    logs = {path: path.stat().st_mtime for path in found if path != log_path}
    for path in sorted((path for path in logs if logs[path] >= started - 1), key=logs.get):
        _, failed, message = f"\n{path.read_text()}".rpartition(f"\n{FAILED} ")
        if failed:
            failures.append((path.name, message.partition("\n")[2].rstrip()))
    if failures:
        print(failures[0][1], file=sys.stderr)
        if len(failures) > 1:
            print(f"             (more jobs failed: {', '.join(name for name, _ in failures[1:])})", file=sys.stderr)
        return
    text = log_path.read_text()
    system = re.search(r"\[Errno \d+\] [\w -]+", text)
    if system or shutil.disk_usage(names.folder).free < 2**20:
        print(ImagingError(f"The results cannot be written to {names.folder}.",
                           got=system.group() if system else "No space left on device (less than 1 MiB)",
                           expected="room and permission to write", next_step="make room, or mend the permissions,"
                           " then run again: it goes on where it stopped"), file=sys.stderr)  # fmt: skip
        return
    tail = [line for line in text.splitlines() if line.strip()][-12:]
    print(ImagingError("Snakemake stopped.", got="\n             ".join(tail), expected="a finished run",
                       next_step=f"see {log_path}"), file=sys.stderr)  # fmt: skip
