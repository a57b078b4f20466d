"""What the rules share: the validated configuration, the names of files, the walk through the loop."""

import json
from pathlib import Path

from imaging.config import Config
from imaging.errors import ImagingError
from imaging.fingerprint import fingerprint as hash_of_sources
from imaging.io.atomic import set_aside
from imaging.names import Names
from imaging.plugins import deconvolver_module
from imaging.resources import estimate

try:
    CONFIG = Config.parse(config)
    IDENTITY = CONFIG.identify_data()
except ImagingError as error:
    raise WorkflowError(str(error))

NAMES = Names(CONFIG.name, image_format=CONFIG.image_format)
AUTOMASK = CONFIG.mask.usemask == "auto-multithresh"
CHECKPOINT_LIMIT = 2000  # cycles after the first: the largest clean.nmajor
SCRIPTS = Path(workflow.current_basedir.get_path_or_uri(False)).parent / "scripts"
PRODUCT = directory if CONFIG.image_format == "casa" else str


wildcard_constraints:
    cycle=r"\d\d\d+",


def settings(stage):
    """A plain dict of what the stage reads: Snakemake compares it by content."""
    return CONFIG.settings(stage)


def fingerprint(stage, *plugins):
    """A changed script or library makes the stage run again."""
    return hash_of_sources(stage, *plugins, scripts=SCRIPTS)


def memory(stage):
    return lambda wildcards, attempt: attempt * estimate(CONFIG, stage).mem_mb


def runtime(stage):
    return lambda wildcards, attempt: attempt * estimate(CONFIG, stage).minutes


def previous(product):
    """The product of the cycle before this one; nothing in the first."""
    return lambda wildcards: (
        NAMES.path(product, int(wildcards.cycle) - 1) if int(wildcards.cycle) else []
    )


def mask_of(cycle):
    """Automatic masks are made anew in every cycle, the others once."""
    return NAMES.mask(cycle if AUTOMASK else 0)


def last_cycle():
    """The first state that says stop names the cycle whose products are the final ones."""
    for cycle in range(CHECKPOINT_LIMIT + 1):
        with open(checkpoints.decide.get(cycle=f"{cycle:03d}").output.state) as file:
            state = json.load(file)
        if state["stop"]:
            return cycle, state["best_cycle"]
    raise WorkflowError(
        f"No end after {CHECKPOINT_LIMIT} cycles: set clean.nmajor, or a higher clean.threshold."
    )


def finished(wildcards):
    """Inputs of restore: the residual, model and mask that the loop ended with."""
    last, best = last_cycle()
    return {
        "residual": NAMES.residual(best),
        "model": NAMES.model(best - 1) if best else [],
        "mask": mask_of(max(best - 1, 0)),
        "state": NAMES.state(last),
    }


def history(wildcards):
    """Inputs of report: what was decided and done in each cycle."""
    last, _ = last_cycle()
    return {
        "states": [NAMES.state(cycle) for cycle in range(last + 1)],
        "minors": [NAMES.minor(cycle) for cycle in range(last)],
    }


def final_products():
    products = ["psf", "pb", "sumwt", "residual", "model", "mask", "image", "report"]
    return [
        NAMES.path(product)
        for product in products + ["image.pbcor"] * CONFIG.restore.pbcor
    ]
