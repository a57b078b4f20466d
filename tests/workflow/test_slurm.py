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

import pytest

NODES = ("n1", "n2")
SEARCH = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))
MISSING = [name for name in ("slurmctld", "slurmd", "sbatch", "squeue") if not shutil.which(name, path=SEARCH)]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"no {', '.join(MISSING)} here: apt-get install slurmctld slurmd slurm-client"
)

# No accounting database, nodes of two cores, and nobody to be polite to with status checks.
HERE = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1",
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
        # Snakemake's job step drops SLURM_CONF from the environment; a real cluster has it in /etc.
        srun = folder / "bin" / "srun"
        srun.parent.mkdir()
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        self.environment = {"SLURM_CONF": str(conf), "PATH": f"{srun.parent}{os.pathsep}{SEARCH}"}

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
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_two_nodes_make_the_same_bytes(cluster, project, finished):
    small = project()
    small.imaging("run", "my.yaml", "--profile", "slurm", "--", *HERE, **cluster.environment)
    assert small.products() == finished.products()
    jobs = cluster.finished()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {job["NodeList"] for job in jobs} == set(NODES)
    # prepare, psf, pb, three times major cycle to decision with the minor cycle before it, finish
    assert len(jobs) == 7
