"""What wideband.py and extended.py share: the simulated set, running the programs, measuring known sources."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from imaging.algorithms.beams import area_pixels, covariance, from_covariance
from imaging.image import Beam, Grid, Image, radec_to_lmn
from imaging.io.images import load_image
from imaging.io.truth import load_truth
from imaging.names import Names
from imaging.observation import Observation
from imaging.settings import Settings
from imaging.stages.simulate import simulate

HERE = Path(__file__).resolve().parent
FOUR_LN2 = 4 * math.log(2)


def prepare(name: str) -> Path:
    """The folder ./validation/NAME with the MeasurementSet and the table of its sources, made where not there."""
    folder = Path("validation") / name
    folder.mkdir(parents=True, exist_ok=True)
    sky = HERE / "simulated" / f"{name}_sky.yaml"
    ms, truth = folder / f"{name}.ms", folder / f"{name}.csv"
    if not truth.exists() or truth.stat().st_mtime < sky.stat().st_mtime:
        config = Settings.of(Observation.load(sky).values())
        simulate(ms=str(ms), truth=str(truth), config=config)
    return folder


def truth_of(folder: Path):
    return load_truth(folder / f"{folder.name}.csv")


def run(folder: Path, program: str, command: list[str], again: bool, **environment: str) -> str:
    """Seconds, and seconds of processor time, of a command in `folder`; of an earlier run unless `again`."""
    record = folder / f"{program}.seconds"
    if again or not record.exists():
        print("$", " ".join(command), flush=True)
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with open(folder / f"{program}.log", "w") as log:
            subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log, env={**os.environ, **environment})
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        record.write_text(f"{wall:.0f} ({after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.0f})")
    return record.read_text()


def run_fringeflow(folder: Path, case: str, again: bool, cores: int) -> str:
    command = [sys.executable, "-m", "imaging", "run", str(HERE / "simulated" / f"{case}.yaml"), "--cores", str(cores)]
    return run(folder, case, command, again)


def product(folder: Path, case: str, name: str) -> Image:
    return load_image(folder / Names(case).path(name)) if "." not in name else load_image(
        folder / "results" / case / f"{case}.{name}.fits")  # fmt: skip


def measure(plane: np.ndarray, source, grid: Grid, beam: Beam) -> float:
    """Flux (Jy) of a known source on a plane in Jy/beam; linear in the plane.

    A point: least squares of the beam's amplitude at its place, within the beam's FWHM. A Gaussian: sum of the pixels
    where it exceeds a thousandth of its peak, as the beam shows it.
    """
    shape = seen(source, grid, beam)
    if source.major == 0:
        inside = shape > 0.5
        return float((plane[inside] @ shape[inside]) / (shape[inside] @ shape[inside]))
    return float(plane[shape > 1e-3 * shape.max()].sum() / area_pixels(beam, grid.cell))


def seen(source, grid: Grid, beam: Beam) -> np.ndarray:
    """A source of 1 Jy as the beam shows it (y, x), Jy/beam."""
    l0, m0, _ = radec_to_lmn(source.ra, source.dec, grid.centre)
    wide = from_covariance(covariance(Beam(source.major, source.minor, source.pa)) + covariance(beam))
    l, m = grid.lm()
    dl, dm = l[None, :] - l0, m[:, None] - m0
    s, c = math.sin(wide.pa), math.cos(wide.pa)
    along, across = (dl * s + dm * c) / wide.major, (dl * c - dm * s) / wide.minor
    return beam.major * beam.minor / (wide.major * wide.minor) * np.exp(-FOUR_LN2 * (along**2 + across**2))


def save_picture(figure, path) -> None:
    """As PNG of few colours."""
    from PIL import Image as Picture

    figure.savefig(path, dpi=90, format="png")
    with Picture.open(path) as full:
        full.convert("RGB").quantize(128, Picture.Quantize.MAXCOVERAGE).save(path, optimize=True)


def new_figure(columns: int, width: float, height: float):
    """A figure and its axes side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, np.atleast_1d(figure.subplots(1, columns))


def robust_rms(values) -> float:
    values = np.asarray(values)[np.isfinite(values)]
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
