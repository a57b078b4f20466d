"""Psf and dirty image of a MeasurementSet beside WSClean's and CASA's: python benchmarks/dirty_image.py [--json FILE]

From the same simulated set, natural weights, in turns, medians. Ours: ingest once (told apart: the cycles of an image
share it), then the stages psf and major_cycle. WSClean 3.1: `-use-wgridder -niter 1 -nmiter 0`, what its log calls
inversion, with its default accuracy, 1e-4. CASA: tclean's standard gridder without w, wproject with it; set CASA_PYTHON
to a python with casatasks. A program that is absent is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from gridding import tracks

from imaging.config import Config
from imaging.io.ms_writer import write_ms
from imaging.settings import Settings
from imaging.stages import ingest, major_cycle, psf, weights
from imaging.units import SPEED_OF_LIGHT

CENTRE = (1.0, 0.6)
CASA_SCRIPT = Path(__file__).parent / "peers" / "casa_dirty_image.py"


def make(path: Path, samples: int, channels: int) -> float:
    """A set of two correlations of noise; returns the cell, a third of a fringe, in arcsec."""
    uvw, freq = tracks(samples, channels, 2500.0)
    rng = np.random.default_rng(1)
    i, j = np.triu_indices(27, 1)
    times = len(uvw) // len(i)
    vis = rng.normal(size=(len(uvw), channels, 2, 2)).astype(np.float32).view(np.complex64)[..., 0]
    write_ms(path, antenna_positions=rng.normal(size=(27, 3)) * 1e3, antenna1=np.tile(i, times), corr_type=("XX", "YY"),
             antenna2=np.tile(j, times), time=59000 * 86400 + 10.0 * np.repeat(np.arange(times), len(i)), uvw=uvw,
             vis=vis, freq=freq, phase_centre=CENTRE, overwrite=True)  # fmt: skip
    return float(np.degrees(0.35 * SPEED_OF_LIGHT / freq.max() / abs(uvw[:, :2]).max()) * 3600)


class Ours:
    def __init__(self, folder: Path, ms: Path, size: int, cell: float, wterm: bool):
        self.folder = folder
        self.config = Config.parse({
            "name": "x", "data": {"vis": str(ms)}, "image": {"imsize": size, "cell": f"{cell}arcsec"},
            "weighting": {"weighting": "natural"}, "gridding": {"epsilon": 1e-4, "wterm": wterm},
        })  # fmt: skip
        start = time.perf_counter()
        ingest.ingest([str(ms)], vis=str(folder / "x.vis"), config=self.settings("ingest"))
        self.ingest = time.perf_counter() - start
        weights.weights(str(folder / "x.vis"), weights=str(folder / "x.weights"), config=self.settings("weights"))

    def settings(self, stage: str) -> Settings:
        return Settings.of(self.config.settings(stage))

    def __call__(self, threads: int) -> float:
        store = str(self.folder / "x.vis"), str(self.folder / "x.weights")
        out = [str(self.folder / f"x.{name}.fits") for name in ("psf", "sumwt", "residual")]
        start = time.perf_counter()
        psf.psf(*store, psf=out[0], sumwt=out[1], config=self.settings("psf"), threads=threads)
        major_cycle.major_cycle(*store, residual=out[2], config=self.settings("major_cycle"), threads=threads)
        return time.perf_counter() - start


def wsclean(folder: Path, ms: Path, size: int, cell: float, wterm: bool, threads: int) -> float:
    command = ["wsclean", "-j", threads, "-use-wgridder", "-no-update-model-required", "-no-reorder", "-weight",
               "natural", "-pol", "i", "-niter", 1, "-nmiter", 0, "-make-psf", "-no-dirty", "-name", folder / "w",
               "-size", size, size, "-scale", f"{cell}asec", ms]  # fmt: skip
    said = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True).stdout
    hours, minutes, seconds = re.findall(r"Inversion: (\d+):(\d+):([\d.]+)", said)[-1]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def casa(folder: Path, ms: Path, size: int, cell: float, wterm: bool, threads: int) -> float:
    command = [os.environ["CASA_PYTHON"], CASA_SCRIPT.resolve(), ms, size, f"{cell}arcsec",
               "wproject" if wterm else "standard"]  # fmt: skip
    said = subprocess.run([*map(str, command)], cwd=folder, env=os.environ | {"OMP_NUM_THREADS": str(threads)},
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    return json.loads(said.splitlines()[-1])["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=float, default=8e6)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cell = make(folder / "x.ms", int(args.samples), args.channels)
        for wterm in (True, False):
            ours = Ours(folder, folder / "x.ms", args.size, cell, wterm)
            peers = [wsclean] * (wterm and bool(shutil.which("wsclean"))) + [casa] * ("CASA_PYTHON" in os.environ)
            for threads in args.threads:
                ours(threads)  # reads the kernels, and the data into memory
                seconds = {"ours": [], **{peer.__name__: [] for peer in peers}}
                for _ in range(args.rounds):
                    seconds["ours"].append(ours(threads))
                    for peer in peers:
                        seconds[peer.__name__].append(peer(folder, folder / "x.ms", args.size, cell, wterm, threads))
                medians = {who: statistics.median(s) for who, s in seconds.items()}
                rows.append({"wterm": wterm, "threads": threads, "ingest": ours.ingest, "seconds": medians,
                             "load": os.getloadavg()})  # fmt: skip
                for who, s in medians.items():
                    print(f"{'w' if wterm else 'no w':5s} {threads} threads {who:8s} {s:8.2f} s"
                          f" {s / medians['ours']:6.2f}", flush=True)  # fmt: skip
            print(f"      (ingest {ours.ingest:.2f} s)")
    if args.json:
        args.json.write_text(json.dumps({"samples": args.samples, "size": args.size, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
