"""Image the real observations and compare: python benchmarks/validation/run.py --data DIR [--cores N] [case ...]

DIR holds real/ (archives of MeasurementSets) and truth/. Everything is made in ./validation: unpacked sets, results.
Cases are the configurations beside this file. Prints tables in the form of docs/validation.md; `peers.csv` holds what
WSClean 3.1 and CASA 6.7 make of the same data (benchmarks/peers).
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np

from imaging.config_base import load_values
from imaging.image import Image
from imaging.io.images import load_image

HERE, FOLDER = Path(__file__).resolve().parent, Path("validation")
ARCHIVES = {"vela-60.ms": "askap_vela-60.tgz"}
COLUMNS = {"peak": 1, "mad": 1e3, "largest": 1e3, "model": 1}
BOX = 5  # pixels around a catalogue position


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("case", nargs="*", default=sorted(path.stem for path in HERE.glob("*.yaml")))
    arguments = parser.parse_args()
    data = arguments.data.resolve()
    FOLDER.mkdir(exist_ok=True)
    for case in arguments.case:
        run(case, data, arguments.cores)
    compare_with_peers(arguments.case)
    if "3c286" in arguments.case:
        measure_nvss(data)
        compare_with_obit(data)
    if "fornaxA" in arguments.case:
        measure_field_sources(data)


def run(case: str, data: Path, cores: int) -> None:
    ms = load_values(HERE / f"{case}.yaml")["data"]["vis"]
    if not (FOLDER / ms).exists():
        with tarfile.open(data / "real" / ARCHIVES.get(ms, f"{ms}.tar.gz")) as tar:
            tar.extractall(FOLDER, filter="data")
    command = [sys.executable, "-m", "imaging", "run", str(HERE / f"{case}.yaml"), "--cores", str(cores)]
    subprocess.run(command, cwd=FOLDER, check=True, stdout=subprocess.DEVNULL)


def product(case: str, name: str) -> Image:
    return load_image(FOLDER / "results" / case / f"{case}.{name}.fits")


def compare_with_peers(cases: list[str]) -> None:
    with open(HERE / "peers.csv") as file:
        peers = list(csv.DictReader(line for line in file if not line.startswith("#")))
    print("\n| case | program | peak Jy/beam | noise mJy/beam | largest residual mJy/beam | model Jy | beam |")
    print("|---|---|---:|---:|---:|---:|---|")
    for case in cases:
        restored = product(case, "image")
        major, minor = (np.degrees(axis) * 3.6e6 for axis in (restored.beams[0].major, restored.beams[0].minor))
        residual = product(case, "residual").data
        values = residual[np.isfinite(residual)]
        own = {"case": case, "program": "**Fringeflow**", "peak": np.nanmax(restored.data), "mad": robust_rms(values),
               "largest": np.abs(values).max(), "model": product(case, "model").data.sum(dtype=float),
               "major_mas": major, "minor_mas": minor, "pa": np.degrees(restored.beams[0].pa)}  # fmt: skip
        for row in (own, *(peer for peer in peers if peer["case"] == case)):
            flux = " | ".join(f"{float(row[key]) * scale:.4g}" for key, scale in COLUMNS.items())
            beam = format_beam(*(float(row[key]) for key in ("major_mas", "minor_mas", "pa")))
            print(f"| {case} | {row['program']} | {flux} | {beam} |")


def format_beam(major: float, minor: float, pa: float) -> str:
    unit, scale = ("mas", 1) if major < 1e3 else ('"', 1e3)
    return f"{major / scale:.4g} x {minor / scale:.4g} {unit}, {pa:.0f} deg"


def robust_rms(values) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def pixel_of(image: Image, ra_deg: float, dec_deg: float) -> tuple[float, float]:
    """Fractional (x, y) of a position in the SIN projection."""
    grid = image.grid
    (ra0, dec0), ra, dec = grid.centre, np.radians(ra_deg), np.radians(dec_deg)
    l = np.cos(dec) * np.sin(ra - ra0)
    m = np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra - ra0)
    return grid.shape[1] // 2 - l / grid.cell[0], grid.shape[0] // 2 + m / grid.cell[1]


def measure_near(image: Image, x: float, y: float) -> tuple[float, float, float]:
    """Peak in the box around (x, y), and the offset (x, y) of the centroid of what is above half of it, in pixels."""
    rows, columns = np.mgrid[round(y) - BOX : round(y) + BOX + 1, round(x) - BOX : round(x) + BOX + 1]
    near = image.data[0, 0, rows, columns]
    weight = np.where(near > near.max() / 2, near, 0) / near[near > near.max() / 2].sum()
    return float(near.max()), float((weight * columns).sum() - x), float((weight * rows).sum() - y)


def measure_nvss(data: Path) -> None:
    image, noise = product("3c286", "image.pbcor"), robust_rms(product("3c286", "residual").data)
    beam = product("3c286", "pb").data[0, 0]
    print('\n| NVSS source | NVSS mJy (45") | found mJy/beam | noise there | offset E, N |')
    print("|---|---:|---:|---:|---|")
    with open(data / "truth" / "nvss50mJy_vla_3c286_L.csv") as file:
        for row in csv.DictReader(file):
            x, y = pixel_of(image, float(row["ra_deg"]), float(row["dec_deg"]))
            if min(x, y) > BOX and max(x, y) < min(image.grid.shape) - BOX - 1:
                peak, dx, dy = measure_near(image, x, y)
                cell = np.degrees(image.grid.cell[0]) * 3600
                there = 1e3 * noise / beam[round(y), round(x)]
                flux = f"{1e3 * float(row['nvss_peak_jy']):.0f} | {1e3 * peak:.0f} | {there:.0f}"
                print(f'| {row["ra_deg"]} {row["dec_deg"]} | {flux} | {-dx * cell:+.1f}", {dy * cell:+.1f}" |')


def compare_with_obit(data: Path) -> None:
    ours = product("3c286", "cycle000.residual").data[0, 0]
    theirs = load_image(data / "real" / "UVImageTestMaster.fits.gz").data[0, 0]
    places = [np.unravel_index(image.argmax(), image.shape) for image in (ours, theirs)]
    print(
        f"\nDirty image against Obit's: peak {ours.max():.4f} against {theirs.max():.4f} Jy/beam, in the same pixel: "
        f"{places[0] == places[1]}; correlation {np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]:.4f}; "
        f"rms of the difference {(ours - theirs).std() / ours.max():.2%} of the peak"
    )


def measure_field_sources(data: Path) -> None:
    image = product("fornaxA", "image")
    noise = robust_rms(product("fornaxA", "residual").data)
    text = (data / "truth" / "mwa_fornax_field_sources_wsclean_briggs0.txt").read_text()
    pattern = r"^(\S+) +S185=(\S+) Jy ra (\S+) dec (\S+) sep (\S+) deg"
    print("\n| source | degrees from the centre | peak Jy/beam | sigma | offset x, y in pixels |")
    print("|---|---:|---:|---:|---|")
    for name, _, ra, dec, distance in re.findall(pattern, text, flags=re.MULTILINE):
        x, y = pixel_of(image, float(ra), float(dec))
        if min(x, y) > BOX and max(x, y) < min(image.grid.shape) - BOX - 1:
            peak, dx, dy = measure_near(image, x, y)
            if peak > 5 * noise:
                print(f"| {name} | {float(distance):.2f} | {peak:.2f} | {peak / noise:.0f} | {dx:+.2f}, {dy:+.2f} |")


if __name__ == "__main__":
    main()
