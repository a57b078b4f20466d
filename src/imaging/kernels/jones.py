"""Products of arrays of Jones matrices, element by element, without the copies that numpy needs."""

import numpy as np

from imaging.kernels._jit import njit


@njit(cache=True, nogil=True)
def multiply(left, right, out):
    """out = left right: C-ordered complex arrays (source, station, time, chan) and nothing, (2,) or (2, 2).

    Axes of 1 of the first four are for all of `out`, which is of the larger kind of the two and not scalar.
    """
    l0, l1, l2, l3 = left.shape[0] > 1, left.shape[1] > 1, left.shape[2] > 1, left.shape[3] > 1
    r0, r1, r2, r3 = right.shape[0] > 1, right.shape[1] > 1, right.shape[2] > 1, right.shape[3] > 1
    for s, p, t in np.ndindex(out.shape[:3]):
        for f in range(out.shape[3]):
            a, b = left[s * l0, p * l1, t * l2, f * l3], right[s * r0, p * r1, t * r2, f * r3]
            if left.ndim == 6 and right.ndim == 6:
                a00, a01, a10, a11 = a[0, 0], a[0, 1], a[1, 0], a[1, 1]
                b00, b01, b10, b11 = b[0, 0], b[0, 1], b[1, 0], b[1, 1]
                out[s, p, t, f, 0, 0] = a00 * b00 + a01 * b10
                out[s, p, t, f, 0, 1] = a00 * b01 + a01 * b11
                out[s, p, t, f, 1, 0] = a10 * b00 + a11 * b10
                out[s, p, t, f, 1, 1] = a10 * b01 + a11 * b11
                continue
            for i in range(2):
                if left.ndim == 4 and right.ndim == 5:
                    out[s, p, t, f, i] = a * b[i]
                elif left.ndim == 5 and right.ndim == 4:
                    out[s, p, t, f, i] = a[i] * b
                elif left.ndim == 5 and right.ndim == 5:
                    out[s, p, t, f, i] = a[i] * b[i]
                for k in range(2):
                    if left.ndim == 4 and right.ndim == 6:
                        out[s, p, t, f, i, k] = a * b[i, k]
                    elif left.ndim == 5 and right.ndim == 6:
                        out[s, p, t, f, i, k] = a[i] * b[i, k]
                    elif left.ndim == 6 and right.ndim == 4:
                        out[s, p, t, f, i, k] = a[i, k] * b
                    elif left.ndim == 6 and right.ndim == 5:
                        out[s, p, t, f, i, k] = a[i, k] * b[k]
