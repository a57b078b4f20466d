"""The process in which a user's deconvolver runs: load it, give it back its memory, call it, keep what it keeps.

Started by `imaging.scripts`. A script is executed as WSClean does: in the namespace of `__main__`, so that main guards
execute, with `sys.argv == [""]`, and with the classes Channel, MetaData and SpectralFitter put there afterwards.
"""

from __future__ import annotations

import os
import pickle
import random
import signal
import sys
import traceback
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from imaging.contracts import Channel, Meta, checked, private, private_psf
from imaging.errors import ImagingError
from imaging.script_memory import Memory

FUNCTION = "deconvolve"
FEWER = "if it wants fewer planes at a time, set clean.script_planes: channels, polarizations or single"


@dataclass
class Request:
    """`name` of a script (a path) or of an entry point; `target` "module:function" of the latter.

    groups : the planes (chan, pol) of each call of the function. log : path of the log of this minor cycle, ""
    where there is none.
    """

    name: str
    target: str
    groups: list[tuple[slice, slice]]
    residual: np.ndarray
    model: np.ndarray
    psf: np.ndarray
    meta: Meta
    memory: bytes = b""
    log: str = ""


@dataclass
class Reply:
    """What came of it: `result` as `contracts.checked` returns it, or an `error` and where it was raised.

    iterations (chan, pol): of the call that had this plane.
    """

    result: dict[str, Any] | None = None
    iterations: np.ndarray | None = None
    memory: bytes = b""
    lost: list[str] = field(default_factory=list)
    error: ImagingError | None = None
    where: str = ""


def main(descriptor: int) -> None:
    """Read a Request from standard input, write a Reply to the file `descriptor`."""
    _prepare()
    reply = answer(pickle.load(sys.stdin.buffer))
    with open(descriptor, "wb") as file:
        pickle.dump(reply, file, protocol=5)


def _prepare() -> None:
    """End with the parent; show where Python is at SIGUSR1; no arguments; the same random numbers in every run."""
    import ctypes
    import faulthandler

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    sys.argv = [""]


def answer(request: Request) -> Reply:
    """Load, call and check; whatever goes wrong is in the reply."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (for scripts that use it)
    try:
        module = load(request.name, request.target)
        function = find_function(module, request.name, request.target)
    except ImagingError as error:
        return Reply(error=error)
    except BaseException as error:
        return _failure(error, f"{request.name} cannot be loaded", request)
    try:
        memory = Memory(module)
        memory.restore(request.memory)
    except Exception as error:
        return _failure(error, f"What {request.name} kept from the last cycle cannot be read", request)
    result = {"residual": request.residual.copy(), "model": request.model.copy(), "level": -np.inf, "continue": False}
    iterations = np.zeros(request.residual.shape[:2], int)
    for group in request.groups:
        meta = as_wsclean(request.meta.part(*group))
        residual, model, psf = request.residual[group], request.model[group], request.psf[group[0]]
        try:
            found = function(private(residual), private(model), private_psf(psf), meta)
        except BaseException as error:
            step = FEWER if isinstance(error, NotImplementedError) and iterations[group].size > 1 else ""
            what = f"Error occurred while executing python deconvolution function of {request.name}"
            return _failure(error, what, request, step)
        try:
            found = checked(found, residual.shape, psf, residual.dtype)
        except ImagingError as error:
            error.what = f"{request.name}: {error.what}"
            return Reply(error=error)
        result["residual"][group], result["model"][group] = found["residual"], found["model"]
        result["level"] = max(result["level"], found["level"])
        result["continue"] |= found["continue"]
        # A script that does not count its iterations, but made components, has not been idle.
        idle = np.array_equal(found["model"], model)
        iterations[group] = max(meta.iteration_number - request.meta.iteration_number, int(not idle))
    kept, lost = memory.keep()
    return Reply(result, iterations, kept, lost)


def as_wsclean(meta: Meta) -> Meta:
    """The thresholds as scripts for WSClean expect them, and a fitter for these channels.

    The final threshold is the lowest that one of the planes is to reach. The cycle's is 0 for several planes, as in
    WSClean: it is one of single planes, but scripts look at sums of them, and stop at (1 - mgain) of what they see.
    """
    levels = [] if meta.plane_thresholds is None else meta.plane_thresholds[meta.plane_thresholds > 0].tolist()
    meta.final_threshold = max(meta.final_threshold, min(levels, default=0.0))
    if meta.plane_thresholds is not None and meta.plane_thresholds.size > 1:
        meta.major_iter_threshold = 0.0
    if meta.spectral_fitter is None or len(meta.spectral_fitter.frequency) != len(meta.channels):
        from imaging.algorithms.spectral_fitting import SpectralFitter

        frequency, weight = [c.frequency for c in meta.channels], [c.weight for c in meta.channels]
        meta.spectral_fitter = SpectralFitter("none", 0, frequency, weight)
    return meta


def load(name: str, target: str = "", namespace: ModuleType | None = None) -> ModuleType:
    """The module of a script after it was executed, or of an entry point."""
    if target:
        from importlib import import_module

        return import_module(target.partition(":")[0])
    if namespace is None:
        namespace = sys.modules["__main__"]
        namespace.__dict__.clear()
    namespace.__dict__.update(__name__="__main__", __file__=name, __builtins__=__builtins__)
    sys.path.insert(1, os.path.dirname(os.path.abspath(name)))  # after the working folder, which WSClean has
    with open(name, "rb") as file:
        code = compile(file.read(), name, "exec", dont_inherit=True)
    exec(code, namespace.__dict__)
    from imaging.algorithms.spectral_fitting import SpectralFitter

    namespace.__dict__.update(Channel=Channel, MetaData=Meta, SpectralFitter=SpectralFitter)
    return namespace


def find_function(module: ModuleType, name: str, target: str = ""):
    found: Any = module
    for part in (target.partition(":")[2] or FUNCTION).split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ImagingError(f"{name} has no function deconvolve.", got="no such function after it was executed",
                           expected="deconvolve(residual, model, psf, meta)",
                           next_step="define it at the top of the file: docs/plugins.md")  # fmt: skip
    return found


def _failure(error: BaseException, what: str, request: Request, next_step: str = "") -> Reply:
    """The script's own part of a traceback, and a message of one line."""
    name = request.name
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame.filename == __file__ or "importlib" in frame.filename for frame in frames]
    own = ours.index(False) if False in ours else len(frames)
    lines = traceback.TracebackException.from_exception(error)
    lines.stack = traceback.StackSummary.from_list(frames[own:])
    last = next((frame for frame in reversed(frames) if frame.filename == name), None)
    place = "" if isinstance(error, SyntaxError) else f" ({name}, line {last.lineno})" if last else f" ({name})"
    text = " ".join(str(error).split())
    return Reply(
        error=ImagingError(f"{what}: {type(error).__name__}.", got=(text or type(error).__name__) + place,
                           expected="a deconvolver that runs to its end",
                           next_step=next_step or _mend(request.log)),
        where="".join(lines.format()),
    )  # fmt: skip


def _mend(log: str) -> str:
    if not log:
        return "mend it and try again"
    return (f"mend it (its traceback is in {log}) and run again: earlier cycles are kept, and clean.nmajor can end the"
            " clean at the last of them")  # fmt: skip
