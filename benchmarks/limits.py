"""How far the gridder is from what this machine can do: python benchmarks/limits.py [--samples 8e6] [--rounds 3]

Two speeds of one core are measured: a product of matrices, and a copy of memory that fits no cache. For each case the
arithmetic and the traffic that the method itself needs are counted, per visibility; the limit is the longer of the two
times, as if all else cost nothing and the two overlapped perfectly. Times are of the processor, not of the clock.

Arithmetic: 2 flops a multiply-add, of the W^2 (flat) or W^3 cells of the kernel's block, real and imaginary part; of
the taps' polynomials; 5 n log2 n of each transform along a column or row that is made; 8 a pixel and plane for phases.
Traffic: what is read and written once: 8 + 4 bytes of visibility and weight, uvw and the list of runs; each plane
cleared, summed into, transformed along v (read and written), read along u.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from gridding import CASES, Work

from imaging.algorithms.gridding import Gridder
from imaging.kernels import fft
from imaging.kernels.gridding_taps import TILE, degree


def arithmetic(rounds=5) -> float:
    """Single-precision flop/s of one core: the product of two matrices, by numpy's BLAS on one thread."""
    x = np.ones((1024, 1024), np.float32)
    return 2 * 1024**3 / min(_timed(np.matmul, x, x) for _ in range(rounds))


def bandwidth(rounds=5) -> float:
    """Bytes/s read and written by one core in a copy."""
    x = np.ones(32_000_000)
    y = x.copy()
    return 2 * x.nbytes / min(_timed(np.copyto, y, x) for _ in range(rounds))


def _timed(function, *args):
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def counts(gridder: Gridder, planes: int) -> tuple[float, float]:
    """flops and bytes a visibility, gridding `planes` right-hand sides; degridding costs about the same."""
    g, width, samples = gridder.geometry, gridder.kernel.support, gridder.load.sum()
    block = width**3 if g.use_w else width**2
    flops = planes * 4 * block + (3 if g.use_w else 2) * 2 * width * (degree(width) + 1)
    ny, nx = gridder.shape
    columns = fft.LANES * gridder._blocks_used().sum()
    transforms = 5 * (columns * g.nv * math.log2(g.nv) + gridder.planes * ny * g.nu * math.log2(g.nu))
    flops += planes * (transforms + 8 * gridder.planes * ny * nx) / samples
    tiles = np.count_nonzero(gridder.load) * (1 + width / TILE) ** 2 * TILE**2 * (gridder.planes if g.use_w else 1)
    cells = columns * g.nv * 3 + min(2 * tiles, 2 * columns * g.nv) + columns * ny
    itemsize = np.dtype(gridder.complex).itemsize
    run_bytes = len(gridder.runs) * (16 + 24) / samples
    return flops, planes * 1.5 * itemsize + run_bytes + planes * cells * itemsize / samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=float, default=8e6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=["2d", "w", "correlations2d", "correlations"])
    args = parser.parse_args()
    speed, traffic = arithmetic(), bandwidth()
    print(f"one core: {speed / 1e9:.0f} Gflop/s single precision, {traffic / 1e9:.1f} GB/s copied")
    print("case            epsilon | flop/vis  ns | byte/vis  ns | limit ns | grid ns, of limit | degrid ns, of limit")
    for case in CASES:
        if case.name not in args.cases:
            continue
        work = Work(case, "tracks", int(args.samples), 64, 2500, 1)
        work.sort()
        flops, volume = counts(work.gridder, case.planes)
        limit = max(flops / speed, volume / traffic) * 1e9
        times = {}
        for call in (work.grid, work.degrid):
            call()
            taken = [_timed(call) for _ in range(args.rounds)]
            times[call.__name__] = statistics.median(taken) / work.gridder.load.sum() * 1e9
        print(
            f"{case.name:15s} {case.epsilon:7.0e} | {flops:8.0f} {flops / speed * 1e9:3.0f} | {volume:8.0f}"
            f" {volume / traffic * 1e9:3.0f} | {limit:8.0f} | {times['grid']:7.0f} {times['grid'] / limit:9.1f} |"
            f" {times['degrid']:9.0f} {times['degrid'] / limit:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
