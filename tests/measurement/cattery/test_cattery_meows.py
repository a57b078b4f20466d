"""Our Meow instead of the Cattery's makes no difference to the values of its modules."""

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")


def test_both_meows_give_the_same_values(dialects, tile):
    found = []
    for ours in (False, True):
        with dialects(ours) as dialect:
            values = {f"station, {c}": dialect.station_values(c, tile()) for c in dialect.station_cases}
            values |= {f"sky, {c}": dialect.sky_values(c, tile()) for c in dialect.sky_cases}
            found.append(values)
    for case, theirs in found[0].items():
        for their, our in zip(theirs, found[1][case], strict=True):
            np.testing.assert_allclose(our, their, rtol=1e-12, atol=1e-14, err_msg=case)
