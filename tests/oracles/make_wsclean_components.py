"""Make wsclean_components_*.txt and .npz: python make_wsclean_components.py   (in this folder; needs WSClean 3.1)

WSClean's own source lists of a small simulated field west of 0h, and some pixels of the model images beside them.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from imaging.algorithms import simulation
from imaging.algorithms.components import Component
from imaging.image import lm_to_radec
from imaging.io.images import load_image
from imaging.io.ms_writer import write_ms

HERE = Path(__file__).resolve().parent
COMMAND = "wsclean -j 1 -use-wgridder -no-update-model-required -save-source-list -scale 60asec -size 96 96 -mgain 0.8"
CASES = {
    "log": "-niter 40 -multiscale -join-channels -channels-out 4 -fit-spectral-log-pol 2",
    "pol": "-niter 12 -gain 0.5 -join-channels -channels-out 4 -fit-spectral-pol 3",
}
ARCSEC, CENTRE, REFFREQ = np.radians(1 / 3600), (np.radians(358.5), np.radians(-20.5)), 1.35e9


def simulate(path):
    positions, names = simulation.vla_antennas("d", 10)
    hours = np.linspace(-3, 3, 8)
    time = simulation.time_of_hour_angle(hours * np.pi / 12, CENTRE[0], simulation.VLA_LONGITUDE, 59000.0)
    p, q, time, uvw = simulation.baseline_tracks(positions, time, CENTRE)
    freq = 1.2e9 + 100e6 * np.arange(4)
    ra, dec = lm_to_radec(np.array([0, 600, -900]) * ARCSEC, np.array([0, 300, -1200]) * ARCSEC, CENTRE)
    sky = [
        Component("a", ra[0], dec[0], (1, 0, 0, 0), -0.7, REFFREQ),
        Component("b", ra[1], dec[1], (0.5, 0, 0, 0), (0.5, -1), REFFREQ),
        Component("c", ra[2], dec[2], (2, 0, 0, 0), -1, REFFREQ, 300 * ARCSEC, 200 * ARCSEC, 0.5),
    ]
    vis = simulation.predict_components(uvw, freq, sky, CENTRE, ("RR", "LL"))
    write_ms(path, antenna_positions=positions, antenna_names=names, antenna1=p, antenna2=q, time=time, uvw=uvw,
             vis=vis, freq=freq, phase_centre=CENTRE, corr_type=("RR", "LL"), weight=np.ones((len(p), 2)))  # fmt: skip


def main():
    for case, options in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            simulate(f"{folder}/tiny.ms")
            command = [*COMMAND.split(), *options.split(), "-name", case, "tiny.ms"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            (HERE / f"wsclean_components_{case}.txt").write_text(Path(f"{folder}/{case}-sources.txt").read_text())
            images = [load_image(f"{folder}/{case}-{chan:04d}-model.fits") for chan in range(4)]
            cube = np.concatenate([image.data[:, 0] for image in images])
            brightest = np.argsort(-np.abs(cube[0]).ravel())[:60]
            others = np.random.default_rng(1).choice(cube[0].size, 60, replace=False)
            y, x = np.unravel_index(np.concatenate([brightest, others]), cube[0].shape)
            np.savez_compressed(HERE / f"wsclean_components_{case}.npz", x=x, y=y, model=cube[:, y, x],
                                total=cube.sum(axis=(1, 2), dtype=float), freq=[i.grid.freq[0] for i in images],
                                centre=images[0].grid.centre, cell=images[0].grid.cell)  # fmt: skip


if __name__ == "__main__":
    main()
