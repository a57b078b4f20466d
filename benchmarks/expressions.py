"""What modules cost that bind nodes: python benchmarks/expressions.py [--stations 64] [--directions 300] [--json FILE]

A module of phases by TEC (Z) and a beam with pointing errors (E) bind nodes for every station and direction. Built
once, they are evaluated on tiles of 20 times and 32 channels: seconds and memory for each node, of building, of
ordering (first tile less a later one) and of evaluating; and for an image of the beam, whose nodes are those of one
direction. One thread.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np

from imaging.algorithms.components import Component
from imaging.image import lm_to_radec
from imaging.measurement import sources as both
from imaging.measurement.expressions import Meq
from imaging.measurement.literal import node_tile
from imaging.measurement.meow.images import voltages
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky
from imaging.measurement.tiles import Observation
from imaging.measurement.trees import blocks, sky_product

CENTRE, TIMES, CHANNELS = (1.2, 0.6), 20, 32


class Delays:
    """Phases by TEC, other ones for each direction and station."""

    def compute_jones(self, Jones, sources, stations=None, **kw):
        ns = Jones.Subscope()
        for s in sources:
            l, m = s.direction.l(), s.direction.m()
            for i, p in enumerate(stations):
                ns.tec(s, p) << 0.1 * (1 + 0.3 * i) * (l * 10 + m * 7) * Meq.Sin(Meq.Time() * (1e-3 + i * 1e-5))
                Jones(s, p) << Meq.Polar(1, -8.44797245e9 * ns.tec(s, p) / Meq.Freq())
        return Jones


class Pointings:
    def compute_pointings(self, nodes, stations=None, **kw):
        for i, p in enumerate(stations):
            nodes(p) << Meq.Composer(1e-4 * i, -1e-4 * i)
        return nodes


class Beam:
    """cos^3, with pointing errors."""

    def compute_jones(self, Jones, sources, stations=None, pointing_offsets=None, **kw):
        for s in sources:
            lm = s.direction.lm()
            for p in stations:
                off = lm if pointing_offsets is None else Jones.Subscope().lm(s, p) << lm - pointing_offsets(p)
                Jones(s, p) << Meq.Pow(Meq.Cos(Meq.Norm(off) * 65e-9 * Meq.Freq()), 3)
        return Jones


def observation(stations: int) -> Observation:
    rng = np.random.default_rng(1)
    p, q = np.triu_indices(stations, 1)
    index = np.repeat(np.arange(TIMES), len(p))
    p, q = np.tile(p, TIMES), np.tile(q, TIMES)
    place = rng.uniform(-5e3, 5e3, (stations, 3))
    return Observation(
        tuple(f"{i:02d}" for i in range(stations)), p, q, 5.1e9 + 10.0 * index, place[p] - place[q],
        np.linspace(1.0e9, 1.3e9, CHANNELS), phase_centre=CENTRE, positions=place + [0, 0, 6.37e6], interval=10.0,
    )  # fmt: skip


def memory() -> float:
    """MB in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def evaluated(terms, sky, tile) -> float:
    """Seconds for the product of the terms toward all sources, block by block as predictions take them."""
    start = time.perf_counter()
    for block in blocks(sky, tile):
        sky_product(terms, tile.with_sources(block))
    return time.perf_counter() - start


def measure(stations: int, directions: int) -> dict:
    rng = np.random.default_rng(2)
    places = lm_to_radec(*rng.uniform(-0.01, 0.01, (2, directions)), CENTRE)
    components = [
        Component(f"s{i}", float(r), float(d), (1.0, 0, 0, 0)) for i, (r, d) in enumerate(zip(*places, strict=True))
    ]
    maker = MeqMaker(context=observation(stations), use_jones_inspectors=False)
    maker.add_sky_models(ComponentSky(components))
    maker.add_sky_jones("Z", "delays", Delays())
    maker.add_sky_jones("E", "beam", Beam(), pointing=Pointings())
    ((_, tile),) = maker.context.tiles()
    sky, before = maker.get_source_list(), memory()
    start = time.perf_counter()
    terms = maker.sky_terms(sky)
    building = time.perf_counter() - start
    nodes = len(maker.scope.AllNodes())
    built = memory()
    first = evaluated(terms, sky, tile)
    later = min(evaluated(terms, sky, tile) for _ in range(2))
    return {
        "stations": stations, "directions": directions, "nodes": nodes,
        "building: us a node": building / nodes * 1e6, "ordering, once: us a node": (first - later) / nodes * 1e6,
        "evaluating: us a node": later / nodes * 1e6, "building: s": building, "a tile: s": later,
        "nodes: kB each": (built - before) / nodes * 1e3, "nodes: MB": built - before,
        "most memory in use: MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }  # fmt: skip


def image(stations: int, size: int) -> dict:
    """The beam of all stations on size x size pixels, at one time and 4 channels."""
    maker = MeqMaker(context=observation(stations))
    ((_, tile),) = maker.context.tiles(times=TIMES)
    axis = np.linspace(-0.02, 0.02, size)
    l, m = np.meshgrid(axis, axis)
    here = node_tile(tile)
    here.time, here.time_width, here.frequency = here.time[:1], here.time_width[:1], here.frequency[:4]
    here.frequency_width = here.frequency_width[:4]
    with both.meow_context(maker.scope, maker.context):
        start = time.perf_counter()
        found = voltages(Beam().compute_jones, l, m, here, maker.context.stations, ns=maker.scope)
        seconds = time.perf_counter() - start
    return {"image of the beam": f"{size}x{size}, 4 channels", "its nodes": len(maker.scope.AllNodes()),
            "seconds": seconds, "million values a second": found.size / seconds / 1e6}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=64)
    parser.add_argument("--directions", type=int, default=300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.stations, arguments.directions) | image(arguments.stations, 64)
    for name, value in found.items():
        print(f"{name:32} {value if isinstance(value, (str, int)) else f'{value:.3g}'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
