"""Joined clean on whole planes in plain numpy (Offringa & Smirnov 2017, section 3): what `clean_pixels` computes."""

import numpy as np

from imaging.kernels.joined_clean import BELOW_THRESHOLD, DIVERGING, GOING_ON


def clean_pixels(images, mask, factor, psfs, weights, squared, smooth, gain, threshold, growth, components, fluxes):
    """The fast one's results; images (plane, ny, nx), psfs (plane, 2ny - 1, 2nx - 1), smooth(values, y, x) the fit."""
    ny, nx = mask.shape
    lowest, best = np.inf, 0
    for n in range(len(components) + 1):
        if squared:
            integrated = np.sqrt(np.tensordot(weights[0], images**2, 1))
        else:
            integrated = abs(np.tensordot(weights, images, 1)).max(axis=0)
        merit = np.where(mask, abs(integrated * factor), -1)
        y, x = np.unravel_index(np.argmax(merit), mask.shape)
        top = merit[y, x]
        if top < lowest:
            lowest, best = top, n
        if top < threshold:
            return n, BELOW_THRESHOLD, best, top
        if top > growth * lowest:
            return n, DIVERGING, best, top
        if n < len(components):
            components[n], fluxes[n] = (y, x), gain * smooth(images[:, y, x], y, x)
            images -= fluxes[n][:, None, None] * psfs[:, ny - 1 - y : 2 * ny - 1 - y, nx - 1 - x : 2 * nx - 1 - x]
    return len(components), GOING_ON, best, top
