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
START = NAMES.startmodel() if CONFIG.clean.startmodel else []
AUTOMASK = CONFIG.mask.usemask == "auto-multithresh"
CHECKPOINT_LIMIT = 2000  # cycles after the first: the largest clean.nmajor
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


def memory(stage):
    return lambda wildcards, attempt: attempt * estimate(CONFIG, stage).mem_mb


def runtime(stage):
    return lambda wildcards, attempt: attempt * estimate(CONFIG, stage).minutes


def state_of(cycle):
    with open(checkpoints.decide.get(cycle=cycle).output.state) as file:
        return json.load(file)


def decided(cycle):
    """The cycle as its decision counts: `003`, or `003.exact` where it would stop at a residual that is not exact."""
    if CONFIG.gridding.major_cycle == "hybrid" and int(cycle):
        state = state_of(cycle)
        if state["stop"] and state["psf_error"] is not None:
            return f"{cycle}.exact"
    return cycle


def number(cycle):
    return int(cycle.removesuffix(".exact"))


def previous(product):
    """The product of the cycle before this one; in the first nothing, or the model to start from."""

    def path(wildcards):
        if not number(wildcards.cycle):
            return START if product == "model" else []
        before = f"{number(wildcards.cycle) - 1:03d}"
        # There is one minor cycle, whatever residual it starts from.
        plain = product in ("model", "minor", "memory")
        return NAMES.path(product, before if plain else decided(before))

    return path


def by_convolution(path):
    """What a major cycle needs to do without the visibilities; nothing where it is to be exact."""
    wanted = CONFIG.gridding.major_cycle != "exact"
    return lambda wildcards: (
        path if wanted and wildcards.cycle.isdigit() and int(wildcards.cycle) else []
    )


def mask_of(cycle):
    """Automatic masks are made anew in every cycle, the others once."""
    return NAMES.mask(cycle if AUTOMASK else 0)


def last_cycle():
    """The first state that says stop names the cycle whose products are the final ones."""
    for number in range(CHECKPOINT_LIMIT + 1):
        cycle = decided(f"{number:03d}")
        state = state_of(cycle)
        if state["stop"]:
            return number, cycle, state["best_cycle"]
    raise WorkflowError(
        f"No end after {CHECKPOINT_LIMIT} cycles: set clean.nmajor, or a higher clean.threshold."
    )


def exact(cycle):
    """The residual to end with: in a hybrid run an exact one also where the clean has gone back to this cycle."""
    hybrid = CONFIG.gridding.major_cycle == "hybrid" and int(cycle)
    if hybrid and state_of(cycle)["psf_error"] is not None:
        return NAMES.residual(f"{cycle}.exact")
    return NAMES.residual(cycle)


def finished(wildcards):
    """Inputs of restore: the residual, model and mask that the loop ended with."""
    _, cycle, best = last_cycle()
    return {
        "residual": exact(f"{best:03d}"),
        "model": NAMES.model(best - 1) if best else START,
        "mask": mask_of(decided(f"{max(best - 1, 0):03d}")),
        "state": NAMES.state(cycle),
    }


def history(wildcards):
    """Inputs of report: what was decided and done in each cycle."""
    last, _, _ = last_cycle()
    return {
        "states": [NAMES.state(decided(f"{cycle:03d}")) for cycle in range(last + 1)],
        "minors": [NAMES.minor(cycle) for cycle in range(last)],
    }


def final_products():
    products = ["psf", "pb", "sumwt", "residual", "model", "mask", "image", "report"]
    products += ["image.pbcor"] * CONFIG.restore.pbcor
    products += ["components"] * CONFIG.restore.components
    products += ["startmodel"] * bool(CONFIG.clean.startmodel)
    if CONFIG.joined:
        products += ["image.mfs", "residual.mfs", "model.mfs", "psf.mfs"]
        products += ["image.mfs.pbcor"] * CONFIG.restore.pbcor
    return [NAMES.path(product) for product in products]
