"""Output channels: which data channels make which plane of the image."""

from __future__ import annotations

import numpy as np

from imaging.errors import ImagingError
from imaging.units import FREQUENCY, parse_quantity


def output_channels(freqs, widths, specmode: str, nchan: int = -1, start="", width=""):
    """Frequencies and widths of the image's channels, and for each part the output channel of its channels.

    Parameters
    ----------
    freqs, widths : one (chan,) array a part, Hz.
    specmode : "mfs" (one channel of everything) or "cube".
    nchan, start, width : tclean's: a channel number, a frequency with unit, or "" for the data's own.

    Returns
    -------
    (freq, width, channel_map): tuples of Hz, and a list of (chan,) int arrays, -1 where a channel is not imaged.
    """
    edges_low = np.concatenate([f - abs(w) / 2 for f, w in zip(freqs, widths, strict=True)])
    edges_high = np.concatenate([f + abs(w) / 2 for f, w in zip(freqs, widths, strict=True)])
    low, high = float(edges_low.min()), float(edges_high.max())
    if specmode == "mfs":
        return ((low + high) / 2,), (high - low,), [np.zeros(len(f), dtype=np.int64) for f in freqs]
    every = np.concatenate(freqs)
    step = float(np.median(np.abs(np.concatenate(widths))))
    sign = -1.0 if isinstance(width, str) and width.startswith("-") else 1.0
    channel = sign * step if width == "" else width * step if isinstance(width, int) else _hertz(width)
    if channel == 0:
        raise ImagingError("image.width is zero.", got=width, expected="a channel width", next_step="leave it empty")
    lowest, highest = float(every.min()), float(every.max())
    if start == "":
        first = (lowest - step / 2 + channel / 2) if channel > 0 else (highest + step / 2 + channel / 2)
    elif isinstance(start, int):
        first = lowest + start * step - np.sign(channel) * step / 2 + channel / 2
    else:
        first = _hertz(start)
        if nchan < 0 and not low - abs(channel) < first < high + abs(channel):
            raise ImagingError("image.start is outside the data.", got=f"{first / 1e6:.6g} MHz",
                               expected=f"a frequency between {low / 1e6:.6g} and {high / 1e6:.6g} MHz",
                               next_step="mend image.start, or set image.nchan if blank channels are wanted"
                               )  # fmt: skip
    if nchan < 0:
        end = highest + step / 2 if channel > 0 else lowest - step / 2
        nchan = max(1, round(abs(end - (first - channel / 2)) / abs(channel)))
    centres = first + channel * np.arange(nchan)
    channel_map = []
    for freq in freqs:
        index = np.floor((freq - first) / channel + 0.5 + 1e-6).astype(np.int64)
        channel_map.append(np.where((index >= 0) & (index < nchan), index, -1))
    if all((m < 0).all() for m in channel_map):
        raise ImagingError("No channel of the data falls into the cube.",
                           got=f"{centres[0] / 1e6:.6g} to {centres[-1] / 1e6:.6g} MHz",
                           expected=f"channels between {low / 1e6:.6g} and {high / 1e6:.6g} MHz",
                           next_step="mend image.start, image.width or image.nchan")  # fmt: skip
    return tuple(float(c) for c in centres), (abs(channel),) * nchan, channel_map


def _hertz(text: str) -> float:
    return parse_quantity(text, FREQUENCY, "Hz")


def planes_of(freq, grid, specmode: str) -> np.ndarray:
    """The image channel of each data channel of `freq`, Hz, by the nearest centre; -1 for none."""
    if specmode == "mfs":
        return np.zeros(len(freq), np.int64)
    centres, widths = np.array(grid.freq), np.array(grid.width)
    nearest = np.abs(freq[:, None] - centres).argmin(axis=1)
    return np.where(np.abs(freq - centres[nearest]) <= widths[nearest] * (0.5 + 1e-6), nearest, -1)
