"""`imaging init`: a configuration for a MeasurementSet, with the cell and size that baselines and dishes ask for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from imaging.config_sections import good_size
from imaging.units import ANGLE, SPEED_OF_LIGHT

LARGEST = 4096
STARTER = """# Written by `imaging init`. All parameters: config/config.yaml and docs/config.md.
name: {name}
data: {{vis: {vis}, datacolumn: auto, field: "{field}", spw: ""}}
# The beam of the longest baseline is about {beam}; {why}.
image: {{imsize: {size}, cell: {cell}, stokes: I}}
weighting: {{weighting: briggs, robust: 0.5}}
gridding: {{epsilon: 1.0e-4}}
clean: {{deconvolver: hogbom, niter: 10000, nsigma: 4}}
# Clean all of the primary beam. usemask: auto-multithresh finds smaller masks where the psf's sidelobes are low.
mask: {{usemask: pb, pbmask: 0.2}}
restore: {{pbcor: true}}
"""


def starter(ms: Path) -> str:
    """The text of a configuration: five pixels across the beam of the longest baseline, the whole primary beam."""
    from imaging.io.ms import read_metadata, survey

    meta = read_metadata(str(ms))
    longest, frequency, dish, field = survey(meta)
    beam = SPEED_OF_LIGHT / frequency / longest
    cell = _round(beam / 5)
    field_of_view = 1.5 * SPEED_OF_LIGHT / frequency / dish if dish > 0 else LARGEST * cell
    wanted = good_size(math.ceil(field_of_view / cell))
    size = min(max(wanted, 256), LARGEST)
    why = "the image covers the primary beam" if size >= wanted else f"the primary beam would take {wanted} pixels"
    name = "".join(c if c.isalnum() or c in "_+-" else "_" for c in ms.name.removesuffix(".ms"))
    return STARTER.format(name=name, vis=ms, field=field, beam=_text(beam), why=why, size=size, cell=_text(cell))


def _round(angle: float) -> float:
    """One or two figures that are easy to remember: 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten."""
    unit = ANGLE["arcsec"]
    exponent = 10.0 ** math.floor(math.log10(angle / unit))
    steps = np.array([1, 1.5, 2, 3, 4, 5, 6, 8])
    return float(steps[steps <= angle / unit / exponent * (1 + 1e-9)].max() * exponent * unit)


def _text(angle: float) -> str:
    for unit in ("deg", "arcmin", "arcsec", "mas"):
        if angle >= ANGLE[unit] or unit == "mas":
            return f"{angle / ANGLE[unit]:.3g}{unit}"
    raise AssertionError
