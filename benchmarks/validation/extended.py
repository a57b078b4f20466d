"""A source of some hundred beams with points inside, imaged three ways: python benchmarks/validation/extended.py

Works in ./validation/extended. What is wrong with the restored images, with the fluxes and with the residuals; prints
the table of docs/validation.md. WSClean and CASA (--casa PYTHON, one with casatasks) run where they are installed. A
program that has run is not run again without --again.
"""

from __future__ import annotations

import argparse
import shutil

import numpy as np
from matplotlib.colors import AsinhNorm
from simulated import (
    HERE,
    measure,
    new_figure,
    prepare,
    product,
    robust_rms,
    run,
    run_fringeflow,
    save_picture,
    seen,
    truth_of,
)

from imaging.algorithms.beams import area_pixels
from imaging.io.images import load_image

THRESHOLD = 5e-4  # Jy/beam, to which all programs clean
WSCLEAN = (
    "wsclean -use-wgridder -no-update-model-required -pol i -scale 8asec -size 512 512 -weight briggs 0 -niter 100000"
    f" -threshold {THRESHOLD} -mgain 0.8 -multiscale -name wsclean"
).split()
CASES = {"extended": "multiscale", "extended_joined": "wideband"}
INSIDE = 0.01  # of the peak of the true extended source: where the source is


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--casa", default="", help="a python with casatasks")
    parser.add_argument("--again", nargs="*", default=[], help="programs to run again: extended, wsclean, ...")
    parser.add_argument("--picture", default="", help="PNG file to draw")
    arguments = parser.parse_args()
    folder, rows = prepare("extended"), []
    sources = truth_of(folder)
    for case, what in CASES.items():
        seconds = run_fringeflow(folder, case, case in arguments.again, arguments.cores)
        rows.append(
            row(f"**Fringeflow**, {what}", seconds, sources, lambda kind, case=case: product(folder, case, kind))
        )
    if shutil.which("wsclean"):
        command = [*WSCLEAN, "-j", str(arguments.cores), "extended.ms"]
        seconds = run(folder, "wsclean", command, "wsclean" in arguments.again)
        rows.append(row("WSClean", seconds, sources, lambda kind: load_image(folder / f"wsclean-{kind}.fits")))
    if arguments.casa:
        script = str(HERE.parent / "peers" / "casa_simulated.py")
        command = [arguments.casa, script, "extended.ms", "casa", "extended"]
        seconds = run(folder, "casa", command, "casa" in arguments.again, PYTHONPATH="")
        rows.append(row("CASA multiscale", seconds, sources, lambda kind: load_image(folder / f"casa.{kind}.fits")))
    report(rows)
    if arguments.picture:
        draw(arguments.picture, rows)


def row(program: str, seconds: str, sources, images) -> dict:
    """Relative errors of fluxes; brightnesses in mJy/beam, errors against the truth as the restoring beam shows it."""
    restored, left = images("image"), 1e3 * images("residual").data[0, 0].astype(float)
    grid, beam, data = restored.grid, restored.beams[0], restored.data[0, 0].astype(float)
    extended, points = ([s for s in sources if bool(s.major) is wanted] for wanted in (True, False))
    wide, narrow = (sum(s.stokes[0] * seen(s, grid, beam) for s in kind) for kind in (extended, points))
    inside = wide > INSIDE * wide.max()
    error = 1e3 * (data - wide - narrow)
    total = sum(s.stokes[0] for s in sources)
    return {
        "image": restored.data[0, 0],
        "error": error,
        "program": program,
        "seconds": seconds,
        "beams": (wide > 0.1 * wide.max()).sum() / area_pixels(beam, grid.cell),
        "flux": (data - narrow)[inside].sum() / wide[inside].sum() - 1,
        "model": images("model").data.sum(dtype=float) / total - 1,
        "point": max((measure(data - wide, s, grid, beam) / s.stokes[0] - 1 for s in points), key=abs),
        "rms": error[inside].std(),
        "worst": np.abs(error[inside]).max(),
        "left": left[inside].std(),
        "highest": np.abs(left).max(),
        "noise": robust_rms(left[~inside]),
    }


def draw(path: str, rows) -> None:
    """The restored image, and what is wrong with that of each program."""
    figure, panels = new_figure(1 + len(rows), 2.7 * (1 + len(rows)), 3.0)
    middle = slice(256 - 110, 256 + 110)
    shown = panels[0].imshow(1e3 * rows[0]["image"][middle, middle], origin="lower", cmap="inferno",
                             norm=AsinhNorm(10, -1, 300))  # fmt: skip
    panels[0].set_title("Fringeflow, restored", fontsize=9)
    figure.colorbar(shown, ax=panels[0], orientation="horizontal", label="mJy/beam", ticks=[0, 10, 100])
    for axes, r in zip(panels[1:], rows, strict=True):
        shown = axes.imshow(r["error"][middle, middle], origin="lower", cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_title(r["program"].replace("**", "") + ": error", fontsize=9)
        figure.colorbar(shown, ax=axes, orientation="horizontal", label="mJy/beam", ticks=[-1, 0, 1])
    for axes in panels:
        axes.set(xticks=[], yticks=[])
    save_picture(figure, path)


def report(rows) -> None:
    print(f"\nBrighter than a tenth of its peak on {rows[0]['beams']:.0f} beams. Brightnesses in mJy/beam.\n")
    columns = {"flux": "+.2%", "model": "+.2%", "point": "+.2%", "rms": ".3f", "worst": ".2f", "left": ".3f",
               "highest": ".2f", "noise": ".3f", "seconds": ""}  # fmt: skip
    print("| program | extended flux | model | worst point | rms error | largest error | residual rms inside |"
          " largest residual | noise outside | seconds (of processor) |")  # fmt: skip
    print("|---|" + "---:|" * len(columns))
    for r in rows:
        print(f"| {r['program']} | " + " | ".join(format(r[key], style) for key, style in columns.items()) + " |")


if __name__ == "__main__":
    main()
