"""What the rules share: the validated configuration, the names of files, the walk through the loop."""

import json
import math
from pathlib import Path

from imaging import terms
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.fingerprint import fingerprint as hash_of_sources
from imaging.io.atomic import set_aside
from imaging.loop import Loop, number
from imaging.names import Names
from imaging.plugins import deconvolver_files, deconvolver_module, is_builtin
from imaging.resources import estimate
from imaging.serial_notes import check_serial
from imaging.state import CleanState

try:
    CONFIG = Config.parse(config)
    IDENTITY = CONFIG.identify_data()
except ImagingError as error:
    raise WorkflowError(str(error))

NAMES = Names(CONFIG.name, image_format=CONFIG.image_format)
try:
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
    products = ["psf", "pb", "sumwt", "report"]
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
