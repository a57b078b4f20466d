"""The Cattery's sky terms toward pixels, all at once, are those toward sources at their places."""

import numpy as np
import pytest

from imaging.measurement.expressions import Meq
from imaging.measurement.meow.images import voltages

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_sky_jones_is_rendered(dialect, sky_case, tile):
    here = tile()
    expected = dialect.sky_values(sky_case, here)
    field, pointing = dialect.field(), None
    if sky_case in dialect.pointed:
        pointing = field.ns.dlm
        for i, p in enumerate(field.stations):
            pointing(p) << Meq.Composer(1e-4 * i, -2e-4)

    def compute(jones, **more):
        return dialect.compute(field, *dialect.sky_cases[sky_case], pointing_offsets=pointing, node=jones, **more)

    l, m = np.array([*dialect.lm.values(), (0.9, 0.9)]).T
    image = voltages(compute, l, m, here, field.stations, ns=field.ns, before=field.sources[:1])
    assert not image[-1].any()
    for value, found in zip(expected, image[:-1].reshape(-1, *image.shape[2:]), strict=True):
        matrix = value if value.ndim == 4 or found.ndim == 2 else value * np.eye(2)[..., None, None]
        matrix = np.moveaxis(matrix, (0, 1), (2, 3)) if matrix.ndim == 4 else matrix
        np.testing.assert_allclose(*np.broadcast_arrays(found, matrix), rtol=0, atol=1e-9)
