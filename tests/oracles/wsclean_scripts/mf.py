"""Clean of the sum of all channels with fitted spectra, written to what is known of WSClean's example of it."""

import numpy as np


def deconvolve(residual, model, psf, meta):
    if residual.shape[1] != 1:
        raise NotImplementedError("one polarisation only")
    images, components = residual[:, 0], model[:, 0]
    for array in (images, components, psf):
        array[np.isnan(array)] = 0
    height, width = images.shape[1:]
    total = images.sum(axis=0)
    brightest = total.argmax()
    level = total.flat[brightest]
    threshold = max(meta.major_iter_threshold, meta.final_threshold, level * (1 - meta.mgain))
    while level > threshold and meta.iteration_number < meta.max_iterations:
        y, x = np.unravel_index(brightest, total.shape)
        spectrum = meta.spectral_fitter.fit_and_evaluate(images[:, y, x], y, x)
        components[:, y, x] += spectrum
        images = images - spectrum[:, None, None] * np.roll(psf, (y + height // 2, x + width // 2), axis=(1, 2))
        total = images.sum(axis=0)
        brightest = total.argmax()
        level = total.flat[brightest]
        meta.iteration_number += 1
    go_on = level > meta.final_threshold and meta.iteration_number < meta.max_iterations
    return {"residual": images, "model": components, "level": level, "continue": go_on}
