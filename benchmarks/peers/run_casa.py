"""CASA's tclean on the four real data sets: <CASA's python> run_casa.py DATA_DIR OUT_DIR [case ...]

DATA_DIR holds the unpacked MeasurementSets. Measured with casatasks 6.7.0.31 (tests/oracles/README.md installs it).
Prints wall time, iterations, major cycles and stop code of each case; figures from image_statistics.py OUT_DIR/<case>.
"""

import os
import pathlib
import sys
import time

from casatasks import casalog, exportfits, tclean

CLEAN = {"niter": 20000, "nsigma": 3.0, "gain": 0.1}
VLA = {"vis": "vla_3c286_L.ms", "cell": "1arcsec", "imsize": [1024, 1024]} | CLEAN
MWA = {
    "vis": "mwa_1102865728_cal.ms",
    "cell": "60arcsec",
    "imsize": [1500, 1500],
    "gridder": "wproject",
    "wprojplanes": 64,
} | CLEAN
MWA |= {"niter": 3000}
ASKAP = {"vis": "vela-60.ms", "cell": "5arcsec", "imsize": [1024, 1024]} | CLEAN
VLBA = {"vis": "vlba_m87_8GHz.ms", "cell": "0.0002arcsec", "imsize": [1024, 1024]} | CLEAN
BRIGGS0 = {"weighting": "briggs", "robust": 0.0}
MULTISCALE = {"deconvolver": "multiscale", "scales": [0, 5, 15], "niter": 1000}
AUTOMASK = {"usemask": "auto-multithresh", "sidelobethreshold": 2.0}  # the default, 3, finds nothing in 3C286

CASES = {
    "vla_natural": VLA,
    "vla_briggs0": VLA | BRIGGS0,
    "vla_briggs0_automask": VLA | BRIGGS0 | AUTOMASK,
    "vla_briggs0_multiscale": VLA | BRIGGS0 | MULTISCALE,
    "mwa_briggs0": MWA | BRIGGS0,
    "mwa_briggs0_multiscale": MWA | BRIGGS0 | MULTISCALE,
    "askap_natural": ASKAP,
    "askap_briggs0": ASKAP | BRIGGS0,
    "askap_briggs0_multiscale": ASKAP | BRIGGS0 | MULTISCALE,
    "vlba_briggs0": VLBA | BRIGGS0,
    "vlba_briggs0_multiscale": VLBA | BRIGGS0 | MULTISCALE,
}


def main(data, out, *wanted):
    data = pathlib.Path(data).resolve()
    pathlib.Path(out).mkdir(parents=True, exist_ok=True)
    os.chdir(out)
    for case in wanted or CASES:
        parameters = {"datacolumn": "data", "pblimit": -0.01} | CASES[case]
        casalog.setlogfile(f"{case}.log")
        start = time.perf_counter()
        result = tclean(imagename=case, **parameters | {"vis": str(data / parameters["vis"])})
        wall = time.perf_counter() - start
        for product in ("image", "residual", "model", "mask"):
            exportfits(f"{case}.{product}", f"{case}.{product}.fits", overwrite=True, dropdeg=True)
        told = [
            f"{k} {result.get(k)}" for k in ("iterdone", "nmajordone", "stopcode", "stopDescription", "cyclethreshold")
        ]
        print(f"{case:28s} wall {wall:7.1f} s ", *told, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
