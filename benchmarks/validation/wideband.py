"""A simulated field from 1 to 2 GHz, imaged by Fringeflow, WSClean and CASA: python benchmarks/validation/wideband.py

Works in ./validation/wideband. Fluxes at 1.5 GHz and spectral indices of known points and Gaussians; prints the table
of docs/validation.md. WSClean and CASA (--casa PYTHON, one with casatasks) run where they are installed. A program that
has run is not run again without --again.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
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
    truth_of,
)

from imaging.io.images import load_image

REFFREQ = 1.5e9
THRESHOLD = 50e-6  # Jy/beam, to which all programs clean
WSCLEAN = (
    "wsclean -use-wgridder -no-update-model-required -pol i -scale 1.5asec -size 640 640 -weight briggs 0 -niter 200000"
    f" -threshold {THRESHOLD} -mgain 0.8 -multiscale -join-channels -channels-out 16"
).split()
CASES = {"wideband": "joined channels", "wideband_mtmfs": "mtmfs"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--casa", default="", help="a python with casatasks")
    parser.add_argument("--again", nargs="*", default=[], help="programs to run again: wideband, wsclean_pol3, ...")
    parser.add_argument("--terms", type=int, nargs="*", default=[3, 4], help="terms of WSClean's polynomial")
    parser.add_argument("--picture", default="", help="PNG file to draw")
    arguments = parser.parse_args()
    folder, rows = prepare("wideband"), []
    for case, what in CASES.items():
        seconds = run_fringeflow(folder, case, case in arguments.again, arguments.cores)
        found = from_terms if case.endswith("mtmfs") else from_channels
        rows.append(
            (f"**Fringeflow**, {what}", seconds, *found(folder, lambda name, case=case: product(folder, case, name)))
        )
    if shutil.which("wsclean"):
        for terms in arguments.terms:
            name = f"wsclean_pol{terms}"
            further = ["-j", str(arguments.cores), "-fit-spectral-pol", str(terms), "-name", name, "wideband.ms"]
            rows.append((f"WSClean, {terms} terms", run(folder, name, [*WSCLEAN, *further], name in arguments.again),
                         *from_channels(folder, lambda kind, name=name: wsclean_cube(folder, name, kind))))  # fmt: skip
    if arguments.casa:
        script = str(HERE.parent / "peers" / "casa_simulated.py")
        command = [arguments.casa, script, "wideband.ms", "casa", "wideband", "3"]
        seconds = run(folder, "casa", command, "casa" in arguments.again, PYTHONPATH="")
        rows.append(("CASA mtmfs, 3 terms", seconds,
                     *from_terms(folder, lambda name: load_image(folder / f"casa.{name}.fits"))))  # fmt: skip
    report(truth_of(folder), rows)
    if arguments.picture:
        draw(arguments.picture, truth_of(folder), rows)


def wsclean_cube(folder: Path, name: str, kind: str) -> list:
    return [load_image(path) for path in sorted(folder.glob(f"{name}-00??-{kind}.fits"))]


def planes_of(images):
    """(freq, plane, grid, beam) of each channel of a cube, or of a list of images."""
    for image in images if isinstance(images, list) else [images]:
        for chan, freq in enumerate(image.grid.freq):
            yield freq, image.data[chan, 0].astype(float), image.grid, (image.beams or (None,) * (chan + 1))[chan]


def from_channels(folder: Path, images):
    """Noise of the mean residual; of each source flux and index at REFFREQ by a parabola in logarithms."""
    sources = truth_of(folder)
    flux, freq = [], []
    for nu, plane, grid, beam in planes_of(images("image")):
        freq.append(nu)
        flux.append([measure(plane, source, grid, beam) for source in sources])
    noise = [robust_rms(plane) for _, plane, _, _ in planes_of(images("residual"))]
    x = np.log(np.array(freq) / REFFREQ)
    found = []
    for values in np.array(flux).T:
        terms = np.polynomial.polynomial.polyfit(x, np.log(np.maximum(values, 1e-6)), 2, w=values / noise)
        found.append((float(np.exp(terms[0])), float(terms[1])))
    return float(1 / np.sqrt(np.sum(1 / np.square(noise)))), found


def from_terms(folder: Path, images):
    """The same of Taylor terms about REFFREQ: the index is the ratio of the second to the first."""
    first, second = images("image.tt0"), images("image.tt1")
    found = []
    for source in truth_of(folder):
        flux, slope = (
            measure(image.data[0, 0].astype(float), source, first.grid, first.beams[0]) for image in (first, second)
        )
        found.append((flux, slope / flux))
    return robust_rms(images("residual.tt0").data[0, 0]), found


def draw(path: str, sources, rows) -> None:
    """Errors of fluxes and of spectral indices, of every program, over the flux."""
    figure, both = new_figure(2, 9.0, 3.6)
    true = np.array([float(s.flux(REFFREQ)) for s in sources])
    index = np.array([(s.spectral_index or (0.0,))[0] for s in sources])
    for (name, _, _, found), marker in zip(rows, "o^svDP*", strict=False):
        flux, slope = np.array(found).T
        label = name.replace("**", "")
        for axes, values in zip(both, (100 * (flux / true - 1), slope - index), strict=True):
            axes.semilogx(true, values, marker, label=label, markersize=5, alpha=0.8, markerfacecolor="none")
    for axes, limit, what, shown in zip(
        both, (1.0, 0.03), ("flux at 1.5 GHz, %", "spectral index"), (1.5, 0.3), strict=True
    ):
        axes.axhspan(-limit, limit, color="0.92", zorder=0)
        axes.set(xlabel="flux, Jy", ylabel=f"error of the {what}", ylim=(-shown, shown))
    both[1].set_yscale("symlog", linthresh=0.03)
    both[0].legend(fontsize=8)
    save_picture(figure, path)


def report(sources, rows) -> None:
    true = [(float(s.flux(REFFREQ)), *(s.spectral_index or (0.0,))) for s in sources]
    print("\n| source | Jy at 1.5 GHz | α |" + "".join(f" {row[0]} |" for row in rows))
    print("|---|---:|---:|" + "---:|" * len(rows))
    for number, (source, (flux, index, *curved)) in enumerate(zip(sources, true, strict=True)):
        errors = [f"{row[3][number][0] / flux - 1:+.2%}, {row[3][number][1] - index:+.3f}" for row in rows]
        kind = ("Gaussian" if source.major else "point") + (", curved" if curved else "")
        print(f"| {kind} | {flux:.3g} | {index:+.1f} | " + " | ".join(errors) + " |")
    print("| largest error | | |" + "".join(
        f" {max(abs(f / t[0] - 1) for (f, _), t in zip(row[3], true, strict=True)):.2%},"
        f" {max(abs(a - t[1]) for (_, a), t in zip(row[3], true, strict=True)):.3f} |" for row in rows))  # fmt: skip
    print("| noise, µJy/beam | | |" + "".join(f" {1e6 * row[2]:.1f} |" for row in rows))
    print("| seconds (of processor) | | |" + "".join(f" {row[1]} |" for row in rows))


if __name__ == "__main__":
    main()
