"""Sky models: lists, catalogues, Tigger's files, patterns."""

import math
from pathlib import Path

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from imaging.algorithms.components import Component
from imaging.algorithms.rime import brightness
from imaging.errors import ImagingError
from imaging.image import radec_to_lmn
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.catalogue import CatalogueSky
from imaging.measurement.sky.components import ComponentSky, Source
from imaging.measurement.sky.gridded import GriddedSky
from imaging.measurement.sky.tigger import TiggerSky

CENTRE = (1.2, 0.6)
ORACLES = Path(__file__).parents[1] / "oracles"


@pytest.fixture
def tile(observe):
    return next(observe().tiles())[1]


def stokes(source, tile):
    """(chan, 4) of a brightness of linear feeds."""
    b = source.brightness(tile)[0]
    return np.stack([(b[:, 0, 0] + b[:, 1, 1]).real / 2, (b[:, 0, 0] - b[:, 1, 1]).real / 2,
                     (b[:, 0, 1] + b[:, 1, 0]).real / 2, (b[:, 0, 1] - b[:, 1, 0]).imag / 2], 1)  # fmt: skip


def test_tigger_s_own_file(tile):
    point, polarised, extended = TiggerSky(str(ORACLES / "tigger.lsm.html")).source_list()
    assert (point.name, point.component.ra, point.component.dec) == ("point", 1.2, 0.6)
    np.testing.assert_allclose(stokes(point, tile), [[1.5, 0, 0, 0]] * 6, atol=1e-15)
    x = tile.freq / 1.4e9
    turn = np.exp(25j * (299792458.0 / 1.4e9) ** 2 * (x**-2 - 1))
    linear = (0.1 - 0.05j) * turn
    expected = (
        np.stack([0 * x + 0.8, linear.real, linear.imag, 0 * x + 0.02], 1) * (x ** (-0.7 + 0.1 * np.log(x)))[:, None]
    )
    np.testing.assert_allclose(stokes(polarised, tile), expected, rtol=1e-12)
    assert [polarised.get_attr(key) for key in ("cluster", "cluster_lead", "Iapp", "rm")] == ["north", True, 0.4, 12.5]
    np.testing.assert_allclose(stokes(extended, tile)[:, 0], 2 * (tile.freq / 1.3e9) ** -0.8, rtol=1e-13)
    assert extended.shape == Source(Component("", 0, 0, (1, 0, 0, 0), major=1e-4, minor=5e-5, pa=0.5)).shape
    assert extended.get_attr("dE") is True
    assert point.get_attr("cluster") is None


TEXT = """\
#format: name ra_h ra_m ra_s dec_d dec_m dec_s i q u v spi spi2 rm emaj_s emin_s pa_d freq0 :str:kind tags...
a 4 35 1.141 -0 22 38.88 0.8 0.1 -0.05 0.02 -0.7 0.1 12.5 0 0 0 1.4e9 agn cluster="north",+lead r=0.5
# a remark
b 0 0 0 10 0 0 2 0 0 0 -0.8 0 0 20 30 10 1.3e9 lobe -dE
"""


def test_tigger_s_text(tmp_path, tile):
    path = tmp_path / "model.txt"
    path.write_text(TEXT)
    a, b = TiggerSky(str(path)).source_list()
    assert a.component.dec == pytest.approx(-math.radians(22 / 60 + 38.88 / 3600), rel=1e-13)
    assert a.component.ra == pytest.approx(math.radians(15 * (4 + 35 / 60 + 1.141 / 3600)), rel=1e-13)
    html = TiggerSky(str(ORACLES / "tigger.lsm.html")).source_list()[1]
    np.testing.assert_allclose(stokes(a, tile), stokes(html, tile), rtol=1e-13)
    assert (a.attrs["cluster"], a.attrs["lead"], a.attrs["r"], a.attrs["kind"]) == ("north", True, 0.5, "agn")
    assert b.attrs == {"dE": False, "kind": "lobe"}
    axes = [math.degrees(x) * 3600 for x in (b.component.major, b.component.minor)]
    assert [*axes, math.degrees(b.component.pa)] == pytest.approx([30, 20, 100])
    path.write_text("1 2 3 4 5 6 7 8\n")  # the usual columns: name ra dec i
    assert TiggerSky(str(path)).source_list()[0].component.stokes[0] == 8
    path.write_text("#format: ra_d dec_d i pol_frac pol_pa_d\n10 20 2 10% 45\n")
    (one,) = TiggerSky(str(path)).source_list()
    np.testing.assert_allclose(one.component.stokes, (2, 0, 0.2, 0), atol=1e-15)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("<html><body>nothing</body></html>", "no SkyModel"),
        ('<HTML><BODY mdltype=SkyModel><TR mdltype=Source><TD mdltype=str mdlval="import os">', "value that is none"),
        ("#format: name ra_d dec_d i\na 1 2\n", "line 2"),
        ("#format: name ra_d dec_d i\na 1 2 much\n", "line 2"),
        ("#format: name i\na 1\n", "no ra"),
        ("#format: name ra_d dec_d i spi\na 1 2 3 -0.7\n", "no frequency"),
        ("#format: name ra_d dec_d i\n", "no sources"),
    ],
)
def test_what_tigger_did_not_write(tmp_path, text, match):
    path = tmp_path / "model.lsm.html"
    path.write_text(text)
    with pytest.raises(ImagingError, match=match):
        TiggerSky(str(path)).source_list()
    with pytest.raises(ImagingError, match="There is no sky model"):
        TiggerSky(str(tmp_path / "none")).source_list()


@pytest.fixture
def table():
    made = Table({"Source_id": [3, 7], "RA": [68.7, 68.8], "DEC": [34.3, 34.4], "Total_flux": [500.0, 2.0],
                  "Maj": [0.01, 0.01], "DC_Maj": [0.002, 0.0], "DC_Min": [0.001, 0.0], "DC_PA": [30.0, 0.0],
                  "S_Code": ["S", "M"]})  # fmt: skip
    for name, unit in (
        ("RA", "deg"),
        ("DEC", "deg"),
        ("Total_flux", "mJy"),
        ("DC_Maj", "deg"),
        ("DC_Min", "deg"),
        ("DC_PA", "deg"),
    ):
        made[name].unit = unit
    return made


@pytest.mark.parametrize("ending", ["fits", "vot", "ecsv"])
def test_tables_with_units_in_every_format(table, tmp_path, ending):
    path = str(tmp_path / f"sources.{ending}")
    table.write(path, **({"format": "votable"} if ending == "vot" else {}))
    a, b = CatalogueSky(path, frequency=1.5e9).source_list()
    c = a.component
    assert (a.name, b.name) == ("3", "7")
    assert (c.stokes[0], c.reffreq) == (pytest.approx(0.5), 1.5e9)
    assert [c.ra, c.dec, c.major, c.minor, c.pa] == pytest.approx(np.radians([68.7, 34.3, 0.002, 0.001, 30.0]))
    assert b.component.major == 0
    assert a.get_attr("S_Code") == "S"
    assert CatalogueSky(path, above=0.1).source_list()[0].name == "3"
    assert len(CatalogueSky(path, above=0.1).source_list()) == 1


def test_plain_text_with_columns_of_any_name(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(
        "label,lon,lat,S,alpha,f,extra\nx,04:34:48,+34:18:00,1.5,-0.7,1.3e9,0.2\ny,00:00:01,-00:30:00,2,0,1.3e9,0.3\n"
    )
    x, y = CatalogueSky(str(path), name="label", ra="lon", dec="lat", i="s", reffreq="f").source_list()
    assert [x.component.ra, x.component.dec] == pytest.approx(np.radians([68.7, 34.3]))
    assert y.component.dec == pytest.approx(-math.radians(0.5))
    assert (x.component.spectral_index, x.component.reffreq, x.get_attr("extra")) == ((-0.7,), 1.3e9, 0.2)


def test_tables_that_are_none(table, tmp_path):
    path = str(tmp_path / "sources.ecsv")
    with pytest.raises(ImagingError, match="no catalogue"):
        CatalogueSky(path).source_list()
    table["RA"] = MaskedColumn(table["RA"], mask=[False, True])
    table.write(path)
    with pytest.raises(ImagingError, match="no RA in row 2"):
        CatalogueSky(path).source_list()
    with pytest.raises(ImagingError, match="ra: lon"):
        CatalogueSky(path, ra="lon").source_list()
    table["RA"].mask = False
    table["Total_flux"].unit = "K"
    table.write(path, overwrite=True)
    with pytest.raises(ImagingError, match="numbers in Jy"):
        CatalogueSky(path).source_list()


@pytest.mark.parametrize(
    ("pattern", "number"), [("cross", 9), ("grid", 25), ("circle", 17), ("star", 17), ("l", 5), ("m", 5)]
)
def test_patterns(observe, pattern, number):
    maker = MeqMaker(context=observe())
    sky = GriddedSky(pattern, 5, step=1e-3, flux=2.0, centre_flux=3.0, polarisation=(0.1, 0, 0), l=2e-3)
    maker.add_sky_models(sky)
    sources = maker.get_source_list()
    assert [x.name for x in sky.source_list()] == [x.name for x in sources]
    assert radec_to_lmn(sources[1].component.ra, sources[1].component.dec, CENTRE)[:2] == pytest.approx(
        sources[1].lmn(CENTRE)[:2], abs=1e-14)  # fmt: skip
    assert len({x.name for x in sources}) == number
    tile = next(maker.context.tiles())[1].with_sources(sources)
    by_name = {x.name: lmn for x, lmn in zip(sources, tile.lmn, strict=True)}
    np.testing.assert_allclose(by_name["S+0+0"][:2], [2e-3, 0], atol=1e-15)
    at = {"m": ("S+0-2", (2e-3, -2e-3)), "l": ("S+2+0", (4e-3, 0.0))}.get(pattern, ("S+0+1", (2e-3, 1e-3)))
    np.testing.assert_allclose(by_name[at[0]][:2], at[1], atol=1e-15)
    if pattern in ("grid", "circle", "star"):
        diagonal = by_name["S-2-2"][:2] - [2e-3, 0]
        np.testing.assert_allclose(
            diagonal, -2e-3 / (np.sqrt(2) if pattern == "circle" else 1) * np.ones(2), atol=1e-15
        )
    assert [x.component.stokes[:2] for x in sources[:2]] == [(3.0, pytest.approx(0.3)), (2.0, 0.2)]
    assert maker.estimate_image_size() == pytest.approx(math.degrees(8e-3) * 60)


def test_patterns_that_are_none():
    with pytest.raises(ImagingError, match="no such pattern"):
        GriddedSky(size=4)


DP3 = "Name, Type, Patch, Ra, Dec, I, Q, U, V, ReferenceFrequency='1.4e9', SpectralIndex='[]', MajorAxis"


@pytest.mark.parametrize("header", [f"format = {DP3}", f"# ({DP3}) = format", f"FORMAT = {DP3}", f"# Format={DP3}"])
def test_lists_of_dp3_and_their_patches(tmp_path, header, tile):
    path = tmp_path / "list.skymodel"
    path.write_text(f"{header}\n, , north, 04:35:00.0, +34.22.00.0\n"
                    "a, POINT, north, 04:35:01.0, +34.22.38.0, 1.5, 0.1, 0, 0, 1.4e9, [-0.7, 0.1]\n"
                    "b, POINT, , 04:35:02.0, +34.22.38.0, 1.0, , , , , []\n")  # fmt: skip
    a, b = ComponentSky(str(path)).source_list()
    assert (a.get_attr("cluster"), b.get_attr("cluster")) == ("north", None)
    x = tile.freq / 1.4e9
    np.testing.assert_allclose(stokes(a, tile)[:, 0], 1.5 * x ** (-0.7 + 0.1 * np.log10(x)), rtol=1e-13)


def test_rotation_measures_of_lists_are_refused_and_not_forgotten(tmp_path):
    path = tmp_path / "list.skymodel"
    path.write_text("format = Name, Type, Ra, Dec, I, RotationMeasure, PolarizedFraction\n"
                    "a, POINT, 04:35:01.0, +34.22.38.0, 1.5, 0, \nb, POINT, 04:35:01.0, +34.22.38.0, 1.5, 12, 0.1\n"
                    )  # fmt: skip
    with pytest.raises(ImagingError, match="line 3"):
        ComponentSky(str(path)).source_list()
    path.write_text("\n".join(path.read_text().splitlines()[:2]))
    assert ComponentSky(str(path)).source_list()[0].name == "a"


def test_brightness_where_there_is_no_intensity(tile):
    odd = Component("odd", 0, 0, (0.0, 0.1, 0.2, 0.0), (-0.7,), 1.4e9)
    expected = [(tile.freq / 1.4e9) ** -0.7 * part for part in (0.0, 0.1, 0.2, 0.0)]
    np.testing.assert_allclose(Source(odd).brightness(tile)[0], brightness(np.transpose(expected)), atol=1e-15)
