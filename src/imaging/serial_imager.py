"""SerialImager: the whole imaging run in this process, verb by verb, on the stages and files of the workflow."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sys
import time
from importlib import import_module
from pathlib import Path

from imaging import links, terms
from imaging.config import Config
from imaging.config_base import load_values
from imaging.errors import ImagingError, LifecycleError
from imaging.io.atomic import atomic_path, remove_partial
from imaging.io.images import find_image, load_image, save_image
from imaging.io.lock import locked
from imaging.links import free_name
from imaging.log import job_log, logger
from imaging.loop import Loop, number
from imaging.names import SUFFIX, Names
from imaging.progress import cycle_line, image_line
from imaging.serial_notes import forget, remember, still_good
from imaging.settings import Settings
from imaging.state import CleanState, MinorResult
from imaging.summaries import summarise
from imaging.tclean_keywords import Task, Wishes, task


class SerialImager:
    """A single-process imager with pclean's verbs; the products are those of `imaging run`, byte for byte.

    Parameters
    ----------
    config : a `Config`, the path of a YAML file, nested sections or tclean's keywords in a dictionary, or nothing
        where tclean's keywords follow: SerialImager(vis="my.ms", imagename="my", cell="1arcsec", ...). Products are
        results/<name>/<name>.*; with tclean's keywords they are in a folder <imagename>/ beside links <imagename>.psf,
        <imagename>.image, ..., as CASA images.
    init_iter_control : False where convergence is looked after elsewhere: `has_converged` is then always true.
    results : folder of the products. threads : for the sums over visibilities, which do not depend on it.
    progress : print a line a stage and a cycle.
    keywords : calcpsf, calcres, restoration, restart and fullsummary, as in tclean, go with any `config`.

    `run()` does it all. By hand: setup, make_psf, make_pb, run_major_cycle(is_first=True), update_mask, and while not
    has_converged(): run_minor_cycle, run_major_cycle, update_mask; then restore, pbcor, teardown. As a context manager
    it is set up on entry and torn down on exit. Mistakes are `ImagingError`s; verbs out of order `LifecycleError`s,
    which are RuntimeErrors as well.
    """

    def __init__(self, config=None, init_iter_control: bool = True, *, results: str = "results",
                 threads: int | None = None, progress: bool = True, **keywords):  # fmt: skip
        asked, self.wishes = _understand(config, keywords)
        self.init_iter_control, self.threads, self.progress = init_iter_control, threads or _cores(), progress
        self.imagename = asked.imagename
        if self.imagename:
            results = os.path.dirname(self.imagename) or "."
        values = asked.values
        self.config = config if isinstance(config, Config) else Config.parse(values)
        if self.imagename and not self.wishes.restart:
            name = free_name(self.config.name, results)
            self.imagename += name.removeprefix(self.config.name)
            self.config = Config.parse(values | {"name": name})
        self.names = Names(self.config.name, results, self.config.image_format)
        self.loop = Loop(self.config, self.names, self._state)
        self._warnings = _Warnings(self._say)
        self._open: contextlib.ExitStack | None = None
        self._minor_count = self._major_count = 0
        self._residuals: set[str] = set()
        self._masks: set[str] = set()
        self._states: dict[str, CleanState] = {}
        self._limit = -1
        self._converged = False

    # Set up and taken down

    def setup(self) -> None:
        """Check everything, take the folder, read the MeasurementSets and weigh their samples."""
        if self._open is not None:
            return
        from imaging.resources import check_memory

        if self.config.selfcal.rounds:
            raise ImagingError("SerialImager makes one image.", got=f"selfcal.rounds: {self.config.selfcal.rounds}",
                               expected="selfcal.rounds: 0; data.solutions corrects by solutions that are there",
                               next_step="run the configuration with: imaging run")  # fmt: skip
        identity = self.config.identify_data()
        self.config.check_files()
        check_memory(self.config)
        links.check(self._links())
        stack = contextlib.ExitStack()
        stack.enter_context(locked(Path(self.names.folder)))
        self._open = stack
        try:
            remove_partial(self.names.folder)
            self._start_from_what_is_there()
            self._prepare(identity)
        except BaseException:
            self.teardown()
            raise

    def teardown(self) -> None:
        """Let go of the folder. The products stay; a new `setup` begins anew."""
        if self._open is not None:
            links.publish(self._links())
            self._open.close()
        self._open = None
        self._minor_count = self._major_count = 0
        self._residuals, self._masks, self._states = set(), set(), {}

    def __enter__(self) -> SerialImager:
        self.setup()
        return self

    def __exit__(self, *_) -> None:
        self.teardown()

    # The verbs

    def make_psf(self) -> None:
        """The point spread function, its beams, and the sums of weights."""
        n = self._ready()
        self._do("psf", vis=n.vis(), weights=n.weights(), psf=n.psf(), sumwt=n.sumwt(), threads=self.threads)

    def make_pb(self) -> None:
        """The primary beam."""
        n = self._ready()
        more = {}
        if self.config.primary_beam.pbmodel == "measurement" or self.config.measurement.aterms:
            cubes = {"beam": n.beam()} | ({"aterms": n.aterms()} if self.config.measurement.aterms else {})
            self._do("beams", ms=list(self.config.data.vis), vis=n.vis(), **cubes)
            more = {"beam": n.beam()} if self.config.primary_beam.pbmodel == "measurement" else {}
        self._do("pb", vis=n.vis(), weights=n.weights(), pb=n.pb(), **more)

    def run_major_cycle(self, is_first: bool = False) -> None:
        """The residual of the model so far; of no model (or of clean.startmodel) if `is_first`."""
        self._ready()
        if is_first:
            self._minor_count, self._major_count = 0, 0
            self._residuals, self._masks, self._states = set(), set(), {}
        self._major(self._cycle)
        self._major_count += 1

    def update_mask(self) -> None:
        """The mask of this cycle: automatic masks anew in every cycle, the others once."""
        self._ready()
        self._mask(self._cycle)

    def has_converged(self, nmajor_limit: int = -1) -> int:
        """Why to stop, as tclean's code (a StopCode, 0 to go on); True without iteration control.

        nmajor_limit : clean major cycles allowed, in place of clean.nmajor; -1 for that.
        """
        self._ready()
        if not self.init_iter_control:
            return True
        return self._decide(nmajor_limit).stop

    def run_minor_cycle(self) -> bool:
        """Find components down to this cycle's threshold; whether there were any."""
        self._ready()
        if not self.init_iter_control:
            raise LifecycleError("There is no iteration control: no minor cycle can be run.",
                                 got="init_iter_control=False", expected="init_iter_control=True",
                                 next_step="let convergence be looked after here")  # fmt: skip
        n, cycle = self.names, self._cycle
        if self._states.get(cycle) is None:
            self._decide(self._limit)
        decided = self.loop.decided(cycle)
        self._do(
            "minor_cycle", cycle, residual=n.residual(decided), mask=self.loop.mask_of(decided), psf=n.psf(),
            sumwt=n.sumwt(), state=n.state(decided), model=self.loop.previous("model", cycle),
            memory=self.loop.previous("memory", cycle), pb=n.pb() if Path(n.pb()).exists() else [],
            model_out=n.model(cycle), minor=n.minor(cycle), memory_out=n.memory(cycle),
            timeout=self.config.clean.script_timeout,
        )  # fmt: skip
        self._minor_count += 1
        return MinorResult.from_json(Path(n.minor(cycle)).read_text()).iterdone > 0

    def restore(self) -> None:
        """The restored image, and the final residual, model and mask; nothing before there is a residual."""
        if self._open is not None and self._major_count:
            self._restore(self._image())

    def pbcor(self) -> None:
        """The image divided by the primary beam; nothing without one of these."""
        n = self.names
        if self._open is None or not Path(self._image()).exists() or not Path(n.pb()).exists():
            return
        if self.config.clean.multiterm:
            self._do("pbcor_terms", **terms.to_correct(self.config, n), **terms.corrected(self.config, n))
        else:
            self._do("pbcor", image=n.image(), pb=n.pb(), image_pbcor=n.image_pbcor())

    def run(self) -> dict:
        """Everything; tclean's return dictionary with pclean's keys `converged`, `major_cycles`, `imagename`."""
        started = time.time()
        try:
            self._check_what_is_to_be_used()
            self.setup()
            self._psf_and_pb()
            self._first_residual()
            self.update_mask()
            while not self.has_converged():
                self.run_minor_cycle()
                self.run_major_cycle()
                self.update_mask()
            self._finish(started)
            return self.summary()
        finally:
            self.teardown()

    def summary(self) -> dict:
        """What was done so far, as `run` returns it."""
        self._ready()
        history = self.loop.history(self._last())
        states = [CleanState.from_json(Path(path).read_text()) for path in history["states"]]
        minors = [MinorResult.from_json(Path(path).read_text()) for path in history["minors"]]
        found = summarise(self.config.clean, states, minors, fullsummary=self.wishes.fullsummary)
        return found | {"imagename": self.imagename or f"{self.names.folder}/{self.names.name}"}

    # What they are made of

    @property
    def _cycle(self) -> str:
        return f"{self._minor_count:03d}"

    def _ready(self) -> Names:
        if self._open is None:
            raise LifecycleError("The imager is not set up.", got="a verb before setup()", expected="setup() first",
                                 next_step="call setup(), or write: with SerialImager(...) as imager")  # fmt: skip
        return self.names

    def _state(self, cycle: str) -> CleanState:
        return self._states[cycle] if cycle in self._states else self._decide_once(cycle, self._limit)

    def _do(self, stage: str, cycle: str | None = None, **arguments) -> None:
        """Run a stage as its rule would."""
        self._say(stage, passing=cycle is not None)
        function = getattr(import_module(f"imaging.stages.{stage}"), stage)
        arguments = {name: value for name, value in arguments.items() if value != [] or name == "minors"}
        logger.addHandler(self._warnings)
        try:
            with job_log(self.names.log(stage, cycle)):
                function(**arguments, config=Settings.of(self._settings(stage, cycle)))
        finally:
            logger.removeHandler(self._warnings)

    def _settings(self, stage: str, cycle: str | None) -> dict:
        settings = self.config.settings(stage, number(cycle or "000"))
        if stage == "decide" and self._limit >= 0:
            settings["clean"]["nmajor"] = self._limit
        return settings

    def _prepare(self, identity: list[dict]) -> None:
        """Visibilities and weights, unless those there are of the same data and settings."""
        n, good = self.names, still_good(self.config, identity, self.names)
        forget(n)
        if "ingest" not in good:
            self._do("ingest", ms=list(self.config.data.vis), vis=n.vis())
        if "weights" not in good:
            self._do("weights", vis=n.vis(), weights=n.weights())
        if self.loop.startmodel:
            self._do("startmodel", vis=n.vis(), sky=self.config.sky_files(), startmodel=n.startmodel())
        remember(self.config, identity, n, whole=self.wishes.calcpsf and self.wishes.calcres)

    def _check_what_is_to_be_used(self) -> None:
        """Raises ImagingError where an image that is not to be made is not there either."""
        n = self.names
        for path in () if self.wishes.calcpsf else (n.psf(), n.sumwt()):
            if not Path(path).exists():
                raise ImagingError(f"There is no image {path}.", got="calcpsf=False, and no such file",
                                   expected="the psf and the sums of weights of an earlier run",
                                   next_step="leave calcpsf=False out, or name that run")  # fmt: skip
        if not self.wishes.calcres:
            find_image(f"{n.folder}/{n.name}", "residual")  # raises

    def _psf_and_pb(self) -> None:
        if self.wishes.calcpsf:
            self.make_psf()
        if self.wishes.calcpsf or not Path(self.names.pb()).exists():
            self.make_pb()

    def _first_residual(self) -> None:
        n = self.names
        if self.wishes.calcres:
            self.run_major_cycle(is_first=True)
            return
        save_image(load_image(find_image(f"{n.folder}/{n.name}", "residual")), n.residual(0))
        self._residuals.add("000")
        self._major_count = 1

    def _major(self, cycle: str) -> None:
        n, loop = self.names, self.loop
        double = loop.by_convolution(n.psf_double(), cycle)
        if double and "psf_double" not in self._residuals:
            self._do("psf_double", vis=n.vis(), weights=n.weights(), psf_double=double, threads=self.threads)
            self._residuals.add("psf_double")
        self._do(
            "major_cycle", cycle, vis=n.vis(), weights=n.weights(), model=loop.previous("model", cycle),
            psf_double=double, dirty=loop.by_convolution(n.residual(0), cycle),
            startmodel=loop.by_convolution(loop.startmodel, cycle), residual=n.residual(cycle), threads=self.threads,
        )  # fmt: skip
        self._residuals.add(cycle)
        self._states.pop(cycle, None)
        self._masks.discard(cycle)

    def _check_residual(self, cycle: str) -> None:
        if cycle not in self._residuals:
            raise LifecycleError(f"Cycle {cycle} has no residual.", got="no major cycle since the last minor cycle",
                                 expected="run_major_cycle() first", next_step="call run_major_cycle()")  # fmt: skip

    def _mask(self, cycle: str) -> None:
        n, loop = self.names, self.loop
        self._check_residual(cycle)
        if not loop.automatic and "000" in self._masks:
            return
        self._do(
            "automask", cycle, residual=n.residual(cycle), psf=n.psf(), pb=n.pb(),
            previous=loop.previous("mask", cycle), previous_automask=loop.previous("automask", cycle),
            state=loop.previous("state", cycle), minor=loop.previous("minor", cycle), mask=n.mask(cycle),
            automask=n.automask(cycle),
        )  # fmt: skip
        self._masks.add(cycle)
        self._states.pop(cycle, None)

    def _decide(self, nmajor_limit: int) -> CleanState:
        """The decision of this cycle; if it would stop at a residual that is not exact, that of an exact one."""
        cycle = self._cycle
        if nmajor_limit != self._limit:
            self._limit = nmajor_limit
            self._states = {known: state for known, state in self._states.items() if number(known) != number(cycle)}
        self._state(cycle)
        state = self._state(self.loop.decided(cycle))
        self._converged = state.stop != 0
        return state

    def _decide_once(self, cycle: str, nmajor_limit: int) -> CleanState:
        """Also the residual of a cycle done again, and the mask where nobody has asked for it."""
        n, loop = self.names, self.loop
        if cycle.endswith(".exact") and cycle not in self._residuals:
            self._major(cycle)
        self._check_residual(cycle)
        if (cycle if loop.automatic else "000") not in self._masks:
            self._mask(cycle)
        self._do(
            "decide", cycle, residual=n.residual(cycle), mask=loop.mask_of(cycle), psf=n.psf(), pb=n.pb(),
            sumwt=n.sumwt(), automask=loop.automask_of(cycle), previous=loop.previous("state", cycle),
            minor=loop.previous("minor", cycle), state=n.state(cycle),
        )  # fmt: skip
        state = CleanState.from_json(Path(n.state(cycle)).read_text())
        self._states[cycle] = state
        self._say(cycle_line(state, exactly=cycle.endswith(".exact")))
        return state

    def _last(self) -> str:
        """The cycle to end with, decided on."""
        if self._cycle not in self._residuals:
            self._major(self._cycle)
        self._decide(self._limit)
        return self.loop.decided(self._cycle)

    def _restore(self, image: str) -> None:
        n, last = self.names, self._last()
        inputs = self.loop.finished(last)
        exact = n.parse(inputs["residual"])[1]
        if isinstance(exact, str) and exact not in self._residuals:  # gone back to a cycle with a psf-type residual
            self._major(exact)
        with atomic_path(n.loop()) as partial:
            partial.write_text(json.dumps(self.config.settings("decide")) + "\n")
        self._do_restore(image, inputs)

    def _image(self) -> str:
        """The restored image; of several Taylor terms that of the first."""
        return self.names.path("image.tt0" if self.config.clean.multiterm else "image")

    def _do_restore(self, image: str, inputs: dict) -> None:
        n = self.names
        if self.config.clean.multiterm:
            self._do("restore_terms", **inputs, psf=n.psf(), pb=n.pb(), sumwt=n.sumwt(), loop=n.loop(),
                     **terms.restored(self.config, n), provenance=self.config.provenance())  # fmt: skip
            return
        self._do("restore", **inputs, psf=n.psf(), pb=n.pb(), loop=n.loop(), image=image, residual_out=n.residual(),
                 model_out=n.model(), mask_out=n.mask(), provenance=self.config.provenance())  # fmt: skip

    def _finish(self, started: float) -> None:
        """Everything after the loop."""
        n, line = self.names, ""
        if self.wishes.restoration:
            self.restore()
            if self.config.restore.pbcor:
                self.pbcor()
            if self.config.joined:
                self._mfs()
            self._do("report", **self.loop.history(self._last()), vis=n.vis(), weights=n.weights(), image=self._image(),
                     report=n.report())  # fmt: skip
            line = image_line(json.loads(Path(n.report()).read_text()))
        else:
            discarded = f"{n.folder}/.partial-unrestored{SUFFIX[n.image_format]}"
            self._restore(discarded)
            unwanted = terms.restored(self.config, n)["image"] if self.config.clean.multiterm else [discarded]
            for path in unwanted:
                _remove(path)
        if self.config.restore.components:
            self._do("components", **self.loop.listed(self._last()), sumwt=n.sumwt(), components=n.components())
        if self.config.clean.savemodel == "modelcolumn":
            self._do("savemodel", ms=list(self.config.data.vis), vis=n.vis(), model=self.loop.model,
                     savemodel=n.savemodel(), threads=self.threads)  # fmt: skip
        self._say(f"done in {time.time() - started:.0f} s: {n.folder}/{line}")

    def _mfs(self) -> None:
        """The images of all channels together."""
        n = self.names
        self._do("mfs", residual=n.residual(), model=n.model(), psf=n.psf(), sumwt=n.sumwt(), image_mfs=n.image_mfs(),
                 residual_mfs=n.residual_mfs(), model_mfs=n.model_mfs(), psf_mfs=n.psf_mfs())  # fmt: skip
        if self.config.restore.pbcor:
            self._do("pbcor", image=n.image_mfs(), pb=n.pb(), sumwt=n.sumwt(), image_pbcor=n.image_mfs_pbcor())

    # tclean's ways with names

    def _links(self) -> dict[Path, Path]:
        return links.links(self.imagename, self.config, self.names)

    def _start_from_what_is_there(self) -> None:
        """restart=True: the final model of an earlier run is the one to start from, as in tclean."""
        n = self.names
        model = [self.loop.model] if isinstance(self.loop.model, str) else self.loop.model
        there = all(Path(path).exists() for path in model)
        if not (self.wishes.restart and there) or self.config.clean.startmodel:
            return
        given = self.config._given
        self.config = Config.parse(given | {"clean": (given.get("clean") or {}) | {"startmodel": model}})
        self.loop = Loop(self.config, n, self._state)
        self._say(f"starting from {', '.join(model)}, which is there (restart)")

    def _say(self, text: str, passing: bool = False) -> None:
        """A line; of what is soon over only on a terminal, and until the next one."""
        if not self.progress:
            return
        terminal = sys.stdout.isatty()
        if passing and terminal:
            print(f"\r\033[K{text} ...", end="", flush=True)
        elif not passing:
            print(("\r\033[K" if terminal else "") + text, flush=True)


class _Warnings(logging.Handler):
    """Shows the warnings of stages as they come."""

    def __init__(self, say):
        super().__init__(logging.WARNING)
        self.say, self.said = say, set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.said:
            self.said.add(message)
            self.say(f"warning: {message}")


def _understand(config, keywords: dict) -> tuple[Task, Wishes]:
    """The configuration as values (none for a Config), the imagename, and the wishes."""
    wishes = {name: bool(keywords[name]) for name in keywords if name in Wishes.__dataclass_fields__}
    others = {name: value for name, value in keywords.items() if name not in wishes}
    nested = isinstance(config, dict) and any(isinstance(v, dict) for v in config.values())
    if config is None or (isinstance(config, dict) and not nested):
        asked = task((config or {}) | keywords)
        return asked, asked.wishes
    if others:
        first = next(iter(others))
        raise ImagingError("A configuration and keywords beside it say things twice.", got=f"{first}={others[first]!r}",
                           expected=f"one of them, or {', '.join(Wishes.__dataclass_fields__)} as keywords",
                           next_step=f"set {first} in the configuration")  # fmt: skip
    if not isinstance(config, Config | dict | str | os.PathLike):
        raise ImagingError("This is no configuration.", got=f"{config!r} ({type(config).__name__})",
                           expected="a Config, the path of a YAML file, or a dictionary",
                           next_step="pass one of these, or tclean's keywords by name")  # fmt: skip
    values = {} if isinstance(config, Config) else config if nested else load_values(config)
    return Task(values), Wishes(**wishes)


def _cores() -> int:
    return min(8, len(os.sched_getaffinity(0)))


def _remove(path: str) -> None:
    if Path(path).is_dir():
        shutil.rmtree(path)
    else:
        Path(path).unlink()
