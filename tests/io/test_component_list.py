"""Component lists: what is written is read, what WSClean writes is read as it means it, mistakes have a line number."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.algorithms.components import Component, draw
from imaging.errors import ImagingError
from imaging.image import Grid
from imaging.io.component_list import is_component_list, load_components, save_components

ORACLES = Path(__file__).parents[1] / "oracles"
ARCSEC = np.radians(1 / 3600)
HEADER = "Format = Name, Type, Ra, Dec, I, SpectralIndex='[]', LogarithmicSI, ReferenceFrequency='1.5e9', MajorAxis\n"

number = st.floats(-1e6, 1e6, allow_nan=False)
names = st.text(alphabet="abcXYZ019_+-.", min_size=1, max_size=8)
shapes = st.one_of(
    st.just((0.0, 0.0, 0.0)),
    st.tuples(st.floats(1e-8, 1e-3), st.floats(0, 1), st.floats(-1.5, 1.5)).map(lambda t: (t[0], t[0] * t[1], t[2])),
)
components = st.builds(
    lambda name, ra, dec, stokes, terms, reffreq, shape, group, log: Component(
        name, ra, dec, stokes, terms, reffreq, *shape, group, log
    ),
    names, st.floats(0, 2 * math.pi, exclude_max=True), st.floats(-1.57, 1.57),
    st.one_of(st.tuples(number, *[st.just(0.0)] * 3), st.tuples(*[number] * 4)),
    st.lists(number, max_size=4).map(tuple), st.floats(1e6, 1e12), shapes, st.sampled_from(["", "one", "two"]),
    st.booleans(),
)  # fmt: skip


@given(st.lists(components, min_size=1, max_size=5))
def test_what_is_written_is_read(tmp_path_factory, wanted):
    path = tmp_path_factory.mktemp("list") / "x.txt"
    save_components(wanted, path)
    found = load_components(path)
    assert is_component_list(path)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert (a.name, a.stokes, a.spectral_index, a.reffreq, a.group, a.logarithmic) == (
            b.name, b.stokes, b.spectral_index, b.reffreq, b.group, b.logarithmic)  # fmt: skip
        assert abs(math.remainder(a.ra - b.ra, 2 * math.pi)) < 1e-13
        assert abs(a.dec - b.dec) < 1e-13
        np.testing.assert_allclose((a.major, a.minor, a.pa), (b.major, b.minor, b.pa), rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("case", ["log", "pol"])
def test_what_wsclean_writes_gives_the_model_images_it_wrote_with_it(case):
    """Lists with both kinds of polynomial, points and Gaussians, right ascensions below 0h."""
    found, golden = (
        load_components(ORACLES / f"wsclean_components_{case}.txt"),
        np.load(ORACLES / f"wsclean_components_{case}.npz"),
    )
    freq = tuple(golden["freq"].tolist())
    grid = Grid(tuple(golden["centre"]), tuple(golden["cell"]), (96, 96), freq, (1e8,) * 4)
    model, outside = draw(found, grid)
    assert outside == 0
    peak = np.abs(golden["model"]).max()
    # points lie in one pixel each; Gaussians at positions that are rounded to 0.015"
    np.testing.assert_allclose(model[:, 0, golden["y"], golden["x"]], golden["model"], atol=2e-5 * peak)
    np.testing.assert_allclose(model.sum(axis=(1, 2, 3)), golden["total"], rtol=5e-5)
    assert any(c.major > 0 for c in found) == (case == "log")


def load(tmp_path, text):
    (tmp_path / "x.txt").write_text(text)
    return load_components(tmp_path / "x.txt")


def test_columns_in_any_order_with_defaults_patches_and_comments(tmp_path):
    found = load(tmp_path, """# a sky
# (Ra, Dec, Name, Type, I, Q, Patch, MajorAxis='10', MinorAxis='5', Orientation, SpectralIndex='[-0.7,0.1]',
FORMAT = Ra, Dec, Name, Type, Patch, I='2.0', Q, ReferenceFrequency='60e6', SpectralIndex='[-0.8]', MajorAxis, MinorAxis

00:00:00, +00.00.00, , , field
12:30:00.5, -30.30.30.5, one, POINT, field
180.5deg, +10.0deg, two, gaussian, field, 3, 0.1, 1.4GHz, [-0.7, 0.1], 10, 20
12h30m00.5, -30d30m30.5, three, POINT, , 1
""")  # fmt: skip
    one, two, three = found
    assert (one.stokes[0], one.spectral_index, one.reffreq, one.group, one.logarithmic) == (
        2,
        (-0.8,),
        60e6,
        "field",
        True,
    )
    assert (one.ra, one.dec) == pytest.approx((np.radians(187.502083333333), -np.radians(30.5084722222)), abs=1e-12)
    assert (two.stokes, two.reffreq, two.spectral_index) == ((3, 0.1, 0, 0), 1.4e9, (-0.7, 0.1))
    # the longer axis comes first in memory
    assert (two.major, two.minor, two.pa) == pytest.approx((20 * ARCSEC, 10 * ARCSEC, np.pi / 2))
    assert (three.ra, three.dec, three.group) == (one.ra, one.dec, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "a, SHAPELET, 1:2:3, +1.2.3, 1\n", "line 2.*SHAPELET"),
        (HEADER + "a, POINT, 1:2:3, +1.2.3, 1\nb, POINT, x, +1.2.3, 1\n", "line 3"),
        (HEADER + "a, POINT, 99:31:08, +1.2.3, 1\n", "line 2.*Ra, Dec: 99:31:08.*below 24 h"),
        (HEADER + "a, POINT, 24:00:00, +1.2.3, 1\n", "line 2.*24:00:00"),
        (HEADER + "a, POINT, 1:2:3, +1.2.3, one\n", "line 2.*I, Q, U, V: one"),
        (HEADER + "a, POINT, 1:2:3, +1.2.3, nan\n", "finite numbers"),
        (HEADER + "a, POINT, 1:2:3, +1.2.3, 1, [x]\n", "SpectralIndex"),
        (HEADER + "a, POINT, 1:2:3, +1.2.3, 1, [], perhaps\n", "LogarithmicSI"),
        (HEADER + "a, POINT, 1:2:3, +1.2.3, 1, [], true, -3\n", "ReferenceFrequency"),
        (HEADER + "a, GAUSSIAN, 1:2:3, +1.2.3, 1, [], true, 1e9, -3\n", "MajorAxis"),
        (HEADER + "a, POINT, 1:2:3, +1.2.3, 1, [], true, 1e9, 3, 4, 5\n", "11 values"),
        (HEADER, "no component"),
        ("a, POINT, 1:2:3, +1.2.3, 1\n", "line 1.*before any format line"),
        ("Format = Name, Type, Ra, Dec\na, POINT, 1:2:3, +1.2.3\n", "line 1"),
        ("", "no component"),
        ("Format = Name, Type, Ra, Dec, I, SpectralIndex\na, POINT, 1:2:3, +1.2.3, 1, [-0.7]\n", "reference frequency"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, text, message):
    with pytest.raises(ImagingError, match=f"(?s){message}"):
        load(tmp_path, text)


def test_files_that_are_no_lists(tmp_path):
    with pytest.raises(ImagingError, match="no component list"):
        load_components(tmp_path / "absent.txt")
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ImagingError, match="no text"):
        load_components(tmp_path / "x")
    (tmp_path / "x.fits").write_text("SIMPLE  =                    T")
    assert not is_component_list(tmp_path / "x.fits")
    assert not is_component_list(tmp_path)
