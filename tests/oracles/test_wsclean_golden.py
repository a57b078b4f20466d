"""Scripts written to the described behaviour of WSClean's examples do here what those did in WSClean 3.1.0."""

from pathlib import Path

import numpy as np
import pytest

from imaging.algorithms.spectral_fitting import SpectralFitter
from imaging.contracts import Channel, Meta
from imaging.plugins import find_deconvolver

HERE = Path(__file__).parent / "wsclean_scripts"
READ = ("iteration_number", "max_iterations", "gain", "mgain", "major_iter_threshold", "final_threshold")


def replay(name: str, call: int, data: Path):
    """What was recorded of a call, and what comes of it here."""
    path = data / "wsclean-golden" / f"{name}_call{call}.npz"
    if not path.exists():
        pytest.skip(f"no recorded calls at {path}")
    golden = dict(np.load(path))
    frequency, weight = golden["frequency"], golden["weight"]
    meta = Meta(
        **{key: golden[key].item() for key in READ},
        channels=[Channel(f, w) for f, w in zip(frequency.tolist(), weight.tolist(), strict=True)],
        spectral_fitter=SpectralFitter("polynomial", 2, frequency, weight),
    )
    deconvolve = find_deconvolver(str(HERE / f"{name}.py"))
    out = deconvolve(golden["residual_in"], golden["model_in"], golden["psf"], meta)
    assert meta.iteration_number == golden["iteration_number_out"]
    assert out["continue"] == golden["continue_out"]
    assert out["model"].dtype == np.float64
    return golden, out


@pytest.mark.parametrize("call", range(4))
def test_simple_is_bit_for_bit_the_same(call, data):
    golden, out = replay("simple", call, data)
    for key in ("residual", "model", "level"):
        np.testing.assert_array_equal(out[key], golden[f"{key}_out"])


@pytest.mark.parametrize("call", range(4))
def test_multi_frequency_is_the_same_to_single_precision(call, data):
    golden, out = replay("mf", call, data)
    assert out["model"].shape == out["residual"].shape == golden["residual_in"].shape
    for key in ("residual", "model"):
        np.testing.assert_allclose(out[key][:, 0], golden[f"{key}_out"].reshape(out[key][:, 0].shape), atol=1e-7)
    assert out["level"] == pytest.approx(golden["level_out"], abs=4e-7)
