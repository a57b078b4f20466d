"""Record what CASA does, step by step, in the small .npz files beside this script (keys: README.md).

    <CASA's python> make_casa_goldens.py [group ...]      # groups: automask clean beams restore weights; default all

Needs casatasks 6.7.0.31, casatools 6.7.0.31, casadata (README.md says how); takes about a minute. The project and its
tests need none of them.
"""
from __future__ import annotations

import json
import os
import pathlib
import re
import sys
import tempfile

import numpy as np
from casa_recording import beams, plain, read, run
from casa_simulation import make_ms

HERE = pathlib.Path(__file__).resolve().parent
COMMON = {"cell": "12arcsec", "weighting": "briggs", "robust": 0.5, "interpolation": "nearest", "outframe": "LSRK"}
AUTO = {"usemask": "auto-multithresh", "verbose": True, "sidelobethreshold": 2.0, "noisethreshold": 4.25,
        "lownoisethreshold": 1.5, "minbeamfrac": 0.3}


def save(name, record, **arrays):
    np.savez_compressed(HERE / f"{name}.npz", record=np.array(json.dumps(plain(record))), **arrays)
    print(f"{name:28s} {(HERE / name).with_suffix('.npz').stat().st_size / 1e3:8.0f} kB", flush=True)


def stack(dicts, key):
    return np.stack([d[key] for d in dicts])


def log_table(text):
    """auto-multithresh's verbose summary: per call, per channel the columns as printed (six digits)."""
    calls = []
    for call in text.split("Generating AutoMask")[1:]:
        rows = []
        for line in call.split("END of automask summary")[0].splitlines():
            found = re.search(r"\[C(\d+)\]\s+([TF]\s.*)", line)
            if found:
                rows.append([int(found[1]), *found[2].replace("[", " ").replace("]", " ").split()])
        calls.append(rows)
    return calls


def tclean_record(recorder, result, text, parameters):
    return {"parameters": parameters, "tclean": result, "events": recorder.events, "log": log_table(text)}


def automask():
    """Every call of auto-multithresh, and the controller around it."""
    sky, negative = make_ms("sky.ms"), make_ms("negative.ms", negative=True)
    large, small = {"imsize": [108, 108], "pblimit": 0.6}, {"imsize": [90, 90], "pblimit": 0.72}
    runs = {
        "plain": (sky, large | {"threshold": "6mJy", "cycleniter": 180}),
        "negative": (negative, large | {"negativethreshold": 5.0, "threshold": "6mJy", "cycleniter": 250}),
        "chauvenet": (sky, small | {"fastnoise": False, "threshold": "7mJy", "cycleniter": 200}),
        "pbmask": (sky, small | {"pbmask": 0.77, "smoothfactor": 1.6, "cutthreshold": 0.05, "dogrowprune": False,
                                 "growiterations": 3, "threshold": "9mJy", "cycleniter": 150}),
        "nsigma": (sky, small | {"nsigma": 4.0, "cycleniter": 250}),
        "cube": (sky, {"imsize": [72, 72], "pblimit": 0.8, "specmode": "cube", "minpercentchange": 2.0,
                       "threshold": "14mJy", "cycleniter": 130}),
    }
    for name, (ms, own) in runs.items():
        parameters = COMMON | AUTO | {"niter": 20000, "gain": 0.1} | own
        recorder, result, text = run(ms, name, **parameters)
        save(
            f"automask_{name}", tclean_record(recorder, result, text, parameters),
            psf=read(name + ".psf")[0], pb=read(name + ".pb")[0], beams=beams(name + ".psf"),
            valid=recorder.masks[0]["valid"], residual=stack(recorder.masks, "residual"),
            mask_before=stack(recorder.masks, "before"), mask_after=stack(recorder.masks, "after"),
            iterdone=np.array([m["iterdone"] for m in recorder.masks]), mask_final=read(name + ".mask")[0] > 0.5,
        )
        assert all((m["valid"] == recorder.masks[0]["valid"]).all() for m in recorder.masks)


GROUPS = {f.__name__: f for f in (automask,)}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        for group in sys.argv[1:] or GROUPS:
            GROUPS[group]()
        os.chdir(HERE)
