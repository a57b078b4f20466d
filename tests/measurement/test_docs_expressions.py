"""The examples of docs/expressions.md run as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest

from imaging.measurement import compat

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/expressions.md").read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def timba_goes():
    yield
    compat.uninstall()


def test_the_examples():
    assert len(BLOCKS) == 2
    names = {}
    for block in BLOCKS:
        exec(compile(block, "docs/expressions.md", "exec"), names)
    np.testing.assert_allclose(names["vis"][:, :, 0, 0], [[2.5 * 1.05**2, 0], [0, 2.5]])
    assert names["TDLCompileOption"].__module__ == "imaging.measurement.expressions.options"
