"""Multi-term multi-scale clean (Rau and Cornwell 2011, A&A 532, A71) in plain numpy: what `multiterm` computes."""

import numpy as np

from imaging.kernels.clean import BELOW_THRESHOLD, DIVERGING, GOING_ON
from imaging.kernels.clean_reference import _shifted


def clean(images, psfs, inverses, biases, masks, gain, threshold, growth, components, fluxes, history):
    """Arguments and results of the fast one, with masks (scale, ny, nx) for its runs; images is kept up to date."""
    terms, smallest = range(images.shape[1]), np.inf
    centre = psfs.shape[3] // 2, psfs.shape[4] // 2
    for n in range(len(components)):
        if not masks[0].any() or abs(images[0, 0][masks[0]]).max() / psfs[0, 0, 0][centre] < threshold:
            return n, BELOW_THRESHOLD
        coefficients = np.einsum("ast,atyx->asyx", inverses, images)  # A^-1 R, pixel by pixel
        merits = np.where(masks, (coefficients * images).sum(1) * biases[:, None, None], -1)
        a, y, x = np.unravel_index(np.argmax(merits), merits.shape)
        smallest = min(smallest, merits[a, y, x])
        if merits[a, y, x] > growth * smallest:
            return n, DIVERGING
        components[n], history[n] = (a, y, x), merits[a, y, x]
        fluxes[n] = gain * coefficients[a, :, y, x]
        for b in range(len(images)):
            for s in terms:
                trace = sum(fluxes[n, t] * _shifted(psfs[a, b, s + t], masks[b].shape, y, x) for t in terms)
                images[b, s] -= np.where(masks[b], trace, 0)
    return len(components), GOING_ON
