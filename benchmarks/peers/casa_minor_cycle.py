"""Seconds of CASA's minor cycle: <CASA's python> casa_minor_cycle.py PREFIX DECONVOLVER ITERATIONS GAIN [SCALE ...]

PREFIX-dirty.fits and PREFIX-psf.fits become CASA images in the working folder. Only `executeminorcycle` is timed: what
comes before it reads images and prepares. Prints one line of JSON.
"""

import json
import os
import shutil
import sys
import time

import numpy as np
from casatasks import casalog, importfits
from casatools import image, synthesisdeconvolver


def prepare(prefix, name):
    importfits(f"{prefix}-dirty.fits", f"{name}.residual", overwrite=True)
    importfits(f"{prefix}-psf.fits", f"{name}.psf", overwrite=True)
    ia = image()
    for product, value in (("model", 0.0), ("mask", 1.0)):
        shutil.rmtree(f"{name}.{product}", ignore_errors=True)
        shutil.copytree(f"{name}.residual", f"{name}.{product}")
        ia.open(f"{name}.{product}")
        ia.putchunk(np.full(ia.shape(), value, np.float32))
        ia.close()


def main(prefix, deconvolver, iterations, gain, *scales):
    casalog.filter("SEVERE")
    name = f"casa-{os.path.basename(prefix)}-{deconvolver}"
    prepare(prefix, name)
    tool = synthesisdeconvolver()
    parameters = {"imagename": name, "deconvolver": deconvolver, "startmodel": "", "usemask": "user", "mask": "",
                  "restoringbeam": "", "nterms": 1}  # fmt: skip
    if scales:
        parameters |= {"scales": [int(s) for s in scales], "smallscalebias": 0.0}
    tool.setupdeconvolution(decpars=parameters)
    tool.initminorcycle()
    control = {"cycleniter": int(iterations), "cyclethreshold": 0.0, "loopgain": float(gain), "thresholdreached": False,
               "nsigma": 0.0}  # fmt: skip
    wall, cpu = time.perf_counter(), time.process_time()
    result = tool.executeminorcycle(iterbotrecord=control)
    print(json.dumps({"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
                      "iterations": int(result["iterdone"]), "peak": float(result["peakresidual"])}))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
