"""Products of arrays of Jones matrices in plain numpy: a scalar is it times the identity, a diagonal its matrix."""

import numpy as np


def multiply(left, right, out):
    whole = [one[..., None, None] * np.eye(2) if one.ndim == 4 else one[..., None] * np.eye(2) if one.ndim == 5 else one
             for one in (left, right)]  # fmt: skip
    product = whole[0] @ whole[1]
    out[...] = product if out.ndim == 6 else np.diagonal(product, axis1=-2, axis2=-1)
