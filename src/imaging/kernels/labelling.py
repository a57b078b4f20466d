"""Connected regions of masks, four neighbours to a pixel."""

import numpy as np

from imaging.kernels._jit import njit


@njit(cache=True, nogil=True)
def prune(mask, minimum):
    """Remove, in place, the regions of `mask` (ny, nx) bool that have fewer than `minimum` pixels."""
    ny, nx = mask.shape
    seen = np.zeros((ny, nx), np.bool_)
    queue = np.empty((np.count_nonzero(mask), 2), np.int32)
    for y0 in range(ny):
        for x0 in range(nx):
            if not mask[y0, x0] or seen[y0, x0]:
                continue
            seen[y0, x0] = True
            queue[0, 0], queue[0, 1] = y0, x0
            head, tail = 0, 1
            while head < tail:
                y, x = queue[head, 0], queue[head, 1]
                head += 1
                for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                    v, u = y + dy, x + dx
                    if 0 <= v < ny and 0 <= u < nx and mask[v, u] and not seen[v, u]:
                        seen[v, u] = True
                        queue[tail, 0], queue[tail, 1] = v, u
                        tail += 1
            if tail < minimum:
                for k in range(tail):
                    mask[queue[k, 0], queue[k, 1]] = False


@njit(cache=True, nogil=True)
def grow(seed, constraint, iterations):
    """Pixels of `constraint` within `iterations` steps, through `constraint`, of those of `seed & constraint`."""
    ny, nx = seed.shape
    grown = seed & constraint
    queue = np.empty((np.count_nonzero(constraint), 2), np.int32)
    tail = 0
    for y in range(ny):
        for x in range(nx):
            if grown[y, x]:
                queue[tail, 0], queue[tail, 1] = y, x
                tail += 1
    head = 0
    for _ in range(iterations):
        end = tail
        while head < end:
            y, x = queue[head, 0], queue[head, 1]
            head += 1
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                v, u = y + dy, x + dx
                if 0 <= v < ny and 0 <= u < nx and constraint[v, u] and not grown[v, u]:
                    grown[v, u] = True
                    queue[tail, 0], queue[tail, 1] = v, u
                    tail += 1
        if tail == end:
            break
    return grown
