"""Users' masks against masks computed from their definitions."""

import numpy as np
import pytest

from imaging.errors import ImagingError
from imaging.image import Grid, Image
from imaging.io.images import save_image
from imaging.io.regions import load_mask

ARCSEC = np.pi / 648000
RA, DEC = np.radians(202.785), np.radians(30.5)
GRID = Grid((RA, DEC), (ARCSEC, ARCSEC), (60, 80), (1e9, 2e9), (1e8,) * 2, ("I", "Q"))
Y, X = np.indices(GRID.shape)


def spread(plane):
    return np.broadcast_to(plane, GRID.cube_shape)


def around(x0, y0, pa_deg):
    """Pixel coordinates along and across a direction that is pa east of north (up, then to the left)."""
    x, y, pa = X - x0, Y - y0, np.radians(pa_deg)
    return -x * np.sin(pa) + y * np.cos(pa), x * np.cos(pa) + y * np.sin(pa)


along, across = around(30, 25, 30)
CRTF = {
    "circle[[30pix, 25pix], 7.2pix]": np.hypot(X - 30, Y - 25) <= 7.2,
    "circle[[30pix, 25pix], 7.2arcsec]": np.hypot(X - 30, Y - 25) <= 7.2,
    "annulus[[30pix, 25pix], [3pix, 9.5arcsec]]": (np.hypot(X - 30, Y - 25) >= 3) & (np.hypot(X - 30, Y - 25) <= 9.5),
    "ellipse[[30pix, 25pix], [15.3arcsec, 5.2arcsec], 30deg]": (along / 15.3) ** 2 + (across / 5.2) ** 2 <= 1,
    "rotbox[[30pix, 25pix], [11pix, 31pix], 30deg]": (abs(across) <= 5.5) & (abs(along) <= 15.5),
    "centerbox[[30pix, 25pix], [10pix, 4pix]]": (abs(X - 30) <= 5) & (abs(Y - 25) <= 2),
    "box[[10pix, 5pix], [20pix, 7pix]]": (X >= 10) & (X <= 20) & (Y >= 5) & (Y <= 7),
    "box[[20pix, 7pix], [10pix, 5pix]]": (X >= 10) & (X <= 20) & (Y >= 5) & (Y <= 7),
    "poly[[10pix, 5pix], [40pix, 5pix], [10pix, 35pix]]": (X >= 10) & (Y >= 5) & (X + Y <= 45),
    "symbol[[30.2pix, 24.9pix], .]": (X == 30) & (Y == 25),
}


@pytest.mark.parametrize("text", CRTF)
def test_crtf_shapes(text):
    np.testing.assert_array_equal(load_mask([text], GRID), spread(CRTF[text]))


@pytest.mark.parametrize("shape", ["poly[[10pix,5pix],[40pix,9pix],[22pix,18pix],[41pix,40pix],[8pix,30pix]]"])
def test_polygon_against_matplotlib_rule(shape):
    """A concave polygon: every pixel away from the border has the winding number of its corners."""
    corners = np.array([[10, 5], [40, 9], [22, 18], [41, 40], [8, 30]], float)
    relative = corners[:, None, None] - np.stack([X, Y], -1)
    turned = np.roll(relative, -1, axis=0)
    cross = relative[..., 0] * turned[..., 1] - relative[..., 1] * turned[..., 0]
    winding = np.arctan2(cross, (relative * turned).sum(-1)).sum(0) / (2 * np.pi)
    inside = load_mask([shape], GRID)[0, 0]
    clear = abs(abs(winding) - np.round(abs(winding))) < 1e-9
    np.testing.assert_array_equal(inside[clear], abs(winding[clear]) > 0.5)


@pytest.mark.parametrize("place", [
    "13h31m08.4s, 30d30m00s", "13:31:08.4, +30.30.00", "202.785deg, 30.5deg", "202.785deg, 30.5deg], coord=J2000",
    "48.1872deg, 81.5048deg], coord=GALACTIC"])  # fmt: skip
def test_sky_positions(place):
    """The image's centre, written in all ways, is its central pixel."""
    if "GALACTIC" in place:
        from astropy.coordinates import SkyCoord

        there = SkyCoord(RA, DEC, unit="rad").galactic
        place = f"{there.l.deg}deg, {there.b.deg}deg], coord=GALACTIC"
    place, _, keywords = place.partition("]")
    mask = load_mask([f"circle[[{place}], 4.5arcsec]{keywords}"], GRID)
    np.testing.assert_array_equal(mask, spread(np.hypot(X - 40, Y - 30) <= 4.5))


def test_sky_lengths_on_oblong_pixels():
    grid = Grid((RA, DEC), (2 * ARCSEC, ARCSEC), (60, 80), (1e9,), (1e8,))
    mask = load_mask(["circle[[202.785deg, 30.5deg], 10.1arcsec]"], grid)[0, 0]
    np.testing.assert_array_equal(mask, np.hypot(2 * (X - 40), Y - 30) <= 10.1)


def test_crtf_files_combine_lines_in_order(tmp_path):
    (tmp_path / "a.crtf").write_text(
        "#CRTFv0\nglobal coord=ICRS, color=green\n\nbox[[0pix,0pix],[20pix,20pix]]\n"
        "-box[[5pix,5pix],[10pix,10pix]], label='a, b'\n+box[[6pix,6pix],[6pix,6pix]]\n"
        "box[[30pix,30pix],[31pix,31pix]] corr=[Q], range=[1.9GHz,3GHz]\nann circle[[40pix,40pix],5pix]\n"
        "text[[40pix,40pix],'hello']\n# a remark\n"
    )
    expected = np.zeros(GRID.cube_shape, bool)
    expected[:, :, :21, :21] = True
    expected[:, :, 5:11, 5:11] = False
    expected[:, :, 6, 6] = True
    expected[1, 1, 30:32, 30:32] = True
    np.testing.assert_array_equal(load_mask([str(tmp_path / "a.crtf")], GRID), expected)


def test_a_first_minus_takes_from_everything():
    inside = CRTF["circle[[30pix, 25pix], 7.2pix]"]
    np.testing.assert_array_equal(load_mask(["-circle[[30pix, 25pix], 7.2pix]"], GRID), spread(~inside))


def test_channel_ranges():
    mask = load_mask(["box[[1pix,1pix],[2pix,2pix]], range=[1chan,4chan]"], GRID)
    assert mask.sum((1, 2, 3)).tolist() == [0, 8]


def test_boxes_count_from_zero_with_both_corners():
    np.testing.assert_array_equal(load_mask([(3, 4, 5, 9)], GRID), spread((X >= 3) & (X <= 5) & (Y >= 4) & (Y <= 9)))


def test_entries_add_up():
    np.testing.assert_array_equal(
        load_mask([(0, 0, 1, 1), (2, 0, 3, 1)], GRID), load_mask([(0, 0, 3, 1)], GRID)
    )  # fmt: skip


DS9 = """# Region file format: DS9 version 4.1
global color=green dashlist=8 3 width=1
fk5
circle(202.785,30.5,7.2")  # text={a}
-circle(202.785,30.5,3.3")
image
ellipse(21,16,9.3,4.2,30)
box(61,16,11,5,0)
polygon(51,41,61,41,61,51,51,51)
annulus(11,51,2.5,4.5)
point(76,6) # point=circle
"""


def test_ds9_regions(tmp_path):
    """DS9's pixels count from 1; an ellipse's angle turns its first semi-axis from the x-axis."""
    (tmp_path / "a.reg").write_text(DS9)
    first, second = around(20, 15, 30 - 90)
    radius = np.hypot(X - 10, Y - 50)
    expected = (
        (np.hypot(X - 40, Y - 30) < 7.2)
        | ((first / 9.3) ** 2 + (second / 4.2) ** 2 < 1)
        | ((abs(X - 60) < 5.5) & (abs(Y - 15) < 2.5))
        | ((radius < 4.5) & (radius > 2.5))
        | ((X == 75) & (Y == 5))
    ) & ~(np.hypot(X - 40, Y - 30) < 3.3)
    found = load_mask([str(tmp_path / "a.reg")], GRID)
    assert (found == found[:1, :1]).all()
    square = (X >= 50) & (X <= 60) & (Y >= 40) & (Y <= 50)
    inner = (X > 50) & (X < 60) & (Y > 40) & (Y < 50)
    np.testing.assert_array_equal(found[0, 0] & ~square, expected)
    assert (found[0, 0] & inner).sum() == inner.sum()


def test_ds9_exclusions_alone_leave_the_rest(tmp_path):
    (tmp_path / "a.reg").write_text("image\n-circle(41,31,5.5)\n")
    found = load_mask([tmp_path / "a.reg"], GRID)
    np.testing.assert_array_equal(found, spread(np.hypot(X - 40, Y - 30) >= 5.5))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.reg", 'fk5\ncircle(203.785,30.5,7.2")\n', "a.reg: the circle at 203.785000 30.500000 deg"),
        ("a.reg", 'galactic\ncircle(10,-80.5,7.2")\n', "a.reg: the circle at 10.000000 -80.500000 deg"),
        ("a.reg", "image\ncircle(9000,41,5.5)\n", "a.reg: the circle at pixel 8999.0, 40.0"),
        ("a.reg", "image\npolygon(151,41,161,41,161,51)\n", "a.reg: the polygon at pixel 150.0, 40.0"),
        ("a.crtf", "#CRTFv0\ncircle[[300pix, 300pix], 4pix]\n", "a.crtf: the region circle[[300pix, 300pix], 4pix]"),
    ],
)
def test_a_region_outside_the_image_is_warned_of(tmp_path, caplog, name, text, words):
    (tmp_path / name).write_text(text)
    np.testing.assert_array_equal(load_mask([tmp_path / name, (0, 0, 1, 1)], GRID), spread((X < 2) & (Y < 2)))
    assert f"{words} holds no pixel of the image" in caplog.text


@pytest.mark.parametrize("name", ["m.fits", "m.image"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (2, 2)])
def test_images(tmp_path, name, shape):
    grid = Grid(
        GRID.centre, GRID.cell, GRID.shape, GRID.freq[: shape[0]], GRID.width[: shape[0]], GRID.stokes[: shape[1]]
    )
    data = (np.random.default_rng(1).random(grid.cube_shape) > 0.7).astype(np.float32)
    save_image(Image(data, grid, "", valid=data < 2), tmp_path / name)
    np.testing.assert_array_equal(load_mask([tmp_path / name], GRID), spread(data > 0))


def test_masked_pixels_of_a_mask_are_not_selected(tmp_path):
    valid = np.random.default_rng(1).random(GRID.cube_shape) > 0.5
    save_image(Image(np.ones(GRID.cube_shape, np.float32), GRID, "", valid=valid), tmp_path / "m.fits")
    np.testing.assert_array_equal(load_mask([tmp_path / "m.fits"], GRID), valid)


def other(**change):
    fields = {name: getattr(GRID, name) for name in ("centre", "cell", "shape", "freq", "width", "stokes")} | change
    grid = Grid(**fields)
    return Image(np.ones(grid.cube_shape, np.float32), grid, "")


@pytest.mark.parametrize(("change", "message"), [
    ({"shape": (60, 81)}, "another shape"),
    ({"freq": (1e9, 2e9, 3e9), "width": (1e8,) * 3}, "another shape"),
    ({"centre": (RA, DEC + 2 * ARCSEC)}, "elsewhere"),
    ({"cell": (1.1 * ARCSEC, 1.1 * ARCSEC)}, "elsewhere"),
])  # fmt: skip
def test_images_of_another_grid_are_refused(tmp_path, change, message):
    save_image(other(**change), tmp_path / "m.fits")
    with pytest.raises(ImagingError, match=message):
        load_mask([tmp_path / "m.fits"], GRID)


@pytest.mark.parametrize("entry", [
    "nowhere.fits", "circle[[3pix], 4]", "circle[[3pix,3],4pix]", "circle[[3pix,4pix],-4pix]", "circle[[3pix,4pix]",
    "circle[[13h61m08s,30d30m33s],4pix]", "circle[[10deg,-30.5deg],4arcsec]", "poly[[1pix,1pix],[2pix,2pix]]",
    "circle[[3pix,3pix],4pix], range=[1km/s,3km/s]", "circle[[3deg,3deg],4pix], coord=ECLIPTIC",
    "circle[[300pix,300pix],4pix]", "circle[[3pix,3pix],4pix], corr=[V]",
    (5, 5, 4, 9), (0, 0, 80, 5), (-1, 0, 3, 3)])  # fmt: skip
def test_what_is_not_understood_is_said(entry):
    with pytest.raises(ImagingError) as caught:
        load_mask([entry], GRID)
    assert caught.value.next_step
    assert caught.value.expected


@pytest.mark.parametrize("text", ["image\ncircle(1,2)\n", "image\nblob(3,4)\n", "image\nline(1,2,3,4)\n"])
def test_bad_ds9_files(tmp_path, text):
    (tmp_path / "a.reg").write_text(text)
    with pytest.raises(ImagingError, match="DS9 regions"):
        load_mask([tmp_path / "a.reg"], GRID)
