"""Deconvolvers of the user's: a script or an installed entry point, each call in a process of its own.

That process can be ended wherever it is stuck, and whatever it does to its memory, its signals or itself, the caller
goes on.
"""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imaging.algorithms.convolving import convolve_patch
from imaging.algorithms.cycle_control import plane_stop
from imaging.algorithms.joining import plane_groups
from imaging.contracts import Meta
from imaging.errors import ImagingError
from imaging.log import log_file, logger
from imaging.script_worker import FUNCTION, Reply, Request
from imaging.state import PlaneResult, PlaneStop

printed = logging.getLogger("imaging.script")
"""What the processes print."""
ROOT = str(Path(__file__).parents[1])
COMMAND = f"import sys; sys.path.append({ROOT!r}); from imaging.script_worker import main; main({{}})"
JOINED = {
    "all": ("channels", "polarizations"),
    "channels": ("channels",),
    "polarizations": ("polarizations",),
    "single": (),
}
"""Planes that a call of the function gets together."""
LAST_WORDS = 0.5  # seconds in which a stuck process tells where it is


class Script:
    """A user's deconvolver as a function of the contract (`contracts.Deconvolver`).

    name : path of a script, or of an entry point with `target` "module:function". Of meta.options it takes
    `script_planes` and `script_mask`, which are the settings, and `script_timeout`, seconds, 0 for any time. meta.state
    gets what the script keeps.
    """

    def __init__(self, name: str, target: str = ""):
        self.name, self.target = name, target

    def __call__(self, residual: np.ndarray, model: np.ndarray, psf: np.ndarray, meta: Meta) -> dict[str, Any]:
        confined = meta.mask is not None and not meta.mask.all() and meta.options.get("script_mask", True)
        outside = ~meta.mask if confined else None
        seen = residual if outside is None else np.where(outside, residual.dtype.type(0), residual)
        for name in ("rms", "plane_thresholds"):  # of joined planes there is one for all
            if getattr(meta, name) is not None:
                setattr(meta, name, np.array(np.broadcast_to(getattr(meta, name), residual.shape[:2])))
        together = JOINED[meta.options.get("script_planes", "all")]
        groups = [(group.chans, group.pols) for group in plane_groups(*residual.shape[:2], together)]
        memory = meta.state.get("memory", b"")
        request = Request(self.name, self.target, groups, seen, model, psf, replace(meta, state={}), memory, log_file())
        reply = self._run(request, meta.options.get("script_timeout", 0))
        if reply.where:
            logger.info("traceback of %s\n%s", self.name, reply.where)
        if reply.error:
            if reply.where:
                reply.error.add_note(reply.where.rstrip())
            raise reply.error
        result = reply.result
        meta.state = {"memory": reply.memory} if reply.memory else {}
        for name in reply.lost:
            logger.warning("%s: %s cannot be kept from cycle to cycle: it is made anew in each", self.name, name)
        if outside is not None:
            _drop(outside, residual, model, psf, result)
        meta.plane_results += _plane_results(residual, result, meta, reply.iterations)
        meta.iteration_number += int(sum(reply.iterations[group].flat[0] for group in groups))
        return result

    def _run(self, request: Request, timeout: float) -> Reply:
        with _memory_file("request") as given, _memory_file("reply") as reply:
            pickle.dump(request, given, protocol=5)
            given.seek(0)
            code = self._wait(given, reply.fileno(), timeout, request.log)
            reply.seek(0)
            with contextlib.suppress(EOFError, pickle.UnpicklingError):
                return pickle.load(reply)
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        raise ImagingError(f"The process of {self.name} broke off.", got=how, expected="a dictionary from deconvolve()",
                           next_step=(f"see {request.log}; " if request.log else "")
                           + "SIGKILL mostly means that memory ran out, SIGSEGV that compiled code failed")  # fmt: skip

    def _wait(self, given, reply: int, timeout: float, log: str) -> int:
        """Let the process work, its output in the log; returns its status."""
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND.format(reply)], stdin=given, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, pass_fds=[reply], env=environment, start_new_session=True,
        )  # fmt: skip
        relay = threading.Thread(target=_relay, args=(process.stdout,), daemon=True)
        relay.start()
        try:
            return process.wait(timeout or None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGUSR1)
            time.sleep(LAST_WORDS)
            raise ImagingError(f"{self.name} did not come to its end.", got=f"still at work after {timeout:g} s",
                               expected="an answer within clean.script_timeout",
                               next_step=f"mend an endless loop{f' ({log} shows where it was)' if log else ''}, or set"
                               " clean.script_timeout (--timeout of imaging plugins) higher") from None  # fmt: skip
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            relay.join(5)
            process.stdout.close()


def _memory_file(name: str):
    return os.fdopen(os.memfd_create(name), "w+b")


def _relay(output) -> None:
    with contextlib.suppress(ValueError):  # closed while a process that the script left behind still holds it
        for line in output:
            printed.info("%s", line.decode(errors="replace").rstrip())


def _drop(outside: np.ndarray, residual, model, psf, result: dict) -> None:
    """Take back what was added to the model `outside`, and show again the residual that was hidden there."""
    result["residual"] += np.where(outside, residual, residual.dtype.type(0))
    dropped = np.where(outside, result["model"] - model, model.dtype.type(0))
    if dropped.any():
        logger.info("%d pixels of the model outside the mask are dropped", np.count_nonzero(dropped))
        result["model"] = np.where(outside, model, result["model"])
    for chan, pol in np.ndindex(residual.shape[:2]):
        result["residual"][chan, pol] += convolve_patch(dropped[chan, pol], psf[chan])


def _plane_results(residual, result, meta: Meta, iterations: np.ndarray) -> list[PlaneResult]:
    """What came of each plane; the iterations are those of the call, of all planes that it had together."""
    found, budget = [], meta.max_iterations - meta.iteration_number
    for chan, pol in np.ndindex(residual.shape[:2]):
        inside = np.isfinite(residual[chan, pol])
        inside &= True if meta.mask is None else meta.mask[chan, pol]
        before, after = (_peak(image[chan, pol][inside]) for image in (residual, result["residual"]))
        nsigma = 0.0 if meta.plane_thresholds is None else float(meta.plane_thresholds[chan, pol])
        cycle = max(meta.major_iter_threshold, meta.final_threshold)
        done, stop = int(iterations[chan, pol]), PlaneStop.SKIPPED
        if before is not None and after is not None:
            stop = plane_stop(done, budget, before, after, cycle, nsigma)
        flux = float(result["model"][chan, pol].sum(dtype=np.float64))
        everywhere = _peak(result["residual"][chan, pol])
        found.append(PlaneResult(chan, pol, done, before, after, flux, stop, everywhere))
    return found


def _peak(values: np.ndarray) -> float | None:
    values = np.abs(values[np.isfinite(values)])
    return float(values.max()) if values.size else None


def examine(path: str) -> None:
    """Raises ImagingError for a script that cannot be opened, is no Python, or names nothing `deconvolve`."""
    try:
        tree = ast.parse(Path(path).read_bytes(), path)
    except OSError as error:
        raise ImagingError(f'File "{path}" could not be opened!', got=error.strerror or str(error),
                           expected="a Python script with a function deconvolve",
                           next_step="check clean.deconvolver and clean.schedule") from None  # fmt: skip
    except (SyntaxError, ValueError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise ImagingError(f"{path} is not Python.", got=f"{getattr(error, 'msg', error)}{line}",
                           expected="a Python script with a function deconvolve",
                           next_step=f"see what python {path} says") from None  # fmt: skip
    bound = {getattr(node, "name", getattr(node, "id", None)) for node in ast.walk(tree)}
    imported = {a.asname or a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    if not {FUNCTION, "*"} & (bound | imported):
        raise ImagingError(f"{path} has no function deconvolve.", got="no such name in it",
                           expected="deconvolve(residual, model, psf, meta)",
                           next_step="define it at the top of the file: docs/plugins.md")  # fmt: skip


def files(path: str) -> list[str]:
    """The script, and what it imports from its own folder: when one of them changes, it has changed."""
    found, todo = [], [Path(path)]
    while todo:
        current = todo.pop()
        if str(current) in found:
            continue
        found.append(str(current))
        try:
            tree = ast.parse(current.read_bytes())
        except (OSError, SyntaxError, ValueError):  # `examine` says so
            continue
        for module in _imported(tree):
            base = Path(path).parent.joinpath(*module.split("."))
            todo += [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()]
    return sorted(found)


def _imported(tree: ast.AST) -> set[str]:
    """Names of modules that are imported, with those of the packages they are in."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {".".join(name.split(".")[:n]) for name in found for n in range(1, name.count(".") + 2)}
