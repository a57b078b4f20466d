"""The measurement equation beside codex-africanus: python benchmarks/measurement.py --africanus PYTHON [--json FILE]

PYTHON is that of an environment with codex-africanus 0.4.5, numba and numpy. A full 2 x 2 direction-dependent chain of
given matrices, E K B K^H E^H with polarised points, in double precision on one thread. All programs are run in turns,
`--rounds` times, after one round that is not counted and in which they compile; the table gives medians, and medians of
the rounds' ratios. E comes as an array to all of them; whatever else is needed is made within the time:

sum        fringes and the sum, `rime.add_sources`, from stations' coordinates.
equation   `observation.tiles()` and `tree.evaluate(tile)` of a MeqMaker with a module for E: stations' coordinates from
           baselines, brightness from components, checks for finite numbers, and all of the above.
predict_vis, chunks, fused : africanus (peers/africanus_predict.py).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numba
import numpy as np

from imaging.algorithms import rime, simulation
from imaging.algorithms.components import Component
from imaging.image import lm_to_radec
from imaging.measurement.contracts import ArrayJones
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.tiles import Observation

CENTRE = (1.2, 0.6)
PEER = Path(__file__).parent / "peers" / "africanus_predict.py"
OURS = ("sum", "equation")


@dataclass(frozen=True)
class Case:
    sources: int
    channels: int
    times: int
    stations: int = 27

    @property
    def cells(self) -> int:
        """Source * baseline * time * channel."""
        return self.sources * self.channels * self.times * self.stations * (self.stations - 1) // 2


CASES = [Case(50, 32, 20), Case(1000, 64, 1)]


class Given:
    """E as it is given: (source, station, time, chan, 2, 2)."""

    def __init__(self, matrices: np.ndarray):
        self.matrices = matrices

    def compute_jones(self, Jones, sources, **kw):
        number = {source.name: i for i, source in enumerate(sources)}

        def fn(tile):
            first, last = number[tile.sources[0].name], number[tile.sources[-1].name]
            return self.matrices[first : last + 1]

        return ArrayJones(fn, "full", sources=sources)


class Work:
    """One case: the observation, the sky, and our two ways."""

    def __init__(self, case: Case, threads: int):
        rng = np.random.default_rng(1)
        positions, names = simulation.vla_antennas("c", case.stations)
        hours = np.linspace(-1, 1, case.times) * np.pi / 12 if case.times > 1 else np.zeros(1)
        when = simulation.time_of_hour_angle(hours, CENTRE[0], simulation.VLA_LONGITUDE, 59000.0)
        p, q, times, uvw = simulation.baseline_tracks(positions, when, CENTRE)
        freq = np.linspace(1.0e9, 1.5e9, case.channels)
        self.observation = Observation(tuple(names), p, q, times, uvw, freq, CENTRE, positions=positions)
        l, m = rng.uniform(-0.01, 0.01, (2, case.sources))
        self.stokes = rng.uniform(0.1, 1, (case.sources, 4)) * [1, 0.1, 0.1, 0.05]
        ra, dec = lm_to_radec(l, m, CENTRE)
        sky = [Component(f"x{i}", float(ra[i]), float(dec[i]), tuple(self.stokes[i])) for i in range(case.sources)]
        shape = (2, case.sources, case.stations, case.times, case.channels, 2, 2)
        self.jones = np.empty(shape[1:], complex)
        self.jones.real, self.jones.imag = (rng.normal(size=shape[1:]) for _ in range(2))
        maker = MeqMaker(context=self.observation, threads=threads)
        maker.add_sky_models(ComponentSky(sky))
        maker.add_sky_jones("E", modules=Given(self.jones))
        self.tree = maker.make_predict_tree()
        self.tile = next(self.observation.tiles())[1]
        self.lmn1 = np.stack([l, m, np.sqrt(1 - l * l - m * m) - 1], 1)
        self.light = rime.brightness(self.stokes)[:, None, None]

    def sum(self):
        tile = self.tile
        vis = np.zeros((len(tile.uvw), len(tile.freq), 2, 2), complex)
        rime.add_sources(vis, self.lmn1, self.light, self.jones, antenna1=tile.antenna1, antenna2=tile.antenna2,
                         time=tile.time_index, uvw=tile.uvw, freq=tile.freq,
                         stations_uvw=tile.stations_uvw)  # fmt: skip
        return vis

    def equation(self):
        ((_, tile),) = self.observation.tiles()
        return self.tree.evaluate(tile)[0]

    def save(self, path: str) -> None:
        tile = self.tile
        np.savez(path, lm=self.lmn1[:, :2], uvw=tile.uvw, freq=tile.freq, time=tile.time_index, p=tile.antenna1,
                 q=tile.antenna2, stokes=self.stokes, brightness=self.light[:, 0, 0],
                 jones=np.ascontiguousarray(self.jones.swapaxes(1, 2)))  # fmt: skip


class Peer:
    """africanus in its own process and environment."""

    def __init__(self, python: str, problem: str):
        alone = os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        alone.pop("PYTHONPATH", None)
        self.process = subprocess.Popen([python, str(PEER), problem], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=alone)  # fmt: skip
        self.versions = json.loads(self.process.stdout.readline())

    def run(self, way: str, path: str = "") -> dict:
        self.process.stdin.write(f"{way} {path}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(case: Case, python: str | None, rounds: int, threads: int) -> dict:
    work = Work(case, threads)
    times: dict[str, list] = {way: [] for way in OURS}
    differences, versions = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        peer = None
        if python:
            work.save(f"{folder}/problem.npz")
            peer = Peer(python, f"{folder}/problem.npz")
            times |= {"predict_vis": [], "fused": []} | ({"chunks": []} if case.sources > 50 else {})
            versions = peer.versions
        for turn in range(rounds + 1):
            for way in times:
                if way in OURS:
                    started, cpu = time.perf_counter(), time.process_time()
                    vis = getattr(work, way)()
                    taken = {"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu}
                else:
                    taken = peer.run(way, "" if turn else f"{folder}/{way}.npy")
                if turn:
                    times[way].append(taken)
                elif way not in OURS:
                    theirs = np.load(f"{folder}/{way}.npy")
                    differences[way] = float(np.abs(vis - theirs).max() / np.abs(theirs).max())
        if peer:
            peer.close()
    return {"case": asdict(case), "cells": case.cells, "times": times, "difference": differences, "peer": versions,
            "threads": threads, "load": os.getloadavg()[0]}  # fmt: skip


def report(found: dict) -> None:
    case = found["case"]
    what = ", ".join(f"{case[name]} {name}" for name in ("sources", "stations", "times", "channels"))
    peer = ", ".join(f"{name} {version}" for name, version in found["peer"].items())
    print(f"\n{what}, {found['threads']} thread(s), load {found['load']:.1f}; {peer}")
    print("| program | s | cpu s | M/s | M/cpu s | of equation | of sum | difference |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for way, times in found["times"].items():
        wall, cpu = (statistics.median(one[kind] for one in times) for kind in ("wall", "cpu"))
        ratios = [statistics.median(a["cpu"] / b["cpu"] for a, b in zip(times, found["times"][ours], strict=True))
                  for ours in ("equation", "sum")]  # fmt: skip
        million = found["cells"] / 1e6
        print(f"| {way} | {wall:.3f} | {cpu:.3f} | {million / wall:.1f} | {million / cpu:.1f} | {ratios[0]:.1f} |"
              f" {ratios[1]:.1f} | {found['difference'].get(way, 0):.0e} |", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--africanus", metavar="PYTHON", default=os.environ.get("AFRICANUS_PYTHON"),
                        help="python of an environment with codex-africanus; default $AFRICANUS_PYTHON")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    print(f"numba {numba.__version__}, numpy {np.__version__}, Python {platform.python_version()}")
    rows = []
    for case in CASES:
        rows.append(measure(case, args.africanus, args.rounds, args.threads))
        report(rows[-1])
    if args.json:
        args.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
