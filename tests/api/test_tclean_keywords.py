"""tclean's flat keywords: each one honoured or refused, none dropped."""

import numpy as np
import pytest

from imaging.config import Config
from imaging.errors import ImagingError
from imaging.tclean_keywords import NO_EFFECT, ONLY, OURS, TASK, sections, task

# Every parameter of tclean in CASA 6.7, with its default.
TCLEAN = {
    "vis": "", "selectdata": True, "field": "", "spw": "", "timerange": "", "uvrange": "", "antenna": "", "scan": "",
    "observation": "", "intent": "", "datacolumn": "corrected", "imagename": "x", "imsize": [100], "cell": ["1arcsec"],
    "phasecenter": "", "stokes": "I", "projection": "SIN", "startmodel": "", "specmode": "mfs", "reffreq": "",
    "nchan": -1, "start": "", "width": "", "outframe": "LSRK", "veltype": "radio", "restfreq": [],
    "interpolation": "linear", "perchanweightdensity": True, "gridder": "standard", "facets": 1, "psfphasecenter": "",
    "wprojplanes": 1, "vptable": "", "mosweight": True, "aterm": True, "psterm": False, "wbawp": True,
    "conjbeams": False, "cfcache": "", "usepointing": False, "computepastep": 360.0, "rotatepastep": 360.0,
    "pointingoffsetsigdev": [], "pblimit": 0.2, "normtype": "flatnoise", "deconvolver": "hogbom", "scales": [],
    "nterms": 2, "smallscalebias": 0.0, "fusedthreshold": 0.0, "largestscale": -1, "restoration": True,
    "restoringbeam": [], "pbcor": False, "outlierfile": "", "weighting": "natural", "robust": 0.5, "noise": "1.0Jy",
    "npixels": 0, "uvtaper": [], "niter": 0, "gain": 0.1, "threshold": 0.0, "nsigma": 0.0, "cycleniter": -1,
    "cyclefactor": 1.0, "minpsffraction": 0.05, "maxpsffraction": 0.8, "interactive": False, "nmajor": -1,
    "fullsummary": False, "usemask": "user", "mask": "", "pbmask": 0.0, "sidelobethreshold": 3.0, "noisethreshold": 5.0,
    "lownoisethreshold": 1.5, "negativethreshold": 0.0, "smoothfactor": 1.0, "minbeamfrac": 0.3, "cutthreshold": 0.01,
    "growiterations": 75, "dogrowprune": True, "minpercentchange": -1.0, "verbose": False, "fastnoise": True,
    "restart": True, "savemodel": "none", "calcres": True, "calcpsf": True, "psfcutoff": 0.35, "parallel": False,
}  # fmt: skip


def config(**keywords) -> Config:
    return Config.parse(task({"imagename": "x"} | keywords).values)


def test_every_keyword_of_tclean_is_known_and_its_default_is_ours():
    assert len(TCLEAN) == 92
    assert set(TCLEAN) <= {*sections(), *NO_EFFECT, *ONLY, *OURS, *TASK}
    found, ours = config(**TCLEAN).values(), Config.parse({"name": "x", "image_format": "casa"}).values()
    ours["image"]["imsize"] = list(ours["image"]["imsize"])
    ours["weighting"]["perchanweightdensity"] = "true"  # "auto" is the same, unless planes are cleaned together
    assert found == ours


def test_values_as_scripts_write_them():
    made = config(
        vis=["a.ms", "b.ms"], imsize=[128, 96], cell=["1.5arcsec", "2arcsec"], threshold="1mJy", niter=np.int64(500),
        uvtaper=["5arcsec", ""], restoringbeam=["3arcsec", "2arcsec", "10deg"], weighting="briggs",
        robust=np.float32(-0.5),
        restfreq=["1.42GHz"], scales=np.array([0, 5]), deconvolver="multiscale", mask=["box.crtf", "x.mask"],
        phasecenter=3, field=["2", "2"], datacolumn="data", stokes="IQUV",
    )  # fmt: skip
    assert made.data.vis == ("a.ms", "b.ms")
    assert (made.data.field, made.data.datacolumn) == ("2", "data")
    assert made.image.imsize == (128, 96)
    assert np.degrees(made.image.cell) * 3600 == pytest.approx([1.5, 2])
    assert (made.clean.threshold, made.clean.niter, made.clean.scales) == (1e-3, 500, (0, 5))
    assert made.weighting.uvtaper == ("5arcsec",)
    assert made.weighting.robust == -0.5
    assert made.restore.restoringbeam == ("3arcsec", "2arcsec", "10deg")
    assert (made.image.restfreq, made.image.phasecenter, made.image.stokes) == ("1.42GHz", 3, "IQUV")
    assert made.mask.mask == ("box.crtf", "x.mask")
    assert config(threshold=0.002).clean.threshold == 0.002
    assert config(threshold={"value": 3, "unit": "uJy"}).clean.threshold == pytest.approx(3e-6)
    assert config(imsize=100, cell=2).image.cell[0] == pytest.approx(np.radians(2 / 3600))
    assert config(datacolumn="corrected").data.datacolumn == "auto"
    assert config(specmode="cubedata", width="1MHz").image.width == "1MHz"


def test_only_the_chosen_deconvolver_s_parameters_count():
    assert config(deconvolver="hogbom", scales=[0, 5], smallscalebias=0.6).clean.scales == ()
    assert config(deconvolver="multiscale").clean.scales == (0,)


def test_selections_are_gated_by_selectdata():
    assert config(selectdata=False, scan="3", field="1").data.scan == ""
    assert config(selectdata=False, scan="3", field="1").data.field == "1"
    assert config(selectdata=True, scan="3").data.scan == "3"


def test_our_own_parameters_may_be_given_too():
    made = config(epsilon=1e-6, pbmodel="airy", major_cycle="hybrid", compat="casa", image_format="fits")
    assert (made.gridding.epsilon, made.primary_beam.pbmodel) == (1e-6, "airy")
    assert (made.gridding.major_cycle, made.compat, made.image_format) == ("hybrid", "casa", "fits")


def test_names_with_dots_and_folders():
    asked = task({"imagename": "out/ngc1.spw0-3"})
    assert asked.imagename == "out/ngc1.spw0-3"
    assert asked.values["name"] == "ngc1_spw0-3"


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"nitr": 5}, ["nitr=5", "did you mean niter?"]),
        ({"thresold": "1mJy"}, ["did you mean threshold?"]),
        ({"quux": 1}, ["quux", "leave it out"]),
        ({"gridder": "mosaic"}, ["gridder='mosaic'", "standard"]),
        ({"outlierfile": "o.txt"}, ["outlierfile", "runs of their own"]),
        ({"interactive": True}, ["interactive", "verbs"]),
        ({"psfphasecenter": "J2000 1h 2d"}, ["psfphasecenter"]),
        ({"usepointing": True}, ["usepointing"]),
        ({"facets": 3}, ["facets", "w-term"]),
        ({"specmode": "cubesource"}, ["specmode='cubesource'", "cubedata"]),
        ({"datacolumn": "residual"}, ["datacolumn", "corrected"]),
        ({"savemodel": "virtual"}, ["virtual", "modelcolumn"]),
        ({"field": ["0", "1"]}, ["field=['0', '1']", "one for all"]),
        ({"imagename": ""}, ["imagename"]),
        ({"imagename": ["x"]}, ["imagename=['x']", "as text", "write imagename='x'"]),
        ({"imagename": 5}, ["imagename=5", "as text"]),
        ({"imagename": "out/_x"}, ["imagename='out/_x'", "begins with a letter or a digit"]),
        ({"projection": "TAN"}, ["SIN"]),
    ],
)
def test_what_cannot_be_honoured_is_refused(keywords, words):
    with pytest.raises(ImagingError) as caught:
        config(**keywords)
    message = str(caught.value)
    assert all(part in message for part in ("got:", "expected:", "next step:"))
    assert [word for word in words if word not in message] == []


def test_a_wrong_value_is_explained_by_the_configuration():
    with pytest.raises(ImagingError, match=r"clean\.deconvolver"):
        config(deconvolver="mem")
    with pytest.raises(ImagingError, match="prime factor"):
        config(imsize=1021)


def test_frames_that_are_not_applied_are_told(caplog):
    config(specmode="cube")
    assert "outframe is not applied" in caplog.text
    caplog.clear()
    config(specmode="cube", outframe="TOPO")
    config(specmode="mfs", outframe="LSRK")
    assert not caplog.text
