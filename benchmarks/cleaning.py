"""Minor cycles beside CASA's and WSClean's on one thread: python benchmarks/cleaning.py [--quick] [--json FILE]

All programs clean the same dirty image and psf, interleaved; seconds are medians of the minor loops alone. CASA: set
CASA_PYTHON to a python with casatasks; WSClean: `wsclean` on the path. A program that is absent is left out. WSClean
is told a threshold near where the iterations end, without which its loop takes the whole image for active. CASA stops
Clark's clean after fewer iterations than asked for: the table says how many each program did.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
from cleaning_inputs import make

from imaging.contracts import Meta
from imaging.plugins import find_deconvolver

CASA_SCRIPT = Path(__file__).parent / "peers" / "casa_minor_cycle.py"
GAIN = 0.1
# deconvolver, size, iterations, scales, WSClean's threshold (Jy/beam)
CASES = [("hogbom", 2048, 1000, [], 0.0258), ("clark", 4096, 10000, [], 0.0098),
         ("multiscale", 2048, 1000, [0, 5, 10, 20, 40], 0.0),
         ("wideband", 2048, 1000, [0, 5, 10, 20, 40], 0.0)]  # fmt: skip
QUICK = [("hogbom", 512, 200, [], 0.1), ("clark", 512, 1000, [], 0.03), ("multiscale", 512, 50, [0, 5, 10], 0.0),
         ("wideband", 512, 50, [0, 5, 10], 0.0)]  # fmt: skip
PEERS = {"wideband": "multiscale"}  # what CASA calls its nearest


def ours(folder, images, name, size, iterations, scales, threshold):
    dirty, psf = images
    meta = Meta(max_iterations=iterations, gain=GAIN, options={"scales": scales or [0], "smallscalebias": 0.0})
    residual, model = dirty[None, None].copy(), np.zeros((1, 1, *dirty.shape), np.float32)
    started = time.perf_counter()
    find_deconvolver(name)(residual, model, psf[None], meta)
    return time.perf_counter() - started, meta.iteration_number


def casa(folder, images, name, size, iterations, scales, threshold):
    field, name = folder / f"field{size}", PEERS.get(name, name)
    command = [os.environ["CASA_PYTHON"], CASA_SCRIPT, field, name, iterations, GAIN, *scales]
    said = subprocess.run(list(map(str, command)), cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"},
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    result = json.loads(said.splitlines()[-1])
    return result["seconds"], result["iterations"]


def wsclean(folder, images, name, size, iterations, scales, threshold):
    field = folder / f"field{size}"
    command = ["wsclean", "-log-time", "-j", 1, "-no-update-model-required", "-pol", "i", "-size", size, size,
               "-scale", "1asec", "-name", folder / "wsclean", "-reuse-psf", field, "-reuse-dirty", field,
               "-gain", GAIN, "-mgain", 1, "-niter", iterations, "-threshold", threshold]  # fmt: skip
    if scales:
        command += ["-multiscale", "-multiscale-scales", ",".join(map(str, scales))]
    log = subprocess.run([*map(str, command), f"{field}.ms"], capture_output=True, text=True, check=True).stdout
    at = {}
    for line in log.splitlines():
        for mark in ("== Deconvolving", "Assigning from"):
            if mark in line:
                at[mark] = datetime.strptime(line[:27].strip(), "%Y-%b-%d %H:%M:%S.%f")
    done = re.findall(r"Performed (\d+) iterations", log)
    seconds = (at["Assigning from"] - at["== Deconvolving"]).total_seconds()
    return seconds, int(done[-1]) if done else iterations


def programs():
    yield ours
    if "CASA_PYTHON" in os.environ:
        yield casa
    if shutil.which("wsclean"):
        yield wsclean


def main(cases, repeats, path):
    rows, present = [], list(programs())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for case in cases:
            images = make(folder, case[1])
            ours(folder, images, case[0], case[1], 3, *case[3:])  # compiles
            runs = {program.__name__: [] for program in present}
            for _ in range(repeats):
                for program in present:
                    runs[program.__name__].append(program(folder, images, *case))
            seconds = {name: statistics.median(s for s, _ in results) for name, results in runs.items()}
            row = {"case": case[0], "size": case[1], "iterations": {n: r[0][1] for n, r in runs.items()},
                   "seconds": seconds, "ratio": {n: s / seconds["ours"] for n, s in seconds.items()}}  # fmt: skip
            rows.append(row)
            for name in seconds:
                print(f"{case[0]:10s} {case[1]:5d} {name:8s} {row['iterations'][name]:6d} iterations "
                      f"{seconds[name]:8.3f} s  {row['ratio'][name]:6.2f}", flush=True)  # fmt: skip
    if path:
        machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        Path(path).write_text(json.dumps({"machine": machine, "repeats": repeats, "rows": rows}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small images")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    main(QUICK if arguments.quick else CASES, arguments.repeats, arguments.json)
