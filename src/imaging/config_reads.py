"""Which settings each stage reads: what its job gets, and what makes it run again."""

from __future__ import annotations

_GRID = ("image.imsize", "image.cell", "image.specmode", "image.nchan", "image.start", "image.width", "image.restfreq")
_TERMS = ("clean.nterms", "clean.reffreq")
_SUMS = ("gridding.epsilon", "gridding.wterm", "gridding.precision", "gridding.backend", "gridding.memory")

WIDEBAND = ("join", "squared_join", "fit_spectrum", "deconvolution_channels", "automask_sigma", "local_rms")
"""Settings of `clean` that ask for what none of these can:"""
NARROW = ("hogbom", "clark", "multiscale", "mtmfs")
WIDEBAND_DETAILS = ("scalebias", "fit_terms", "spectrum_map", "local_rms_window", "local_rms_strength", "nsigma")
"""Further settings that the minor cycles of NARROW do not read; n-sigma thresholds are given to them in Jy."""

SCRIPTS = ("script_planes", "script_mask")
"""Settings of `clean` that no built-in deconvolver has."""

EQUATION = ("sky_models", "sky_jones", "sky_vis_proc", "uv_jones", "vis_proc")
"""Settings of `measurement` that are modules."""
_MEASURED = ("measurement.write", "measurement.smearing", "measurement.seed", "measurement.tile_memory")

SOLVING = ("calmode", "solint", "combine", "gaintype", "channels", "refant", "minsnr", "minblperant", "solnorm")
"""Settings of `selfcal` that make the solutions of a round."""

READS: dict[str, tuple[str, ...]] = {
    "ingest": ("data.*", "image.stokes", "image.phasecenter", "image.imsize", "image.cell"),
    "weights": ("weighting.*", "clean.join", *_GRID),
    "psf": (*_SUMS, "clean.psfcutoff", "compat", *_GRID, *_TERMS),
    "psf_double": (*_SUMS, *_GRID),
    "pb": ("primary_beam.*", *_GRID, *_TERMS),
    "startmodel": (*_GRID, *_TERMS),
    "major_cycle": (*_SUMS, *_GRID, *_TERMS),
    "automask": ("mask.*", "primary_beam.pblimit", "compat"),
    "decide": ("clean.niter", "clean.threshold", "clean.nsigma", "clean.cycleniter", "clean.cyclefactor",
               "clean.minpsffraction", "clean.maxpsffraction", "clean.nmajor", "clean.join", "clean.squared_join",
               "compat", "mask.usemask",
               "mask.fastnoise", "mask.pbmask", "primary_beam.pblimit"),
    "minor_cycle": ("clean.deconvolver", "clean.scales", "clean.smallscalebias", "clean.gain", "compat",
                    "restore.components", *(f"clean.{name}" for name in (*SCRIPTS, *WIDEBAND, *WIDEBAND_DETAILS))),
    "restore": ("restore.restoringbeam", "primary_beam.pblimit", "compat"),
    "mfs": ("restore.restoringbeam", "clean.psfcutoff", "compat"),
    "pbcor": ("primary_beam.pblimit",),
    "components": ("clean.deconvolver", "clean.join", "clean.fit_spectrum", "clean.fit_terms"),
    "restore_terms": ("restore.restoringbeam", "primary_beam.pblimit", "compat"),
    "pbcor_terms": ("primary_beam.pblimit",),
    "report": (*_SUMS, *_GRID),
    "simulate": ("measurement.observe",),
    "beams": ("data.*", "measurement.sky_jones", "measurement.seed", "measurement.smearing", "measurement.aterms",
              "measurement.aterm_interval", *_GRID),
    "predict": ("data.*", *_MEASURED, "measurement.sky_models", "measurement.sky_jones", "measurement.sky_vis_proc"),
    "corrupt": ("data.*", *_MEASURED, "measurement.uv_jones", "measurement.vis_proc"),
    "correct": ("data.*", *_MEASURED, *(f"measurement.{name}" for name in EQUATION), "measurement.sky_correct"),
    "modelvis": ("data.*", "image.stokes", "image.phasecenter", *_SUMS, *_GRID),
    "solve": ("data.*", *(f"selfcal.{name}" for name in SOLVING)),
    "judge": ("selfcal.*",),
    "savemodel": ("data.*", "image.stokes", "image.phasecenter", *_SUMS, *_GRID),
}  # fmt: skip
"""Which settings each stage reads. A stage that reads anything else fails: its settings hold nothing more."""
