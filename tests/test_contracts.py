"""What a deconvolver is told, what it may return, and what is refused in which words."""

import numpy as np
import pytest

from imaging.contracts import Channel, Meta, checked, private, private_psf
from imaging.errors import ImagingError

SHAPE = (2, 1, 4, 6)


def result(**changes):
    images = np.arange(48.0).reshape(SHAPE)
    return {"residual": images, "model": images + 1, "level": 0.5, "continue": True} | changes


def test_private_copies_are_float64_in_c_order_and_writeable():
    image = np.asfortranarray(np.ones(SHAPE, np.float32))
    image.setflags(write=False)
    copy = private(image)
    assert copy.dtype == np.float64
    assert copy.flags.c_contiguous
    assert copy.flags.writeable
    assert copy.flags.owndata
    copy[:] = 7
    assert (image == 1).all()


def test_the_psf_is_exactly_1_in_the_middle_and_a_blank_channel_zero():
    psf = np.random.default_rng(1).uniform(0, 0.3, (3, 6, 8)).astype(np.float32)
    psf[:2, 3, 4], psf[2] = (0.9999999, 1.25), 0
    copy = private_psf(psf)
    assert copy[:2, 3, 4].tolist() == [1.0, 1.0]
    assert copy[1, 0, 0] == float(psf[1, 0, 0]) / 1.25
    assert not copy[2].any()


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.astype(np.float32),
        lambda a: a.astype(np.int16),
        np.asfortranarray,
        lambda a: a.tolist(),
        lambda a: a[:, 0],
        lambda a: a.repeat(2, axis=3)[..., ::2],
        lambda a: a[..., ::-1].copy()[..., ::-1],
    ],
    ids=["float32", "int16", "Fortran order", "lists", "three axes", "strides", "negative strides"],
)
def test_arrays_of_any_kind_are_taken(change):
    given = result()
    out = checked(result(residual=change(given["residual"]), model=change(given["model"])), SHAPE)
    for key in ("residual", "model"):
        assert out[key].shape == SHAPE
        assert out[key].dtype == np.float64
        assert out[key].flags.c_contiguous
        np.testing.assert_array_equal(out[key], given[key])


def test_numpy_s_scalars_and_further_keys_are_taken():
    out = checked(result(level=np.float32(0.25), **{"continue": np.bool_(False)}, components=3), SHAPE)
    assert out["level"] == 0.25
    assert out["continue"] is False


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (None, "Return value of deconvolve() should be a dictionary"),
        ([1, 2], "Return value of deconvolve() should be a dictionary"),
        ({}, "Dictionary returned by deconvolve() is missing items; should have 'residual', 'model', 'level' and"
             " 'continue'"),
        ({k: v for k, v in result().items() if k != "level"}, "got:       no level"),
        (result(model=np.zeros((2, 1, 6, 4))), "The model returned by deconvolve() has the wrong shape"),
        (result(residual=np.zeros((4, 6))), "The residual returned by deconvolve() has the wrong shape"),
        (result(residual=np.zeros((2, 2, 4, 6))), "or (2, 4, 6)"),
        (result(model=[[1, 2], [3]]), "no array of real numbers"),
        (result(model=np.ones(SHAPE, complex)), "complex128"),
        (result(model=None), "no array of real numbers"),
        (result(model=np.full(SHAPE, np.nan)), "The model returned by deconvolve() is not finite"),
        (result(model=np.where(np.arange(48).reshape(SHAPE) == 9, np.inf, 1)), "inf at [0, 0, 1, 3], 1 such pixels"),
        (result(level=None), "The level returned by deconvolve() is no number"),
        (result(**{"continue": None}), "neither True nor False"),
        (result(**{"continue": "no"}), "neither True nor False"),
    ],
)  # fmt: skip
def test_what_is_refused(wrong, words):
    with pytest.raises(ImagingError) as caught:
        checked(wrong, SHAPE)
    message = str(caught.value)
    assert words in message
    assert "docs/plugins.md" in caught.value.next_step
    assert all(label in message for label in ("got:", "expected:", "next step:"))


def test_three_axes_do_for_one_polarisation_only():
    with pytest.raises(ImagingError, match="wrong shape"):
        checked(result(residual=np.zeros((2, 4, 6)), model=np.zeros((2, 4, 6))), (2, 2, 4, 6))


def test_a_channel_without_data_may_hold_nan_but_nothing_worse():
    psf = np.ones((2, 4, 6))
    psf[1] = 0
    model = np.ones(SHAPE)
    model[1] = np.nan
    out = checked(result(model=model), SHAPE, psf)
    assert not out["model"][1].any()
    model[1, 0, 2, 2] = np.inf
    with pytest.raises(ImagingError, match="not finite"):
        checked(result(model=model), SHAPE, psf)


def test_residuals_may_hold_nan():
    assert np.isnan(checked(result(residual=np.full(SHAPE, np.nan)), SHAPE)["residual"]).all()


def test_meta_takes_no_new_attributes_and_has_all_it_has_under_its_keys():
    about = Meta(gain=0.2, square_joined_channels=True, channels=[Channel(1.4e9, 2.5)], rms=np.ones((1, 1)))
    assert all(about[key] is getattr(about, key) for key in about)
    with pytest.raises(AttributeError):
        about.something_new = 1
