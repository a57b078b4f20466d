"""Connected regions of masks in plain numpy: one step to the four neighbours at a time."""

import numpy as np


def _step(mask):
    padded = np.pad(mask, 1)
    return mask | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]


def grow(seed, constraint, iterations):
    """`seed & constraint` dilated `iterations` times by a 3x3 cross, kept inside `constraint`."""
    grown = seed & constraint
    for _ in range(iterations):
        before, grown = grown, _step(grown) & constraint
        if (before == grown).all():
            break
    return grown


def prune(mask, minimum):
    """Remove, in place, the regions of `mask` that have fewer than `minimum` pixels."""
    left = mask.copy()
    while left.any():
        seed = np.zeros_like(mask)
        seed.flat[np.argmax(left)] = True
        region = grow(seed, left, mask.size)
        left &= ~region
        if region.sum() < minimum:
            mask &= ~region
