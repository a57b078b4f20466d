"""The gridder beside ducc0's: python benchmarks/gridding.py [--quick] [--cases 2d w ...] [--threads 1 2] [--json FILE]

Each case is run by both in turns, `--rounds` times, after one round that is not counted; the table gives medians and
ducc0's over ours: "once" with our sort of the samples in every call, "again" with the sort kept from an earlier call,
as in the cycles of an image. ducc0 keeps nothing between calls. The difference is that of the two results, relative
l2: both are right to epsilon, so it may be up to twice epsilon. ducc0 counts v downwards here (flip_v), and its
images are (x, y).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import ducc0
import numba
import numpy as np

from imaging.algorithms.gridding import Gridder
from imaging.units import SPEED_OF_LIGHT


@dataclass(frozen=True)
class Case:
    """One line of the table, at one accuracy; `terms` is the number of right-hand sides, by their kind."""

    name: str
    epsilon: float
    wterm: bool = True
    size: int = 2048
    planes: int = 1
    taylor: bool = False
    precision: str = "single"
    memory: int = 2 << 30


CASES = [
    Case("2d", 1e-4, wterm=False),
    Case("w", 1e-3),
    Case("w", 1e-4),
    Case("w", 1e-5),
    Case("w4096", 1e-3, size=4096, memory=6 << 30),
    Case("w4096", 1e-4, size=4096, memory=6 << 30),
    Case("w4096", 1e-5, size=4096, memory=6 << 30),
    Case("correlations2d", 1e-4, wterm=False, planes=4),
    Case("correlations", 1e-4, planes=4),
    Case("taylor2d", 1e-4, wterm=False, planes=4, taylor=True),
    Case("taylor", 1e-4, planes=4, taylor=True),
    Case("double", 1e-8, precision="double"),
    Case("double2d", 1e-8, wterm=False, precision="double"),
]


def tracks(samples: int, channels: int, reach: float):
    """uvw (row, 3) in m and frequencies of a 27-antenna Y on a 6-hour track, 1 to 1.5 GHz, by time then baseline."""
    rng = np.random.default_rng(0)
    radius, arm = reach / 2 * rng.power(0.8, 27), rng.integers(0, 3, 27) * 2 * np.pi / 3
    east, north = radius * np.sin(arm), radius * np.cos(arm)
    latitude, declination = np.deg2rad([34.0, 40.0])
    x, y, z = -north * np.sin(latitude), east, north * np.cos(latitude)
    i, j = np.triu_indices(27, 1)
    x, y, z = x[i] - x[j], y[i] - y[j], z[i] - z[j]
    angle = np.linspace(-0.8, 0.8, max(1, samples // (channels * len(x))))[:, None]
    s, c = np.sin(angle), np.cos(angle)
    across = x * c - y * s
    u, v = x * s + y * c, -np.sin(declination) * across + np.cos(declination) * z
    w = np.cos(declination) * across + np.sin(declination) * z
    return np.stack([u, v, w], axis=-1).reshape(-1, 3), np.linspace(1e9, 1.5e9, channels)


def scattered(samples: int, channels: int, reach: float):
    """Rows anywhere on a disc, in no order, with the w of a tilted thick plane."""
    rng = np.random.default_rng(0)
    rows = samples // channels
    radius, angle = reach * np.sqrt(rng.random(rows)), rng.uniform(0, 2 * np.pi, rows)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    return np.stack([u, v, rng.normal(size=rows) * 0.1 * reach + 0.5 * v], axis=-1), np.linspace(1e9, 1.5e9, channels)


COVERAGE = {"tracks": tracks, "scattered": scattered}


class Work:
    """Data of a case, and its four calls."""

    def __init__(self, case: Case, coverage: str, samples: int, channels: int, reach: float, threads: int):
        self.case, self.threads = case, threads
        real, complex_ = (np.float32, np.complex64) if case.precision == "single" else (np.float64, np.complex128)
        self.uvw, self.freq = COVERAGE[coverage](samples, channels, reach)
        size, shape = case.size, (len(self.uvw), channels)
        self.cell = 0.35 * SPEED_OF_LIGHT / self.freq.max() / abs(self.uvw[:, :2]).max()
        rng = np.random.default_rng(1)
        vis = rng.normal(size=(1 if case.taylor else case.planes, *shape, 2)).astype(real).view(complex_)[..., 0]
        self.weight = np.ones((1, *shape), real)
        if case.taylor:  # three terms of the visibilities and the PSF of the first
            x = ((self.freq - self.freq.mean()) / self.freq.mean()).astype(real)
            self.weight = np.stack([np.broadcast_to(x**t, shape) for t in (0, 1, 2, 0)])
        self.vis, self.image = vis, rng.normal(size=(case.planes, size, size)).astype(real)

    def sort(self):
        case = self.case
        self.gridder = Gridder(self.uvw, self.freq, (case.size, case.size), (self.cell, self.cell), case.epsilon,
                               wterm=case.wterm, precision=case.precision, threads=self.threads,
                               memory=case.memory)  # fmt: skip

    def grid(self):
        return self.gridder.vis2dirty(self.vis, self.weight, psf=int(self.case.taylor))

    def degrid(self):
        return self.gridder.dirty2vis(self.image)

    def _options(self):
        return {"uvw": self.uvw, "freq": self.freq, "pixsize_x": self.cell, "pixsize_y": self.cell,
                "epsilon": self.case.epsilon, "do_wgridding": self.case.wterm, "divide_by_n": False,
                "nthreads": self.threads, "flip_v": True}  # fmt: skip

    def grid_ducc(self):
        size, (first, *others) = self.case.size, self.vis
        vis = [first, first, first, np.ones_like(first)] if self.case.taylor else [first, *others]
        return [ducc0.wgridder.vis2dirty(vis=v, wgt=self.weight[min(i, len(self.weight) - 1)], npix_x=size,
                                         npix_y=size, **self._options()) for i, v in enumerate(vis)]  # fmt: skip

    def degrid_ducc(self):
        return [ducc0.wgridder.dirty2vis(dirty=np.ascontiguousarray(plane.T), **self._options())
                for plane in self.image]  # fmt: skip


def measure(work: Work, rounds: int) -> dict:
    """Medians of wall time, s, and of processor time, of each call."""
    calls = ("sort", "grid", "grid_ducc", "degrid", "degrid_ducc")
    wall, processor = ({call: [] for call in calls} for _ in range(2))
    result = {}
    for round_ in range(rounds + 1):
        for call in calls:
            start = time.perf_counter(), time.process_time()
            result[call] = getattr(work, call)()
            end = time.perf_counter(), time.process_time()
            if round_:
                wall[call].append(end[0] - start[0])
                processor[call].append(end[1] - start[1])
    dirty, model = np.stack(result["grid_ducc"]).transpose(0, 2, 1), np.stack(result["degrid_ducc"])
    return {
        "wall": {call: statistics.median(times) for call, times in wall.items()},
        "processor": {call: statistics.median(times) for call, times in processor.items()},
        "difference": [float(np.linalg.norm(a - b) / np.linalg.norm(b))
                       for a, b in ((result["grid"], dirty), (result["degrid"], model))],
        "support": work.gridder.kernel.support, "oversampling": work.gridder.kernel.oversampling,
        "planes": work.gridder.planes, "grid_cells": [work.gridder.geometry.nv, work.gridder.geometry.nu],
    }  # fmt: skip


def ratios(t: dict) -> dict:
    return {
        "grid_once": t["grid_ducc"] / (t["sort"] + t["grid"]), "grid_again": t["grid_ducc"] / t["grid"],
        "degrid_once": t["degrid_ducc"] / (t["sort"] + t["degrid"]), "degrid_again": t["degrid_ducc"] / t["degrid"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=sorted({case.name for case in CASES}))
    parser.add_argument("--epsilon", nargs="+", type=float, help="only cases of these accuracies")
    parser.add_argument("--coverage", nargs="+", choices=COVERAGE, default=list(COVERAGE))
    parser.add_argument("--samples", type=float, default=8e6)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--reach", type=float, default=2500, help="longest baseline, m, which sets the field of view")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, help="of all images, instead of each case's own")
    parser.add_argument("--quick", action="store_true", help="a minute: 1e6 samples, 512 x 512, 3 rounds, tracks")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.quick:
        args.samples, args.size, args.rounds, args.coverage = 1e6, args.size or 512, 3, ["tracks"]
    lines = []
    print("  s: median seconds; x: ducc0's time over ours, sort included / sort kept")
    print(f"{'case':15s} {'epsilon':>7s} {'coverage':9s} thr {'sort s':>7s} {'grid s':>7s} {'ducc0 s':>7s} {'x':>11s}"
          f" {'degrid s':>8s} {'ducc0 s':>7s} {'x':>11s} difference")  # fmt: skip
    for case in CASES:
        if (args.cases and case.name not in args.cases) or (args.epsilon and case.epsilon not in args.epsilon):
            continue
        case = Case(**{**asdict(case), "size": args.size or case.size})
        for coverage in args.coverage:
            for threads in args.threads:
                work = Work(case, coverage, int(args.samples), args.channels, args.reach, threads)
                found = measure(work, args.rounds)
                t = found["wall"]
                found["ratios"] = x = ratios(t)
                found["processor_ratios"] = ratios(found["processor"])
                lines.append(
                    {**asdict(case), "coverage": coverage, "threads": threads, "load": os.getloadavg(), **found}
                )
                print(
                    f"{case.name:15s} {case.epsilon:7.0e} {coverage:9s} {threads:3d} {t['sort']:7.3f} {t['grid']:7.3f}",
                    f"{t['grid_ducc']:7.3f} {x['grid_once']:5.2f}/{x['grid_again']:5.2f} {t['degrid']:8.3f}",
                    f"{t['degrid_ducc']:7.3f} {x['degrid_once']:5.2f}/{x['degrid_again']:5.2f}",
                    f"{max(found['difference']):.1e}",
                    flush=True,
                )
    if args.json:
        versions = {"ducc0": ducc0.__version__, "numba": numba.__version__, "numpy": np.__version__}
        machine = {"machine": platform.machine(), "processors": os.cpu_count()}
        options = {key: value for key, value in vars(args).items() if key != "json"}
        args.json.write_text(json.dumps({**versions, **machine, "options": options, "cases": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
