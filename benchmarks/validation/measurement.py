"""Simulate with the measurement equation, image, measure: python benchmarks/validation/measurement.py

Works in ./validation/measurement. 27 antennas see points all over the primary beam; runs of the workflow without errors
of the stations, with errors that are undone, and with errors that stay. Prints the table of docs/validation.md: errors
of fluxes and places in units of what the noise explains. A run that is there is not made again without --again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.colors import AsinhNorm
from matplotlib.patches import Circle
from simulated import HERE, new_figure, run, save_picture

from imaging.algorithms.components import Component
from imaging.algorithms.source_measuring import measure_sources, robust_rms
from imaging.image import lm_to_radec, radec_to_lmn
from imaging.io.component_list import load_components, save_components
from imaging.io.images import load_image

CENTRE, ARCMIN = (np.pi, np.radians(40)), np.radians(1 / 60)
SKY, POINTS = "measurement_sky.txt", 30
RUNS = {
    "perfect": ("no errors of stations", ["measurement.uv_jones=[]"]),
    "measurement": ("errors, corrected", []),
    "uncorrected": ("errors, left", ["measurement.steps=[simulate, predict, corrupt]"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--again", nargs="*", default=[], help=f"runs to make again: {', '.join(RUNS)}")
    parser.add_argument("--seed", type=int, default=1, help="of noise and errors")
    parser.add_argument("--picture", default="", help="PNG file to draw")
    arguments = parser.parse_args()
    folder = Path("validation") / "measurement"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SKY).exists():
        save_components(points(), folder / SKY)
    rows = {}
    for name, (title, changes) in RUNS.items():
        settings = [f"name={name}", f"measurement.seed={arguments.seed}", *changes]
        command = [sys.executable, "-m", "imaging", "run", str(HERE / "simulated" / "measurement.yaml"),
                   "--cores", str(arguments.cores), *(word for s in settings for word in ("--set", s))]  # fmt: skip
        seconds = run(folder, name, command, name in arguments.again)
        rows[name] = row(title, seconds, folder, name)
    report(rows.values())
    if arguments.picture:
        draw(arguments.picture, rows)


def points(seed: int = 11) -> list[Component]:
    """All over 24', 2.5' apart at least, 3 to 100 mJy, polarised by 6 %, with spectral indices of -1 to 0."""
    rng, places = np.random.default_rng(seed), np.zeros((0, 2))
    while len(places) < POINTS:
        r, angle = 24 * ARCMIN * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
        place = r * np.array([np.sin(angle), np.cos(angle)])
        if not len(places) or np.hypot(*(places - place).T).min() > 2.5 * ARCMIN:
            places = np.vstack([places, place])
    found = []
    for number, place in enumerate(places):
        flux, index = 10 ** rng.uniform(np.log10(0.003), -1), rng.uniform(-1, 0)
        ra, dec = map(float, lm_to_radec(*place, CENTRE))
        stokes = tuple(float(flux * x) for x in (1, 0.05, -0.03, 0))
        found.append(Component(f"s{number:02d}", ra, dec, stokes, (float(index),), 1.404e9))
    return found


def attenuated(components, pb) -> list[Component]:
    """As the primary beam's image shows them: where it slopes, a restored point divided by it is no longer in place."""
    from scipy.ndimage import map_coordinates

    grid, plane, found = pb.grid, np.nan_to_num(pb.data[0, 0].astype(float)), []
    for c in components:
        l, m, _ = radec_to_lmn(c.ra, c.dec, grid.centre)
        place = [[m / grid.cell[1] + grid.shape[0] // 2], [grid.shape[1] // 2 - l / grid.cell[0]]]
        power = float(map_coordinates(plane, place, order=3)[0])
        found.append(replace(c, stokes=tuple(power * x for x in c.stokes)))
    return found


def row(title: str, seconds: str, folder: Path, name: str) -> dict:
    image, residual, pb = (
        load_image(folder / "results" / name / f"{name}.{kind}.fits") for kind in ("image", "residual", "pb")
    )
    rms = robust_rms(residual.data[0, 0][pb.data[0, 0] > 0.05])
    plane, noise = image.data[0, 0].astype(float), np.full(image.grid.shape, rms)
    sky = attenuated(load_components(folder / SKY), pb)
    found = measure_sources(sky, plane, noise, image.grid, image.beams[0])
    return {
        "title": title,
        "plane": plane,
        "snr": np.array([x.true_flux / x.flux_error for x in found]),
        "flux": np.array([(x.flux - x.true_flux) / x.flux_error for x in found]),
        "offset": np.array([np.array(x.offset) / x.offset_error for x in found]),
        "noise": 1e6 * rms,
        "range": plane.max() / rms,
        "seconds": seconds,
    }


def report(rows) -> None:
    print(
        f"\n{POINTS} points, of {min(r['snr'].min() for r in rows):.0f} to {max(r['snr'].max() for r in rows):.0f} σ.\n"
    )
    print("| | fluxes: rms error, σ | mean, σ | largest, σ | places: rms error, σ | largest, σ | noise, µJy/beam |"
          " peak / noise | seconds (of processor) |\n|---|" + "---:|" * 8)  # fmt: skip
    for r in rows:
        flux, offset = r["flux"], r["offset"]
        print(f"| {r['title']} | {np.sqrt((flux**2).mean()):.2f} | {flux.mean():+.2f} | {np.abs(flux).max():.1f} |"
              f" {np.sqrt((offset**2).mean()):.2f} | {np.abs(offset).max():.1f} | {r['noise']:.1f} |"
              f" {r['range']:.0f} | {r['seconds']} |")  # fmt: skip


def draw(path: str, rows: dict) -> None:
    """The field with errors that are left and undone; errors of fluxes and places of the runs without them."""
    figure, panels = new_figure(4, 13.0, 3.5)
    for axes, name in zip(panels, ("uncorrected", "measurement"), strict=False):
        middle = slice(140, -140)
        shown = axes.imshow(1e3 * rows[name]["plane"][middle, middle], origin="lower", cmap="inferno",
                            norm=AsinhNorm(0.2, -0.2, 30))  # fmt: skip
        axes.set(title=rows[name]["title"], xticks=[], yticks=[])
    bar = figure.colorbar(shown, ax=panels[1], label="mJy/beam", ticks=[0, 0.2, 1, 5, 25], shrink=0.75)
    bar.ax.set_yticklabels(["0", "0.2", "1", "5", "25"])
    panels[2].axhspan(-1, 1, color="0.9")
    panels[3].add_patch(Circle((0, 0), 1, color="0.9"))
    for name, mark in (("perfect", "o"), ("measurement", "x")):
        r = rows[name]
        panels[2].semilogx(r["snr"], r["flux"], mark, mfc="none", ms=5, label=r["title"])
        panels[3].plot(*r["offset"].T, mark, mfc="none", ms=5)
    panels[2].set(xlabel="flux / noise", ylabel="error / noise", title="fluxes", ylim=(-5, 5), box_aspect=1)
    panels[3].set(xlabel="east / noise", ylabel="north / noise", title="places", xlim=(-5, 5), ylim=(-5, 5), aspect=1)
    panels[2].legend(fontsize=7)
    save_picture(figure, path)


if __name__ == "__main__":
    main()
