"""One image through a real Slurm: two nodes on this machine, started and stopped here."""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from imaging.run import MARK

DEADLY = Path(__file__).parent / "deadly"
NODES = ("n1", "n2")
SEARCH = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))
MISSING = [name for name in ("slurmctld", "slurmd", "sbatch", "squeue") if not shutil.which(name, path=SEARCH)]

# No accounting database, nodes of two cores, and nobody to be polite to with status checks.
RUN = ("run", "my.yaml", "--profile", "slurm", "--",
       "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1",
       "--max-threads", "2", "--latency-wait", "10")  # fmt: skip

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
MinJobAge=3600
KillWait=5
ReturnToService=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=8000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=8000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE
"""


class Cluster:
    """A controller and two node daemons as children of this process, in a folder of their own."""

    def __init__(self, folder):
        self.folder, self.processes, self.logs = folder, [], []
        (folder / "state").mkdir()
        conf = folder / "slurm.conf"
        host = socket.gethostname().partition(".")[0]
        conf.write_text(CONF.format(host=host, user=getpass.getuser(), folder=folder, ports=free_ports(3)))
        # Snakemake's job step drops SLURM_CONF from the environment; a real cluster has it in /etc. The mark of
        # the run is taken off the jobs, for on a real cluster their processes are out of its sight.
        (folder / "bin").mkdir()
        for name in ("sbatch", "srun"):
            wrapper = folder / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nexec env -u {MARK} SLURM_CONF={conf} {shutil.which(name)} "$@"\n')
            wrapper.chmod(0o755)
        self.environment = {"SLURM_CONF": str(conf), "PATH": f"{folder / 'bin'}{os.pathsep}{SEARCH}"}

    def start(self):
        self._daemon("slurmctld", "-D", "-c")
        for node in NODES:
            self._daemon("slurmd", "-D", "-N", node)
        deadline = time.monotonic() + 60
        while self.call("sinfo", "-h", "-t", "idle", "-o", "%D") != str(len(NODES)):
            if time.monotonic() > deadline:
                pytest.fail("\n".join(log.read_text() for log in sorted(self.folder.glob("*.log"))))
            time.sleep(0.1)

    def _daemon(self, *command: str):
        log = open(self.folder / f"{'-'.join(command)}.log", "w")  # noqa: SIM115  (closed by stop)
        self.logs.append(log)
        environment = os.environ | self.environment
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

    def stop(self):
        self.call("scancel", "--user", getpass.getuser())
        deadline = time.monotonic() + 20
        while self.queue() and time.monotonic() < deadline:
            time.sleep(0.2)
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for log in self.logs:
            log.close()

    def call(self, *command: str) -> str:
        environment = os.environ | self.environment
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout.strip()

    def queue(self) -> list[str]:
        """States of the jobs that have not ended."""
        return self.call("squeue", "-h", "-o", "%T").split()

    def finished(self) -> list[dict[str, str]]:
        """What Slurm recorded of each job that ended: JobId, Name, JobState, NodeList, ProcCnt, …"""
        record = self.folder / "finished.txt"
        lines = record.read_text().splitlines() if record.exists() else []
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def cluster(tmp_path_factory):
    if MISSING:
        pytest.skip(f"no {', '.join(MISSING)} here: apt-get install slurmctld slurmd slurm-client")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_two_nodes_make_the_same_bytes(cluster, project, finished):
    small = project()
    small.imaging(*RUN, **cluster.environment)
    assert small.products() == finished.products()
    jobs = cluster.finished()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {job["NodeList"] for job in jobs} == set(NODES)
    # prepare, psf, pb, three times major cycle to decision with the minor cycle before it, finish
    assert len(jobs) == 7


def test_a_missing_profile_is_named(project):
    refused = project().imaging("run", "my.yaml", "--profile", "slurn", check=False)
    assert refused.returncode == 1
    assert "There is no profile slurn." in refused.stderr
    assert "one of default, slurm" in refused.stderr


@pytest.mark.full
def test_orphaned_jobs_are_cancelled(cluster, project, finished):
    """SIGKILL of the front, then of Snakemake, while a job is at work on a node where no signal reaches it."""
    small = project()
    for stage, victim in (("psf", "front"), ("major_cycle", "snakemake")):
        front, snakemake = start(small, cluster, stage)
        (front if victim == "front" else snakemake).send_signal(signal.SIGKILL)
        with front.stderr:
            assert ("next step:" in front.stderr.read()) == (victim == "snakemake")
        assert front.wait(30) == (-signal.SIGKILL if victim == "front" else 1)
        assert snakemake.is_running() == (victim == "front")
        assert "RUNNING" in cluster.queue()
    small.imaging(*RUN, **cluster.environment)
    assert small.products() == finished.products()
    assert not list(small.results.rglob(".partial-*"))
    states = [job["JobState"] for job in cluster.finished()]
    assert states.count("CANCELLED") >= 2  # and pb, where it was at work at the same time
    assert states.count("COMPLETED") >= 7


@pytest.mark.full
def test_an_interrupt_cancels_the_jobs(cluster, project):
    front, _ = start(project(), cluster, "psf")
    front.send_signal(signal.SIGINT)
    with front.stderr:
        assert "Traceback" not in front.stderr.read()
    assert front.wait(60) == 130
    wait_for(lambda: not cluster.queue())
    assert "CANCELLED" in [job["JobState"] for job in cluster.finished()]


def start(small, cluster, stage):
    """A run and its Snakemake, when that stage has begun to hang."""
    marker = small.folder / stage
    deadly = {"PYTHONPATH": str(DEADLY), "FRINGEFLOW_TEST_KILL": f"sleep:{small.folder}:{stage}"}
    front = psutil.Popen(
        [sys.executable, "-m", "imaging", *RUN], cwd=small.folder, env=os.environ | cluster.environment | deadly,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(marker.exists)
    [snakemake] = front.children()
    return front, snakemake


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return value
