"""The file-name grammar: writing and parsing are inverses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.names import IMAGES, OTHERS, Names

NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,20}", fullmatch=True)
CYCLE = st.none() | st.integers(0, 5000) | st.integers(0, 5000).map("{:03d}.exact".format)


@given(NAME, st.sampled_from([*IMAGES, *OTHERS]), CYCLE, st.sampled_from(["fits", "casa"]))
def test_parse_inverts_path(name, product, cycle, image_format):
    names = Names(name, image_format=image_format)
    assert names.parse(names.path(product, cycle)) == (product, cycle)


def test_names_users_know():
    names = Names("m31")
    assert names.residual(3) == "results/m31/m31.cycle003.residual.fits"
    assert names.residual("003.exact") == "results/m31/m31.cycle003.exact.residual.fits"
    assert names.image_pbcor() == "results/m31/m31.image.pbcor.fits"
    assert names.model("{cycle}") == "results/m31/m31.cycle{cycle}.model.fits"
    assert Names("m31", image_format="casa").image() == "results/m31/m31.image"


def test_other_files_are_not_products():
    for path in ("results/m31/m32.psf.fits", "results/m31/m31.notes.txt", "m31.psf.fits"):
        with pytest.raises(ValueError, match="no product"):
            Names("m31").parse(path)
    with pytest.raises(AttributeError):
        Names("m31").nothing()
