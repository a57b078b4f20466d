"""tclean with its hands watched: every array and record that passes between mask, controller, minor and major cycle.

Needs casatasks (run with CASA's python); never imported by the tests. The tclean task runs unchanged: only the class
`PySynthesisImager` it drives is replaced by a subclass that copies files and return values at each step.
"""

from __future__ import annotations

import os

import numpy as np
from casatasks import casalog, tclean
from casatasks.private import task_tclean
from casatasks.private.imagerhelpers.imager_base import PySynthesisImager
from casatools import image


def read(path):
    """(values, pixel mask) of a CASA image as (chan, pol, y, x) float32 and bool; None where there is no image."""
    if not os.path.isdir(path):
        return None
    ia = image()
    ia.open(path)
    values, mask = ia.getchunk(), ia.getchunk(getmask=True)
    ia.done()
    return values.T.astype(np.float32).copy(), mask.T.copy()


def beams(path):
    """Restoring beams (chan, 3): bmaj, bmin in arcsec, PA in degrees; full precision as stored."""
    ia = image()
    ia.open(path)
    nchan = ia.shape()[3]
    out = []
    for c in range(nchan):
        b = ia.restoringbeam(channel=c, polarization=0)
        b = b.get("beams", {}).get("*0", {}).get("*0", b)
        out.append([b["major"]["value"], b["minor"]["value"], b["positionangle"]["value"]])
        assert b["major"]["unit"] == "arcsec"
        assert b["positionangle"]["unit"] == "deg"
    ia.done()
    return np.array(out)


def plain(value):
    """A record with numpy values as something json can write."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value


class Watched:
    """A tool whose named methods also append (name, arguments, result) to a list."""

    def __init__(self, tool, names, events):
        self._tool, self._names, self._events = tool, names, events

    def __getattr__(self, name):
        method = getattr(self._tool, name)
        if name not in self._names:
            return method

        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            self._events.append((name, plain(kwargs), plain(result)))
            return result

        return call


class Recorder(PySynthesisImager):
    """Keeps `masks` (one entry per automask call), `minors` (one per minor cycle) and `events` (records in order)."""

    def __init__(self, params):
        super().__init__(params)
        self.masks, self.minors, self.events = [], [], []
        self.iterdone = 0
        Recorder.last = self
        self.name = self.allimpars["0"]["imagename"]

    def initializeDeconvolvers(self):
        super().initializeDeconvolvers()
        names = ("initminorcycle", "executeminorcycle", "setupmask")
        self.SDtools = [Watched(t, names, self.events) for t in self.SDtools]

    def initializeIterationControl(self):
        super().initializeIterationControl()
        self.IBtool = Watched(self.IBtool, ("getminorcyclecontrols", "cleanComplete"), self.events)

    def updateMask(self):
        residual, before = read(self.name + ".residual"), read(self.name + ".mask")
        super().updateMask()
        after = read(self.name + ".mask")[0]
        self.masks.append(
            {
                "residual": residual[0],
                "valid": residual[1],
                "iterdone": self.iterdone,
                "after": after > 0.5,
                "before": np.zeros(after.shape, bool) if before is None else before[0] > 0.5,
            }
        )

    def runMinorCycle(self):
        residual, model = read(self.name + ".residual"), read(self.name + ".model")
        done = super().runMinorCycle()
        record = self.events[-1][2]
        after = read(self.name + ".model")[0]
        self.iterdone += record["iterdone"]
        self.minors.append(
            {
                "residual": residual[0],
                "mask": read(self.name + ".mask")[0] > 0.5,
                "delta": after - (0 if model is None else model[0]),
                "residual_after": read(self.name + ".residual")[0],
            }
        )
        return done


def read_terms(name, product):
    """(values, pixel mask) of the Taylor terms of a product, (term, pol, y, x); None where there are none."""
    paths = [f"{name}.{product}.tt{term}" for term in range(5)]
    planes = [read(path) for path in paths if os.path.isdir(path)]
    return tuple(np.concatenate(both) for both in zip(*planes, strict=True)) if planes else None


class TermsRecorder(Recorder):
    """The same for deconvolver mtmfs: residual, delta and residual_after are (term, pol, y, x)."""

    def updateMask(self):
        PySynthesisImager.updateMask(self)

    def runMinorCycle(self):
        residual, model = read_terms(self.name, "residual"), read_terms(self.name, "model")
        done = PySynthesisImager.runMinorCycle(self)
        after = read_terms(self.name, "model")[0]
        self.minors.append(
            {
                "residual": residual[0],
                "mask": read(self.name + ".mask")[0] > 0.5,
                "delta": after - (0 if model is None else model[0]),
                "residual_after": read_terms(self.name, "residual")[0],
            }
        )
        return done


def run(ms, imagename, **parameters):
    """tclean(ms, ...) -> (Recorder, tclean's return value, the log's text)."""
    log = os.path.abspath(imagename + ".log")
    casalog.setlogfile(log)
    task_tclean.PySynthesisImager = TermsRecorder if parameters.get("deconvolver") == "mtmfs" else Recorder
    result = tclean(vis=ms, imagename=imagename, datacolumn="data", fullsummary=True, **parameters)
    with open(log) as f:
        text = f.read()
    return Recorder.last, plain(result), text
