"""Hogbom (1974) and multi-scale clean (Cornwell 2008, IEEE JSTSP 2, 793) in plain numpy: what `clean` computes."""

import numpy as np

from imaging.kernels.clean import BELOW_THRESHOLD, DIVERGING, GOING_ON


def _shifted(psf, shape, y, x):
    """The psf with its centre on (y, x), zero beyond its edges."""
    out = np.zeros(shape, psf.dtype)
    (ny, nx), (cy, cx) = shape, (psf.shape[0] // 2, psf.shape[1] // 2)
    y0, y1, x0, x1 = max(0, y - cy), min(ny, y - cy + psf.shape[0]), max(0, x - cx), min(nx, x - cx + psf.shape[1])
    out[y0:y1, x0:x1] = psf[y0 - y + cy : y1 - y + cy, x0 - x + cx : x1 - x + cx]
    return out


def clean(images, psfs, volumes, biases, masks, gain, threshold, growth, components, fluxes, history):
    """Arguments and results of the fast one, with masks (scale, ny, nx) for its runs; images is kept up to date."""
    first, smallest = 0.0, np.inf
    for n in range(len(components)):
        peaks = [
            np.unravel_index(np.argmax(np.where(m, abs(d), -1)), d.shape) for d, m in zip(images, masks, strict=True)
        ]
        values = np.array([d[p] if m.any() else 0 for d, p, m in zip(images, peaks, masks, strict=True)])
        merits = np.where(masks.any((1, 2)), abs(values * (values * biases / volumes)), -1)
        a = int(np.argmax(merits))
        strength = values[a] / volumes[a]
        if merits[a] < 0 or abs(strength) < threshold:
            return n, BELOW_THRESHOLD
        first, smallest = (abs(strength) if n == 0 else first), min(smallest, merits[a])
        if (abs(strength) > growth[0] * first) if growth[1] == 0 else (merits[a] > growth[0] * smallest):
            return n, DIVERGING
        components[n], fluxes[n], history[n] = (a, *peaks[a]), gain * strength, merits[a]
        for b in range(len(images)):
            images[b] -= np.where(masks[b], fluxes[n] * _shifted(psfs[a, b], images[b].shape, *peaks[a]), 0)
    return len(components), GOING_ON


def add_components(model, patches, components, fluxes):
    """model += fluxes times patches centred on each component."""
    for (scale, y, x), flux in zip(components, fluxes, strict=True):
        model += flux * _shifted(patches[scale], model.shape, y, x)
