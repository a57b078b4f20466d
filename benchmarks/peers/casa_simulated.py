"""CASA's tclean on the simulated fields of benchmarks/validation: <CASA's python> casa_simulated.py MS OUT CASE [TERMS]

CASE is `wideband` (mtmfs of so many terms, 3) or `extended` (multiscale). Leaves OUT.*.fits in the working folder and
prints one line of JSON with the seconds of tclean.
"""

import json
import os
import shutil
import sys
import time
from glob import glob

from casatasks import casalog, exportfits, tclean

CASES = {
    "wideband": {"cell": "1.5arcsec", "imsize": 640, "deconvolver": "mtmfs", "scales": [0, 8, 24],
                 "reffreq": "1.5GHz", "threshold": "0.05mJy"},
    "extended": {"cell": "8arcsec", "imsize": 512, "deconvolver": "multiscale", "scales": [0, 8, 20, 50, 100],
                 "threshold": "0.5mJy"},
}  # fmt: skip


def main(ms, out, case, terms=3):
    casalog.filter("SEVERE")
    for path in glob(f"{out}.*"):
        if os.path.isdir(path):
            shutil.rmtree(path)
    parameters = CASES[case] | ({"nterms": int(terms)} if case == "wideband" else {})
    start = time.perf_counter()
    result = tclean(ms, imagename=out, weighting="briggs", robust=0.0, niter=200000, gain=0.1, pblimit=-0.1,
                    datacolumn="data", **parameters)  # fmt: skip
    seconds = time.perf_counter() - start
    for path in glob(f"{out}.*"):
        if os.path.isdir(path) and not path.endswith((".sumwt", ".pb", ".mask")):
            exportfits(path, f"{path}.fits", overwrite=True)
    told = {key: result.get(key) for key in ("iterdone", "nmajordone", "stopcode")}
    print(json.dumps({"seconds": seconds, **{k: int(v) for k, v in told.items()}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
