"""Spoil a field with gains, image it with self-calibration, compare: python benchmarks/validation/selfcal.py

Works in ./validation/selfcal. Prints the table of docs/selfcal.md: dynamic range (peak over the noise off the sources)
of each round and of the same field and noise without gains, and how far the solutions are from the gains that were put
in. A run that is there is not made again without --again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import casacore.tables
import numpy as np
from matplotlib.colors import AsinhNorm
from simulated import HERE, new_figure, run, save_picture

from imaging.algorithms.calibration import at
from imaging.algorithms.components import Component
from imaging.algorithms.rime import station_uvw
from imaging.algorithms.selfcal import peak_and_noise
from imaging.image import lm_to_radec
from imaging.io.component_list import save_components
from imaging.io.images import load_image
from imaging.io.solutions import load_solutions
from imaging.units import SPEED_OF_LIGHT

CENTRE, ARCMIN, SKY = (np.pi, np.radians(40)), np.radians(1 / 60), "gains_sky.txt"
RUNS = {
    "gains": ("gains", []),
    "clear": ("gains", ["measurement.uv_jones=[]", "name=clear"]),
    "perfect": ("selfcal", ["name=perfect", "selfcal.rounds=0", "data.vis=results/clear/clear.array.corrupt.ms"]),
    "selfcal": ("selfcal", []),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--again", nargs="*", default=[], help=f"runs to make again: {', '.join(RUNS)}")
    parser.add_argument("--picture", default="", help="PNG file to draw")
    arguments = parser.parse_args()
    folder = Path("validation") / "selfcal"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SKY).exists():
        save_components(points(), folder / SKY)
    for name, (case, changes) in RUNS.items():
        command = [sys.executable, "-m", "imaging", "run", str(HERE / "simulated" / f"{case}.yaml"),
                   "--cores", str(arguments.cores), *(word for s in changes for word in ("--set", s))]  # fmt: skip
        seconds = run(folder, name, command, name in arguments.again)
        print(f"{name}: {seconds} s (of processor)")
    verdict = report(folder)
    if arguments.picture:
        draw(arguments.picture, folder, verdict)


def points(seed: int = 4) -> list[Component]:
    """Twelve within 11', of 5 to 300 mJy."""
    rng, found = np.random.default_rng(seed), []
    for number, flux in enumerate(np.geomspace(0.3, 0.005, 12)):
        r, angle = 11 * ARCMIN * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
        ra, dec = map(float, lm_to_radec(r * np.sin(angle), r * np.cos(angle), CENTRE))
        found.append(Component(f"s{number:02d}", ra, dec, (float(flux), 0, 0, 0), (), 1.404e9))
    return found


def product(folder: Path, name: str, kind: str):
    return load_image(folder / "results" / name / f"{name}.{kind}.fits")


def dynamic_range(folder: Path, name: str) -> float:
    image, residual, mask = (product(folder, name, kind) for kind in ("image", "residual", "mask"))
    peak, rms = peak_and_noise(image.data, residual.data, mask.data > 0, image.usable(image.data.shape))
    return peak / rms


def gains_put_in(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(station, time, feed) and the times, MJD s, as the inspector of the term G saw them."""
    with np.load(folder / "results/gains/gains.array.corrupt.inspect.npz") as seen:
        return seen["G:inspector"][0], seen["time"]


def report(folder: Path) -> dict:
    verdict = json.loads((folder / "results/selfcal/selfcal.selfcal.json").read_text())
    clear = dynamic_range(folder, "perfect")
    print("\n| | calmode | dynamic range | of that without gains | phases off, deg, after a shift | amplitudes off |")
    print("|---|---|---:|---:|---:|---:|")
    for one in verdict["rounds"]:
        number, found = one["round"], one["dynamic_range"]
        mode, phase, amplitude = misfit(folder, number) if number else ("", "", "")
        title = f"round {number}{' (best)' if number == verdict['best'] else ''}"
        print(f"| {title} | {mode} | {found:.0f} | {100 * found / clear:.1f} % | {phase} | {amplitude} |")
    print(f"| no gains | | {clear:.0f} | | | |\n\nstopped: {verdict['reason']}")
    return verdict


def misfit(folder: Path, number: int) -> tuple[str, str, str]:
    """calmode, and rms errors of the solutions: of phases, after a common shift of the field, and of amplitudes."""
    table = load_solutions(folder / f"results/selfcal-self{number}/selfcal-self{number}.solutions.npz")
    ratio = compared(folder, table)[2]
    amplitude = abs(ratio) / abs(ratio).mean(0)
    phase = np.angle(ratio / np.exp(1j * np.angle(ratio.mean(0))))
    phase, turns = phase - phase.mean(0), station_turns(folder)
    shift = np.linalg.lstsq(2 * np.pi * turns.reshape(-1, 2), phase.mean(2).ravel(), rcond=None)[0]
    left = np.degrees((phase - (2 * np.pi * turns @ shift)[..., None]).std())
    moved = f"{left:.2f}, after {np.degrees(np.hypot(*shift)) * 3600:.2f}″"
    return table.calmode, moved, f"{100 * amplitude.std():.2f} %" if table.calmode == "ap" else ""


def station_turns(folder: Path) -> np.ndarray:
    """u and v of the stations, wavelengths from their mean (station, time, 2)."""
    with casacore.tables.table(str(folder / "results/gains/gains.array.corrupt.ms"), ack=False) as main:
        p, q, uvw, time = (main.getcol(name) for name in ("ANTENNA1", "ANTENNA2", "UVW", "TIME"))
    place, _ = station_uvw(uvw, p, q, np.unique(time, return_inverse=True)[1], 1 + q.max())
    place = place[..., :2].transpose(1, 0, 2) * 1.404e9 / SPEED_OF_LIGHT
    return place - place.mean(0)


def compared(folder: Path, table):
    """Times, the gains put in as seen from the reference, and solutions over them: (station, time, feed)."""
    true, time = gains_put_in(folder)
    gains, block = at(table, time, np.array([1.404e9]), "nearest")
    reference = true[table.stations.index(table.refant)]
    true = true * reference.conj() / abs(reference)
    return time, true, gains[:, :, block[0]] / true


def draw(path: str, folder: Path, verdict: dict) -> None:
    """The field before and after, and solutions over what was put in, of every station."""
    figure, panels = new_figure(4, 15.0, 3.6)
    for axes, (name, title) in zip(panels, (("selfcal-self0", "round 0"), ("selfcal", f"round {verdict['best']}")),
                                   strict=False):  # fmt: skip
        image = product(folder, name, "image")
        shown = axes.imshow(1e3 * image.data[0, 0], origin="lower", cmap="inferno", norm=AsinhNorm(0.5, -1, 200))
        axes.set(title=f"{title}: dynamic range {dynamic_range(folder, name):.0f}", xticks=[], yticks=[])
    bar = figure.colorbar(shown, ax=panels[1], label="mJy/beam", ticks=[-1, 0, 1, 5, 20, 100], shrink=0.8)
    bar.ax.set_yticklabels(["-1", "0", "1", "5", "20", "100"])
    table = load_solutions(folder / "results/selfcal/selfcal.solutions.npz")
    time, true, ratio = compared(folder, table)
    hours, solved = (time - time[0]) / 3600, ratio * true
    for axes, function, title in ((panels[2], lambda g: np.angle(g, deg=True), "phase (deg)"),
                                  (panels[3], abs, "amplitude")):  # fmt: skip
        for station in range(0, len(true), 3):
            [line] = axes.plot(hours, function(true[station, :, 0]), lw=1)
            axes.plot(hours, function(solved[station, :, 0]), ".", ms=3, color=line.get_color())
        axes.set(title=title, xlabel="hours", box_aspect=1)
    save_picture(figure, path)


if __name__ == "__main__":
    main()
