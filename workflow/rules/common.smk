"""What the rules share: the validated configuration, the names of files, the walk through the loop."""

import json
import math
import re
from pathlib import Path

from imaging import terms
from imaging.algorithms.selfcal import Verdict
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.fingerprint import fingerprint as hash_of_sources
from imaging.io.atomic import set_aside
from imaging.loop import Loop, number
from imaging.names import Names
from imaging.plugins import deconvolver_files, deconvolver_module, is_builtin
from imaging.resources import estimate
from imaging.rounds import Rounds
from imaging.measurement import build
from imaging.serial_notes import check_serial
from imaging.settings import Settings
from imaging.state import CleanState
from imaging.steps import SIMULATED, Steps

try:
    CONFIG = Config.parse(config)
    IDENTITY = CONFIG.identify_data()
except ImagingError as error:
    raise WorkflowError(str(error))

NAMES = Names(CONFIG.name, image_format=CONFIG.image_format)
try:
    STEPS = Steps(CONFIG, NAMES)
    check_serial(CONFIG, IDENTITY, NAMES)
except ImagingError as error:
    raise WorkflowError(str(error))
SCRIPTS = Path(workflow.current_basedir.get_path_or_uri(False)).parent / "scripts"
PRODUCT = directory if CONFIG.image_format == "casa" else str


wildcard_constraints:
    cycle=r"\d\d\d+(\.exact)?",


def settings(stage):
    """A plain dict of what the stage reads: Snakemake compares it by content."""
    return CONFIG.settings(stage)


def fingerprint(stage, *plugins):
    """A changed script or library makes the stage run again."""
    return hash_of_sources(stage, *plugins, scripts=SCRIPTS)


def deconvolver(wildcards):
    return CONFIG.deconvolver_at(number(wildcards.cycle))


def deconvolver_code(wildcards):
    """Of the minor cycle: with a built-in deconvolver its modules; files of the user's own are inputs."""
    name = deconvolver(wildcards)
    return fingerprint("minor_cycle", *[deconvolver_module(name)] * is_builtin(name))


def memory(stage):
    return lambda wildcards, attempt: attempt * estimate(CONFIG, stage).mem_mb


def runtime(stage):
    return lambda wildcards, attempt: attempt * estimate(CONFIG, stage).minutes


def state_of(cycle):
    """What was decided in a cycle; Snakemake asks again when it is known."""
    return CleanState.from_json(
        Path(checkpoints.decide.get(cycle=cycle).output.state).read_text()
    )


LOOP = Loop(CONFIG, NAMES, state_of)


def previous(product):
    """The product of the cycle before this one; nothing in the first."""
    return lambda wildcards: LOOP.previous(product, wildcards.cycle)


def by_convolution(path):
    """What a major cycle needs to do without the visibilities; nothing where it is to be exact."""
    return lambda wildcards: LOOP.by_convolution(path, wildcards.cycle)


def finished(wildcards):
    """Inputs of restore: the residual, model and mask that the loop ended with."""
    return LOOP.finished(LOOP.last_cycle())


def listed(wildcards):
    """Inputs of components: the final model, and what the deconvolver kept of scales."""
    return LOOP.listed(LOOP.last_cycle())


def history(wildcards):
    """Inputs of report: what was decided and done in each cycle."""
    return LOOP.history(LOOP.last_cycle())


def final_products():
    made = STEPS.last() + STEPS.pictures()
    if CONFIG.selfcal.rounds:
        rounds = Rounds(CONFIG, NAMES)
        made += [NAMES.selfcal(), NAMES.solutions()]
        made += [NAMES.solutions_plot()] * rounds.plots
    return made + imaged_products() if CONFIG.measurement.image else made


def imaged_products():
    products = ["psf", "pb", "sumwt", "report"]
    products += ["aterms"] * bool(CONFIG.measurement.aterms)
    products += ["components"] * CONFIG.restore.components
    products += ["savemodel"] * (CONFIG.clean.savemodel == "modelcolumn")
    products += ["startmodel"] * bool(CONFIG.clean.startmodel)
    if CONFIG.clean.multiterm:
        whole = [NAMES.path(product) for product in products]
        return whole + terms.everything(CONFIG, NAMES)
    products += ["residual", "model", "mask", "image"]
    products += ["image.pbcor"] * CONFIG.restore.pbcor
    if CONFIG.joined:
        products += ["image.mfs", "residual.mfs", "model.mfs", "psf.mfs"]
        products += ["image.mfs.pbcor"] * CONFIG.restore.pbcor
    return [NAMES.path(product) for product in products]


def image_of_all():
    """The restored image; of several Taylor terms that of the first."""
    return NAMES.path("image.tt0" if CONFIG.clean.multiterm else "image")


def step_inputs(step):
    """The set before this step, the record of it, and the user's files that the terms are made of."""

    def inputs(wildcards):
        ms = STEPS.read(step, wildcards.ms)
        found = [STEPS.before(step, wildcards.ms) or ancient(ms)]
        return found + build.files(settings_of(step).measurement)

    return inputs


def settings_of(step):
    return Settings.of(settings(step))


def step_code(step):
    """Of the step, and of the built-in modules that it uses; files of the user's own are inputs."""
    return fingerprint(step, *build.native_modules(settings_of(step).measurement))


def step_identity(step):
    """Of the user's set, for the first step; what is written to it changes it."""
    first = STEPS.section.write == "new" and STEPS.order[:1] == [step]
    return lambda wildcards: (
        IDENTITY[list(STEPS.sets).index(wildcards.ms)] if first else {}
    )


def step_outputs(step):
    product = str if STEPS.section.write == "input" else directory
    found = {"out": product(STEPS.made(step))}
    if STEPS.section.inspect:
        found |= {
            "npz": STEPS.inspected(step),
            "png": STEPS.inspected(step, ending="png"),
        }
    return found


def measured_beam():
    """Input of pb where the measurement equation makes the beam."""
    return (
        {"beam": NAMES.beam()} if CONFIG.primary_beam.pbmodel == "measurement" else {}
    )
