"""Settings that are right by themselves but not with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaging import units
from imaging.config_measurement import Measurement
from imaging.config_reads import NARROW, WIDEBAND
from imaging.config_sections import Clean
from imaging.errors import ImagingError
from imaging.plugins import is_builtin

if TYPE_CHECKING:
    from imaging.config import Config


def check_together(config: Config) -> None:
    """Raises ImagingError naming the first two that do not go together."""
    scales, smallest = config.clean.scales, min(config.image.imsize)
    if "multiscale" in config.deconvolvers() and not scales:
        raise ImagingError("The deconvolver multiscale has no scales.", got="clean.scales: []",
                           expected="sizes in pixels, from 0 to that of the largest structure",
                           next_step="set clean.scales: [0, 5, 15], or clean.deconvolver: hogbom")  # fmt: skip
    if {"multiscale", "mtmfs", "wideband"} & set(config.deconvolvers()) and max(scales, default=0) > smallest / 2:
        raise ImagingError("A scale is too large for the image.", got=f"clean.scales: {list(scales)}",
                           expected=f"at most {smallest // 2}, half of image.imsize",
                           next_step="leave out the largest scales, or make a larger image")  # fmt: skip
    _check_selfcal(config)
    _check_joining(config)
    _check_measurement(config.measurement)
    if "mtmfs" in config.deconvolvers():
        _check_multiterm(config)
    planes = units.parse_stokes(config.image.stokes)
    if config.clean.startmodel and not set(planes) <= set("IQUV"):
        raise ImagingError("A sky to start from is in Stokes parameters.", got=f"image.stokes: {config.image.stokes}",
                           expected="I, Q, U, V or some of them with clean.startmodel",
                           next_step="set image.stokes: I, or leave clean.startmodel empty")  # fmt: skip
    if config.restore.components and planes[0] != "I":
        raise ImagingError("Components are those of Stokes I.", got=f"image.stokes: {config.image.stokes}",
                           expected="Stokes I among the planes, with restore.components",
                           next_step="set image.stokes: I, or restore.components: false")  # fmt: skip
    if config.image_format == "fits":
        from imaging.io.fits import stokes_axis

        stokes_axis(units.parse_stokes(config.image.stokes))
    if config.clean.savemodel != "none" and config.data.datacolumn == "model":
        raise ImagingError("The column that is imaged would be overwritten.", got="clean.savemodel: modelcolumn",
                           expected="clean.savemodel: none, with data.datacolumn: model",
                           next_step="image another column, or leave out clean.savemodel")  # fmt: skip
    if config.primary_beam.pbmodel == "measurement" and not config.measurement.sky_jones:
        raise ImagingError("There are no terms of the sky to make a primary beam of.",
                           got="measurement.sky_jones: []", expected="a beam in it, with pbmodel: measurement",
                           next_step="name one, or set primary_beam.pbmodel: auto")  # fmt: skip
    if config.primary_beam.pbmodel == "image" and not config.primary_beam.pbimage:
        raise ImagingError("No primary-beam image is named.", got="primary_beam.pbimage: ''",
                           expected="a FITS image, with pbmodel: image",
                           next_step="set primary_beam.pbimage, or primary_beam.pbmodel: auto")  # fmt: skip


def _check_measurement(section: Measurement) -> None:
    """What the steps need, and names that two terms have."""
    terms = (*section.sky_jones, *section.sky_vis_proc, *section.uv_jones, *section.vis_proc)
    labels = [term.label for term in terms]
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise ImagingError("Two terms of the measurement equation have the same label.", got=twice[0],
                           expected="a label of its own for each", next_step="rename one of them")  # fmt: skip
    if section.aterms and not section.sky_jones:
        raise ImagingError("There are no terms of the sky to make A-terms of.", got="measurement.sky_jones: []",
                           expected="at least one, with measurement.aterms", next_step="name one, or leave out aterms"
                           )  # fmt: skip
    if "predict" in section.steps and not section.sky_models:
        raise ImagingError("There is no sky to predict.", got="measurement.sky_models: []",
                           expected="at least one sky model", next_step="name one, such as ComponentSky")  # fmt: skip
    if section.write == "input" and "simulate" in section.steps:
        raise ImagingError("simulate makes a new set.", got="measurement.write: input", expected="write: new",
                           next_step="leave out measurement.write")  # fmt: skip


def _check_selfcal(config: Config) -> None:
    """What self-calibration does not go with."""
    if not config.selfcal.rounds:
        return
    for got, chosen, step in (
        ("measurement.steps", config.measurement.steps, "make the sets first, in a run of their own, and name them in"
                                                        " data.vis"),
        ("data.solutions", config.data.solutions, "leave it out: self-calibration makes its own"),
        ("clean.savemodel", config.clean.savemodel != "none", "leave it out; the best model is imaged again with"
                                                              " data.solutions and selfcal.rounds: 0"),
    ):  # fmt: skip
        if chosen:
            raise ImagingError(f"{got} does not go with self-calibration.",
                               got=f"{got} and selfcal.rounds: {config.selfcal.rounds}", expected="one of them",
                               next_step=step)  # fmt: skip
    if config.selfcal.gaintype == "J" and "p" in config.selfcal.calmode:
        raise ImagingError("Jones matrices have amplitudes.", got=f"selfcal.calmode: {list(config.selfcal.calmode)}",
                           expected="selfcal.calmode: ap, with gaintype: J",
                           next_step="set selfcal.calmode: ap, or selfcal.gaintype: G")  # fmt: skip


def _check_joining(config: Config) -> None:
    """What only the deconvolver wideband does, and what its parts need of each other."""
    clean = config.clean
    chosen = [name for name in WIDEBAND if getattr(clean, name) != Clean.model_fields[name].default]
    if set(config.deconvolvers()) <= set(NARROW) and chosen:
        name = chosen[0]
        raise ImagingError(f"The deconvolver {clean.deconvolver} knows no clean.{name}.",
                           got=f"clean.{name}: {config.model_dump(mode='json')['clean'][name]}",
                           expected="clean.deconvolver: wideband",
                           next_step=f"set clean.deconvolver: wideband, or leave out clean.{name}")  # fmt: skip
    joined = "channels" in clean.join or not all(map(is_builtin, config.deconvolvers()))
    for name in ("fit_spectrum", "deconvolution_channels"):
        if getattr(clean, name) not in ("none", 0) and not (joined and config.image.specmode == "cube"):
            raise ImagingError(f"clean.{name} needs joined channels.",
                               got=f"clean.join: {list(clean.join)}, image.specmode: {config.image.specmode}",
                               expected="clean.join: [channels] and image.specmode: cube",
                               next_step="set these, with image.width the number of channels of a plane"
                               )  # fmt: skip
    if clean.deconvolution_channels and clean.fit_spectrum == "none":
        raise ImagingError("Fewer deconvolution channels need a spectrum to be interpolated by.",
                           got="clean.fit_spectrum: none", expected="polynomial, logpolynomial or forced",
                           next_step="set clean.fit_spectrum: polynomial, or clean.deconvolution_channels: 0"
                           )  # fmt: skip
    if (clean.fit_spectrum == "forced") != bool(clean.spectrum_map):
        raise ImagingError("clean.spectrum_map goes with clean.fit_spectrum: forced.",
                           got=f"fit_spectrum: {clean.fit_spectrum}, spectrum_map: {clean.spectrum_map!r}",
                           expected="both, or neither", next_step="set both or leave out both")  # fmt: skip


def _check_multiterm(config: Config) -> None:
    """What Taylor terms do not go with."""
    if config.deconvolvers() != ["mtmfs"]:
        raise ImagingError("The deconvolver mtmfs cannot take turns with others: its planes are Taylor terms.",
                           got=", ".join(config.deconvolvers()), expected="mtmfs in all cycles, or in none",
                           next_step="leave it out of clean.schedule, or leave that empty")  # fmt: skip
    if config.image.specmode != "mfs":
        raise ImagingError("The deconvolver mtmfs makes one image of the whole band.",
                           got=f"image.specmode: {config.image.specmode}", expected="image.specmode: mfs",
                           next_step="set image.specmode: mfs, or another clean.deconvolver")  # fmt: skip
    if config.clean.nterms > 1 and config.gridding.major_cycle != "exact":
        raise ImagingError("Taylor terms need residuals from the visibilities.",
                           got=f"gridding.major_cycle: {config.gridding.major_cycle}",
                           expected="gridding.major_cycle: exact, where clean.nterms is above 1",
                           next_step="set gridding.major_cycle: exact")  # fmt: skip
