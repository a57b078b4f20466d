"""simulate: a MeasurementSet of a known sky, and the table of what is in it."""

from __future__ import annotations

import math

import numpy as np

from imaging.algorithms import simulation
from imaging.algorithms.components import Component
from imaging.algorithms.primary_beam import choose_model, power
from imaging.errors import ImagingError
from imaging.image import lm_to_radec, radec_to_lmn
from imaging.io.component_list import is_component_list, load_components
from imaging.io.images import load_image
from imaging.io.ms_writer import write_ms
from imaging.io.truth import save_truth
from imaging.log import logger
from imaging.settings import Settings
from imaging.units import format_angle, parse_beam, parse_direction

CORRELATIONS = {"circular": ("RR", "RL", "LR", "LL"), "linear": ("XX", "XY", "YX", "YY")}


def simulate(*, ms: str, truth: str, config) -> None:
    """Write the MeasurementSet `ms` and the CSV table `truth`; `config` is `Observation.values()` as Settings."""
    positions, names, (p, q, time, uvw), freq, centre = tracks(config)
    components = [_component(Settings.of(source), config.reffreq or freq.mean(), centre) for source in config.sources]
    corr_type = CORRELATIONS[config.feeds]
    listed = bool(config.skymodel) and is_component_list(config.skymodel)
    components += load_components(config.skymodel) if listed else []
    vis = simulation.predict_components(uvw, freq, components, centre, corr_type, _attenuation(config))
    if config.skymodel and not listed:
        image = _sky_about(config.skymodel, centre)
        vis += simulation.predict_image(uvw, freq, image.data, image.grid, corr_type, _attenuation(config))
    rms = simulation.visibility_rms(config.sefd, config.chanwidth, config.integration)
    vis += simulation.thermal_noise(vis.shape, rms, np.random.default_rng(config.seed))
    write_ms(
        ms, antenna_positions=positions, antenna_names=names, dish_diameter=config.dishdiameter,
        antenna1=p, antenna2=q, time=time, uvw=uvw, vis=vis, freq=freq, width=config.chanwidth,
        weight=np.full((len(p), len(corr_type)), rms**-2 if rms > 0 else 1.0), corr_type=corr_type,
        phase_centre=centre, field_name="simulated", telescope=config.telescope, interval=config.integration,
        overwrite=True,
    )  # fmt: skip
    save_truth(components, truth)
    logger.info("%d antennas, %d rows, %d channels, longest baseline %.0f m", len(names), len(p), len(freq),
                np.abs(uvw).max())  # fmt: skip
    logger.info("%d components; noise %.3g Jy a visibility, natural image %.3g Jy/beam", len(components), rms,
                rms / math.sqrt(2 * len(p) * len(freq)))  # fmt: skip


def tracks(config) -> tuple:
    """What is observed: positions and names of the stations, rows (antennas, time, uvw), frequencies, phase centre."""
    centre = parse_direction(config.phasecenter)
    positions, names = simulation.vla_antennas(config.configuration, config.antennas)
    rows = simulation.baseline_tracks(positions, _times(config, centre), centre)
    return positions, names, rows, config.startfreq + config.chanwidth * np.arange(config.nchan), centre


def _times(config, centre) -> np.ndarray:
    start, end = config.hourangle
    hour_angle = np.arange(start, end + 1e-6, config.every) * 2 * np.pi / simulation.DAY
    lowest = simulation.elevation(hour_angle, centre[1], simulation.VLA_LATITUDE).min()
    if lowest <= 0:
        raise ImagingError("The field sets during the observation.", got=f"elevation {math.degrees(lowest):.1f} deg",
                           expected="a field above the horizon",
                           next_step="shorten hourangle, or choose a phasecenter farther north")  # fmt: skip
    midnight = float((np.datetime64(config.date) - np.datetime64("1858-11-17")) / np.timedelta64(1, "D"))
    return simulation.time_of_hour_angle(hour_angle, centre[0], simulation.VLA_LONGITUDE, midnight)


def _component(source, reffreq: float, centre) -> Component:
    start = parse_direction(source.direction) if source.direction else centre
    ra, dec = lm_to_radec(*source.offset, start)
    major, minor, pa = parse_beam(source.size) if source.size else (0.0, 0.0, 0.0)
    stokes = tuple(source.flux) if isinstance(source.flux, (list, tuple)) else (source.flux, 0.0, 0.0, 0.0)
    return Component(source.name, float(ra), float(dec), stokes, tuple(source.spectral_index), float(reffreq),
                     major, minor, pa, source.group)  # fmt: skip


def _sky_about(path: str, centre):
    """A model image whose middle is the phase centre."""
    image = load_image(path)
    l, m, _ = radec_to_lmn(*image.grid.centre, centre)
    if max(abs(l), abs(m)) > 1e-3 * min(image.grid.cell) or not set(image.grid.stokes) <= set("IQUV"):
        raise ImagingError(f"The sky model {path} does not fit the observation.",
                           got=f"planes {''.join(image.grid.stokes)}, a middle"
                           f" {format_angle(math.hypot(l, m))} from phasecenter",
                           expected="Stokes planes, about the same centre",
                           next_step="set phasecenter to the image's, or take a list of components")  # fmt: skip
    return image


def _attenuation(config):
    model = choose_model(config.pbmodel, config.telescope, [config.dishdiameter])
    return None if model.kind == "none" else lambda radius, freq: power(model, radius, freq)
