"""Clean of positive peaks with gain 1 on one plane, written to what is known of WSClean's simple example."""

import numpy as np


def deconvolve(residual, model, psf, meta):
    if residual.shape[:2] != (1, 1):
        raise NotImplementedError("one channel and one polarisation only")
    height, width = residual.shape[2:]
    image, kernel = residual[0, 0], psf[0]
    brightest = image.argmax()
    level = image.flat[brightest]
    threshold = max(meta.major_iter_threshold, meta.final_threshold, level * (1 - meta.mgain))
    while level > threshold and meta.iteration_number < meta.max_iterations:
        y, x = np.unravel_index(brightest, image.shape)
        model[0, 0, y, x] += level
        image = image - level * np.roll(kernel, (y + height // 2, x + width // 2), axis=(0, 1))
        brightest = image.argmax()
        level = image.flat[brightest]
        meta.iteration_number += 1
    go_on = level > meta.final_threshold and meta.iteration_number < meta.max_iterations
    return {"residual": image[None, None], "model": model, "level": level, "continue": go_on}
