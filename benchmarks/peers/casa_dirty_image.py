"""Seconds of CASA's psf and dirty image: <CASA's python> casa_dirty_image.py MS SIZE CELL GRIDDER

Natural weights, no cleaning; wproject chooses its planes itself. Prints one line of JSON.
"""

import json
import shutil
import sys
import time
from glob import glob

from casatasks import casalog, tclean


def main(ms, size, cell, gridder):
    casalog.filter("SEVERE")
    for path in glob("casa-dirty.*"):
        shutil.rmtree(path, ignore_errors=True)
    wide = {"gridder": gridder, "wprojplanes": -1} if gridder == "wproject" else {"gridder": gridder}
    start = time.perf_counter()
    tclean(ms, imagename="casa-dirty", imsize=int(size), cell=cell, weighting="natural", niter=0, pblimit=-0.1,
           restoration=False, **wide)  # fmt: skip
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main(*sys.argv[1:])
