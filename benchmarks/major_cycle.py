"""A major cycle by convolution beside the exact one: python benchmarks/major_cycle.py [--samples 5e7] [--json FILE]

One image channel of VLA-like tracks in memory and a model of 3,000 points: the exact residual from the visibilities,
and the one from the psf on twice the image, read from its file, with its bound. The two run in turns, `--rounds` times,
after one round that is not counted. The difference is the largest of all pixels, the bound is what the program
promises, both relative to the peak of the dirty image.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from gridding import tracks

from imaging.algorithms.gridding import Gridder
from imaging.algorithms.major_cycle import Accuracy, Part, image_sums, normalise
from imaging.algorithms.psf_double import (
    as_many_as_needed,
    depth,
    make_double_psf,
    residual_by_psf,
    terms_needed,
    w_distribution,
)
from imaging.image import Grid
from imaging.io.psf_double import load_psf_double, save_psf_double
from imaging.units import SPEED_OF_LIGHT

CASES = {"flat": (False, 2.5e3), "ten thousand km": (True, 1e7), "a thousand km": (True, 1e6)}
"""Whether with the w-term, and the longest baseline in m, to which the cell is fitted."""


def observe(samples: int, channels: int, reach: float, size: int, wterm: bool, threads: int):
    """Visibilities of 3,000 sources, and a model of nine tenths of their flux."""
    rng = np.random.default_rng(1)
    uvw, freq = tracks(samples, channels, reach)
    cell = 0.35 * SPEED_OF_LIGHT / freq.max() / abs(uvw[:, :2]).max()
    grid = Grid((0.0, 0.7), (cell, cell), (size, size), (1.25e9,), (5e8,))
    sky = np.zeros(grid.cube_shape, np.float32)
    sky[0, 0, rng.integers(0, size, 3000), rng.integers(0, size, 3000)] = rng.pareto(1.5, 3000)
    vis = Gridder(uvw, freq, grid.shape, grid.cell, 1e-5, wterm=wterm, threads=threads).dirty2vis(sky[0])
    return Part(uvw, freq, vis, np.ones(vis.shape[1:], np.float32), np.zeros(channels, int)), grid, 0.9 * sky


def timed(times: list[float], call):
    start = time.perf_counter()
    result = call()
    times.append(time.perf_counter() - start)
    return result


def measure(part: Part, grid: Grid, model: np.ndarray, accuracy: Accuracy, threads: int, rounds: int, path: str):
    dirty = normalise(*image_sums([part], grid, accuracy, threads=threads))
    times = {"psf_double": [], "exact": [], "psf": []}

    def prepare():
        reach = depth(grid)[1] if accuracy.wterm else 0.0
        spread = w_distribution([part], 0, reach, accuracy.memory)
        terms = terms_needed([spread], accuracy.epsilon)
        psf = make_double_psf([part], 0, grid, accuracy, spread, terms, reach, threads)
        save_psf_double([psf], 1, path)

    def exact():
        return normalise(*image_sums([part], grid, accuracy, model=model, threads=threads))

    def by_psf():
        psfs, depths = load_psf_double(path), depth(grid)[0]
        psfs, bound = as_many_as_needed(model, dirty, psfs, depths, accuracy.epsilon)
        return bound, len(psfs[0].sizes), residual_by_psf(model, dirty, psfs, depths, threads)

    timed(times["psf_double"], prepare)
    for _ in range(rounds + 1):
        right, (bound, used, ours) = timed(times["exact"], exact), timed(times["psf"], by_psf)
    medians = {name: statistics.median(values[1:] or values) for name, values in times.items()}
    difference = float(np.abs(right - ours).max() / np.abs(dirty).max())
    return medians | {"terms": used, "difference": difference, "bound": bound}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=float, default=5e7)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--epsilon", type=float, default=1e-4)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    print("| field | terms | threads | psf_double s | exact s | psf s | ratio | difference | bound |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, (wterm, reach) in CASES.items():
        data = observe(int(args.samples), args.channels, reach, args.size, wterm, max(args.threads))
        for threads in args.threads:
            with tempfile.TemporaryDirectory() as folder:
                found = measure(*data, Accuracy(args.epsilon, wterm), threads, args.rounds, f"{folder}/psf_double")
            rows.append({"case": name, "threads": threads, **found, "load": os.getloadavg()[0]})
            print(f"| {name} | {found['terms']} | {threads} | {found['psf_double']:.1f} | {found['exact']:.2f} |"
                  f" {found['psf']:.3f} | {found['exact'] / found['psf']:.0f} | {found['difference']:.1e} |"
                  f" {found['bound']:.1e} |", flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps({"arguments": vars(args) | {"json": None}, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
