"""Record what CASA does, step by step, in the small .npz files beside this script (keys: README.md).

    <CASA's python> make_casa_goldens.py [group ...]    # groups: automask clean mtmfs beam_fits restore weights; or all

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
from casa_recording import beams, plain, read, read_terms, run
from casa_simulation import WIDEBAND, make_ms
from casatools import image, table

HERE = pathlib.Path(__file__).resolve().parent
COMMON = {"cell": "12arcsec", "weighting": "briggs", "robust": 0.5, "interpolation": "nearest", "outframe": "LSRK"}
AUTO = {
    "usemask": "auto-multithresh",
    "verbose": True,
    "sidelobethreshold": 2.0,
    "noisethreshold": 4.25,
    "lownoisethreshold": 1.5,
    "minbeamfrac": 0.3,
}


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
        "pbmask": (
            sky,
            small
            | {
                "pbmask": 0.77,
                "smoothfactor": 1.6,
                "cutthreshold": 0.05,
                "dogrowprune": False,
                "growiterations": 3,
                "threshold": "9mJy",
                "cycleniter": 150,
            },
        ),
        "nsigma": (sky, small | {"imsize": [80, 80], "pblimit": 0.75, "nsigma": 4.0, "cycleniter": 250}),
        "cube": (
            sky,
            {
                "imsize": [72, 72],
                "pblimit": 0.8,
                "specmode": "cube",
                "minpercentchange": 2.0,
                "threshold": "14mJy",
                "cycleniter": 130,
            },
        ),
    }
    for name, (ms, own) in runs.items():
        parameters = COMMON | AUTO | {"niter": 20000, "gain": 0.1} | own
        recorder, result, text = run(ms, name, **parameters)
        save(
            f"automask_{name}",
            tclean_record(recorder, result, text, parameters),
            psf=read(name + ".psf")[0],
            pb=read(name + ".pb")[0],
            beams=beams(name + ".psf"),
            valid=recorder.masks[0]["valid"],
            residual=stack(recorder.masks, "residual"),
            mask_before=stack(recorder.masks, "before"),
            mask_after=stack(recorder.masks, "after"),
            iterdone=np.array([m["iterdone"] for m in recorder.masks]),
            mask_final=read(name + ".mask")[0] > 0.5,
        )
        assert all((m["valid"] == recorder.masks[0]["valid"]).all() for m in recorder.masks)


def clean():
    """Minor cycles with a user mask: what each was given and what it returned, and the controller around them."""
    ms = make_ms("sky.ms")
    box = {"mask": "box[[17pix,14pix],[65pix,70pix]]"}
    scales = {"deconvolver": "multiscale", "scales": [0, 5, 15], "cycleniter": 60, "threshold": "4mJy", "nmajor": 5}
    runs = {
        "hogbom": box | {"threshold": "12mJy", "cycleniter": 150},
        "hogbom_nsigma": {"nsigma": 5.0, "cyclefactor": 1.5, "nmajor": 5},
        "hogbom_one": box | {"niter": 1},
        "multiscale_bias0": scales | {"smallscalebias": 0.0},
        "multiscale_bias6": scales | box | {"smallscalebias": 0.6},
        "clark": box | {"deconvolver": "clark", "threshold": "25mJy"},
    }
    for name, own in runs.items():
        parameters = COMMON | {"imsize": [80, 80], "pblimit": 0.7, "niter": 20000, "gain": 0.1} | own
        recorder, result, text = run(ms, name, **parameters)
        minors = recorder.minors
        assert all((m["mask"] == minors[0]["mask"]).all() for m in minors)
        save(
            f"clean_{name}",
            tclean_record(recorder, result, text, parameters),
            psf=read(name + ".psf")[0],
            beams=beams(name + ".psf"),
            mask=minors[0]["mask"],
            valid=read(name + ".residual")[1],
            residual=stack(minors, "residual"),
            delta=stack(minors, "delta"),
            iterdone=np.array([e[2]["iterdone"] for e in recorder.events if e[0] == "executeminorcycle"]),
            residual_final=read(name + ".residual")[0],
        )


def mtmfs():
    """Minor cycles of several Taylor terms, and the images of spectral index and curvature made from them."""
    ms = make_ms("wideband.ms", sky=WIDEBAND, channels=5, width_mhz=130.0, noise=0.1)
    box = {"mask": "box[[10pix,10pix],[62pix,63pix]]"}
    runs = {
        "two": {"nterms": 2, "scales": [0, 6, 12], "smallscalebias": 0.0, "cycleniter": 60} | box,
        "biased": {"nterms": 2, "scales": [0, 5, 11], "smallscalebias": 0.7, "cycleniter": 80},
        "three": {"nterms": 3, "scales": [0], "cycleniter": 100, "imsize": [64, 64]},
    }
    for name, own in runs.items():
        parameters = COMMON | {"imsize": [72, 72], "pblimit": 0.3, "niter": 20000, "gain": 0.1, "threshold": "2mJy",
                               "nmajor": 4, "deconvolver": "mtmfs"} | own  # fmt: skip
        recorder, result, text = run(ms, name, **parameters)
        minors = recorder.minors
        assert all((m["mask"] == minors[0]["mask"]).all() for m in minors)
        extra = {}
        for product in ("alpha", "alpha.error", "beta"):
            if os.path.isdir(f"{name}.{product}"):
                extra[product], extra[f"{product}.valid"] = read(f"{name}.{product}")
        image_tool = image()
        image_tool.open(f"{name}.psf.tt0")
        reference = image_tool.coordsys().referencevalue()["numeric"][3]
        image_tool.done()
        save(
            f"mtmfs_{name}",
            tclean_record(recorder, result, "", parameters) | {"reffreq": reference},
            psf=read_terms(name, "psf")[0],
            sumwt=read_terms(name, "sumwt")[0],
            beams=beams(f"{name}.psf.tt0"),
            pb=read(f"{name}.pb.tt0")[0],
            mask=minors[0]["mask"],
            valid=read(f"{name}.residual.tt0")[1],
            residual=stack(minors, "residual"),
            delta=stack(minors, "delta"),
            residual_after=minors[0]["residual_after"],
            residual_final=read_terms(name, "residual")[0],
            image=read_terms(name, "image")[0],
            **extra,
        )


def beam_fits():
    """Point spread functions and the beams fitted to them."""
    long, early, snapshot = (
        make_ms("long.ms"),
        make_ms("early.ms", start=-4.6, stop=-2.0),
        make_ms("snap.ms", start=3.9, stop=4.15),
    )
    cases = [
        (long, {}),
        (early, {}),
        (snapshot, {}),
        (long, {"weighting": "natural", "cell": "20arcsec"}),
        (early, {"weighting": "uniform", "cell": "5arcsec"}),
        (long, {"uvtaper": ["150arcsec", "60arcsec", "-70deg"], "cell": "15arcsec"}),
        (early, {"psfcutoff": 0.6}),
        (long, {"weighting": "uniform", "cell": ["14arcsec", "14arcsec"], "psfcutoff": 0.2}),
        (snapshot, {"weighting": "natural", "cell": "26arcsec"}),
    ]
    psfs, fitted, cells, cutoffs, levels, used = [], [], [], [], [], []
    for k, (ms, own) in enumerate(cases):
        parameters = COMMON | {"imsize": [64, 64], "niter": 1, "pblimit": -0.01} | own
        recorder, _, _ = run(ms, f"beam{k}", **parameters)
        psfs.append(read(f"beam{k}.psf")[0][0, 0])
        fitted.append(beams(f"beam{k}.psf")[0])
        cell = parameters["cell"]
        cells.append(float((cell if isinstance(cell, str) else cell[0]).removesuffix("arcsec")))
        cutoffs.append(parameters.get("psfcutoff", 0.35))
        levels.append(next(e[2]["maxpsfsidelobe"] for e in recorder.events if e[0] == "initminorcycle"))
        used.append(parameters)
    save(
        "beam_fits",
        {"parameters": used},
        psf=np.stack(psfs),
        beams=np.stack(fitted),
        cell=np.array(cells),
        psfcutoff=np.array(cutoffs),
        sidelobe=np.array(levels),
    )


def restore():
    """Restoring and primary beam correction; common beams of lists of beams."""
    ms, wide = make_ms("sky.ms"), make_ms("wide.ms", width_mhz=100.0)
    # A model away from the edges and a small kernel: CASA's convolutions wrap around.
    parameters = COMMON | {
        "imsize": [72, 72],
        "niter": 120,
        "pblimit": 0.83,
        "pbcor": True,
        "mask": "box[[20pix,20pix],[52pix,52pix]]",
    }
    arrays = {}
    for name, own in {"default": {}, "explicit": {"restoringbeam": ["78arcsec", "66arcsec", "-25deg"]}}.items():
        run(ms, name, **parameters | own)
        arrays |= {
            f"image_{name}": read(name + ".image")[0],
            f"pbcor_{name}": read(name + ".image.pbcor")[0],
            f"beam_{name}": beams(name + ".image"),
        }
    image_products = {k: read(f"default.{k}")[0] for k in ("model", "residual", "pb")}
    save(
        "restore_mfs",
        {"parameters": parameters},
        **arrays,
        **image_products,
        beams=beams("default.psf"),
        valid=read("default.residual")[1],
        valid_pbcor=read("default.image.pbcor")[1],
    )
    parameters |= {"specmode": "cube", "restoringbeam": "common", "niter": 240}
    run(wide, "common", **parameters)
    image_products = {k: read(f"common.{k}")[0] for k in ("model", "residual", "pb")}
    save(
        "restore_cube",
        {"parameters": parameters},
        **image_products,
        beams=beams("common.psf"),
        image_common=read("common.image")[0],
        pbcor_common=read("common.image.pbcor")[0],
        beam_common=beams("common.image"),
        valid=read("common.residual")[1],
    )
    common_beams()


def common_beams():
    lists = [
        [[60, 40, 10], [50, 45, 80]],
        [[60, 40, 10], [60, 40, 100], [50, 30, 55]],
        [[30, 20, 0], [31, 12, 85]],
        [[10, 10, 0], [11, 9, 30], [12, 8, -60]],
        [[60.5, 44.1, 49.2], [59.8, 43.6, 49.5], [58.9, 43.0, 49.5]],
        [[20, 5, -89], [20, 5, 89], [19, 6, 45]],
        [[60.2, 43.8, 49.1], [60.0, 43.9, 49.9], [59.7, 44.0, 48.0]],
        [[20, 5, -89], [20, 5, 89]],
        [[8, 4, 0], [7, 3, 90]],
    ]
    ia = image()
    found, padded = [], np.full((len(lists), 3, 3), np.nan)
    for k, beam_list in enumerate(lists):
        ia.fromshape(f"common{k}.im", [8, 8, 1, len(beam_list)])
        for c, (major, minor, pa) in enumerate(beam_list):
            ia.setrestoringbeam(f"{major}arcsec", f"{minor}arcsec", f"{pa}deg", channel=c, polarization=0)
            padded[k, c] = major, minor, pa
        b = ia.commonbeam()
        found.append([b["major"]["value"], b["minor"]["value"], b["pa"]["value"]])
        ia.done()
    save("common_beams", {}, beams=padded, common=np.array(found))


def weights():
    """Sums of imaging weights, and the middle of the PSF, for each weighting; with the samples themselves."""
    ms = make_ms("weights.ms", integration=900, unequal_weights=True, noise=0.1)
    tb = table()
    tb.open(ms, nomodify=False)
    uvw = tb.getcol("UVW").astype(np.float32)
    flag = np.random.default_rng(5).random(tb.getcol("FLAG").shape) < 0.02
    tb.putcol("UVW", uvw.astype(float))
    tb.putcol("FLAG", flag)
    weight = tb.getcol("WEIGHT").T.astype(np.float32)
    tb.close()
    tb.open(f"{ms}/SPECTRAL_WINDOW")
    freq = tb.getcol("CHAN_FREQ")[:, 0]
    tb.close()
    cube = {"specmode": "cube", "perchanweightdensity": True}
    cases = {
        "natural": {},
        "uniform": {},
        "radial": {},
        "superuniform": {},
        "superuniform npixels=1": {"npixels": 1},
        "briggs robust=-2": {},
        "briggs robust=-0.5": {},
        "briggs robust=0.5": {},
        "briggs robust=2": {},
        "briggsabs robust=0.5 noise=2": {"robust": 0.5, "noise": "2.0Jy"},
        "briggsabs robust=2 noise=0.3": {"robust": 2.0, "noise": "0.3Jy"},
        "uniform npixels=48": {"npixels": 48},
        "briggs robust=0 npixels=48": {"npixels": 48},
        "natural taper image": {"uvtaper": ["90arcsec", "50arcsec", "30deg"]},
        "natural taper lambda": {"uvtaper": ["1500lambda", "700lambda", "-20deg"]},
        "uniform taper round": {"uvtaper": ["80arcsec"]},
        "uniform cube": cube,
        "briggs cube robust=0.5": cube,
        "briggsbwtaper cube robust=0.5": cube,
        "briggs cube joint robust=0.5": cube | {"perchanweightdensity": False},
    }
    names, sums, psfs, used = [], [], [], []
    for k, (name, own) in enumerate(cases.items()):
        parameters = {
            "imsize": [120, 120],
            "cell": "12arcsec",
            "weighting": name.split()[0],
            "niter": 0,
            "pblimit": -0.01,
            "interpolation": "nearest",
            "perchanweightdensity": False,
            "restoration": False,
            "calcres": True,
        }
        if "robust=" in name:
            parameters["robust"] = float(name.split("robust=")[1].split()[0])
        run(ms, f"w{k}", **parameters | own)
        sumwt, psf = read(f"w{k}.sumwt")[0][:, 0, 0, 0], read(f"w{k}.psf")[0][:, 0, 44:76, 44:76]
        names.append(name)
        sums.append(np.resize(sumwt, 3) if len(sumwt) == 3 else np.array([sumwt[0], np.nan, np.nan]))
        psfs.append(psf[0])
        used.append(parameters | own)
    save(
        "weights",
        {"parameters": used},
        uvw=uvw.T,
        weight=weight,
        flag=flag.T,
        freq=freq,
        case=np.array(names),
        sumwt=np.array(sums),
        psf=np.stack(psfs),
    )


GROUPS = {f.__name__: f for f in (automask, clean, mtmfs, beam_fits, restore, weights)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        for group in sys.argv[1:] or GROUPS:
            GROUPS[group]()
        os.chdir(HERE)
