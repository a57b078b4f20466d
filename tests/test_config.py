"""The declaration: what it accepts, what it refuses and in which words, what it generates."""

import math
from pathlib import Path

import pytest
import yaml

from imaging import config_files
from imaging.config import Config
from imaging.config_base import load_values
from imaging.config_reads import READS
from imaging.config_sections import good_size, nearest_size
from imaging.errors import ImagingError

ROOT = Path(__file__).parents[1]
EXAMPLE = """
name: fornaxA
data: {vis: path/to/my.ms, datacolumn: auto, field: "", spw: ""}
image: {imsize: 1500, cell: 60arcsec, stokes: I}
weighting: {weighting: briggs, robust: 0}
gridding: {epsilon: 1.0e-4}
clean: {deconvolver: multiscale, scales: [0, 5, 15], niter: 3000, nsigma: 3}
mask: {usemask: auto-multithresh}
restore: {pbcor: true}
"""


def test_the_example_of_the_readme_is_understood():
    config = Config.parse(yaml.safe_load(EXAMPLE))
    assert config.image.imsize == (1500, 1500)
    assert config.image.cell == pytest.approx((math.radians(1 / 60),) * 2)
    assert config.data.vis == ("path/to/my.ms",)
    assert config.clean.scales == (0, 5, 15)


def test_defaults_are_tcleans():
    config = Config()
    assert (config.clean.gain, config.clean.cyclefactor, config.clean.minpsffraction) == (0.1, 1.0, 0.05)
    assert (config.clean.maxpsffraction, config.clean.cycleniter, config.clean.psfcutoff) == (0.8, -1, 0.35)
    assert (config.mask.growiterations, config.mask.minpercentchange, config.mask.fastnoise) == (75, -1.0, True)
    assert (config.weighting.robust, config.primary_beam.pblimit, config.clean.niter) == (0.5, 0.2, 0)


@pytest.mark.parametrize("path", config_files.generated())
def test_generated_files_are_in_sync(path):
    assert (ROOT / path).read_text() == config_files.generated()[path], "run: imaging config --write ."


def test_generated_defaults_parse_to_the_defaults():
    assert Config.parse(yaml.safe_load(config_files.config_yaml())) == Config()


def test_a_parameter_lives_in_one_section():
    sections = [f.annotation for f in Config.model_fields.values() if hasattr(f.annotation, "model_fields")]
    names = [name for section in sections for name in section.model_fields if name not in ("weighting", "mask")]
    assert len(names) == len(set(names))


def test_what_stages_read_exists_and_every_parameter_is_read():
    values = Config().values()
    read = set()
    wide = Config.parse({"clean": {"deconvolver": "wideband"}})
    for stage in READS:
        for section, fields in wide.settings(stage).items():
            read |= {f"{section}.{f}" for f in fields} if isinstance(fields, dict) else {section}
        for section, fields in Config.parse({"clean": {"deconvolver": "mine.py"}}).settings(stage).items():
            read |= {f"{section}.{f}" for f in fields} if isinstance(fields, dict) else {section}
    every = {f"{s}.{f}" for s, v in values.items() if isinstance(v, dict) for f in v} | {"compat"}
    jobs = {"restore.pbcor", "clean.startmodel", "clean.savemodel", "gridding.major_cycle",
            "clean.schedule", "clean.script_timeout",
            *(f"measurement.{name}" for name in ("steps", "image", "inspect"))}  # fmt: skip
    assert every - jobs == read  # which only say what jobs there are


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"clean": {"nitr": 5}}, ["clean.nitr", "nitr: 5", "niter"]),
        ({"clean": {"cell": 5}}, ["clean.cell", "image.cell"]),
        ({"claen": {}}, ["claen", "clean"]),
        ({"clean": {"niter": "many"}}, ["clean.niter", "many", "expected:  a whole number, 0 or more"]),
        ({"image": {"cell": "60furlong"}}, ["image.cell", "60furlong", "arcsec"]),
        ({"image": {"cell": "0arcsec"}}, ["image.cell", "above zero"]),
        ({"image": {"imsize": 0}}, ["image.imsize", "got:       0"]),
        ({"image": {"imsize": 1021}}, ["image.imsize", "1021", "prime factor (1021)", "try 1024"]),
        ({"image": {"imsize": 1501}}, ["1501", "try 1500"]),
        ({"image": {"imsize": 10**18 + 1}}, ["image.imsize", "1000000"]),
        ({"clean": {"niter": 2.5}}, ["clean.niter", "a whole number"]),
        ({"clean": {"gain": 1.5}}, ["clean.gain", "more than 0, at most 1"]),
        ({"clean": {"gain": "high"}}, ["clean.gain", "a number, more than 0"]),
        ({"mask": {"dogrowprune": "perhaps"}}, ["mask.dogrowprune", "true or false"]),
        ({"mask": {"mask": [1, 2, 3]}}, ["mask.mask", "[x0, y0, x1, y1]", "[1, 2, 3] is none"]),
        ({"mask": {"mask": [[1, 2, 3, 4], [1, 2.5, 3, 4]]}}, ["mask.mask", "[1, 2.5, 3, 4] is none"]),
        ({"mask": {"mask": 7}}, ["mask.mask", "[x0, y0, x1, y1]"]),
        ({"name": "my image"}, ["name", "my image", "letters, digits"]),
        ({"image": {"stokes": "IX"}}, ["image.stokes", "IX"]),
        ({"image": {"phasecenter": "over there"}}, ["image.phasecenter", "J2000 13h31m08.3"]),
        ({"data": {"datacolumn": "raw"}}, ["data.datacolumn", "raw", "corrected"]),
        ({"mask": {"usemask": "auto"}}, ["mask.usemask", "auto-multithresh"]),
        ({"gridding": {"epsilon": 1}}, ["gridding.epsilon", "0.01"]),
        ({"weighting": {"robust": 3}}, ["weighting.robust"]),
        ({"weighting": {"uvtaper": ["3parsec"]}}, ["weighting.uvtaper", "3parsec"]),
        ({"weighting": {"uvtaper": ["1klambda", "5arcsec"]}}, ["weighting.uvtaper", "wavelengths"]),
        ({"image": {"stokes": "IQV"}}, ["I, Q, V", "evenly spaced", "image_format"]),
        ({"image": {"stokes": "XXXYYXYY"}}, ["XX, XY, YX, YY", "image_format"]),
        ({"restore": {"restoringbeam": ["1arcsec", "2arcsec", "0deg"]}}, ["restore.restoringbeam", "major"]),
        ({"clean": {"join": "channels"}}, ["hogbom knows no clean.join", "wideband"]),
        ({"clean": {"local_rms": "rms"}}, ["hogbom knows no clean.local_rms"]),
        ({"clean": {"join": "frequency"}}, ["clean.join", "channels"]),
        ({"clean": {"deconvolver": "wideband", "fit_spectrum": "polynomial"}}, ["fit_spectrum needs joined channels"]),
        (
            {
                "clean": {"deconvolver": "wideband", "join": "channels", "deconvolution_channels": 2},
                "image": {"specmode": "cube"},
            },
            ["Fewer deconvolution channels", "fit_spectrum: polynomial"],
        ),
        (
            {
                "clean": {"deconvolver": "wideband", "join": "channels", "fit_spectrum": "forced"},
                "image": {"specmode": "cube"},
            },
            ["clean.spectrum_map goes with"],
        ),
        ({"clean": {"deconvolver": "wideband", "scales": [0, 80]}}, ["A scale is too large", "at most 50"]),
        ({"weighting": {"perchanweightdensity": "sometimes"}}, ["weighting.perchanweightdensity", "auto"]),
        ({"clean": {"schedule": "hogbom"}}, ["clean.schedule is not usable", "a list", "[{cycle: 3, deconvolver:"]),
        ({"clean": {"schedule": ["hogbom"]}}, ["clean.schedule", "'key: value' pairs", "[{cycle: 3, deconvolver:"]),
        (
            {"clean": {"schedule": [{"cycle": 2}]}},
            ["Configuration key clean.schedule.deconvolver is missing", "cycle, deconvolver", "add deconvolver: Minor"],
        ),
        (
            {"clean": {"schedule": [{"cycl": 2, "deconvolver": "hogbom"}]}},
            ["Unknown configuration key clean.schedule.cycl.", "cycl: 2", "did you mean cycle?"],
        ),
        ({"name": "../escape"}, ["name", "../escape"]),
        ({"data": 3}, ["data", "3"]),
    ],
)
def test_wrong_values_get_one_message_of_four_parts(values, words):
    with pytest.raises(ImagingError) as caught:
        Config.parse(values)
    message = str(caught.value)
    assert all(part in message for part in ("got:", "expected:", "next step:"))
    assert [word for word in words if word not in message] == []


def test_minor_cycles_read_what_their_deconvolver_reads():
    """A changed n-sigma changes Hogbom's thresholds, which are among its inputs, not its parameters."""
    for name, reads in (("hogbom", False), ("wideband", True)):
        plain, other = (
            Config.parse({"clean": {"deconvolver": name, "nsigma": n}}).settings("minor_cycle") for n in (0, 3)
        )
        assert (plain != other) is reads


def test_a_casa_image_holds_any_stokes():
    assert Config.parse({"image_format": "casa", "image": {"stokes": "IQV"}}).image.stokes == "IQV"


def test_overrides_and_broken_files(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text(EXAMPLE)
    assert Config.load(file, ("clean.niter=5", "image.cell=1arcmin")).clean.niter == 5
    for text, words in {"name: [": "YAML", "- 1\n- 2": "sections"}.items():
        file.write_text(text)
        with pytest.raises(ImagingError, match=words):
            load_values(file)
    with pytest.raises(ImagingError, match="no configuration file"):
        load_values(tmp_path / "absent.yaml")
    file.write_text("")
    with pytest.raises(ImagingError, match="section.key=value"):
        load_values(file, ("niter",))


@pytest.mark.parametrize("boxes", [[40, 9, 10, 30], [[10, 30, 40, 9]], ["a.reg", [40, 30, 10, 9]]])
def test_boxes_may_begin_at_any_corner(boxes):
    assert Config.parse({"mask": {"mask": boxes}}).mask.mask[-1] == (10, 9, 40, 30)


@pytest.mark.parametrize(("n", "near"), [(601, 600), (1021, 1024), (127, 128), (17, 18), (1501, 1500), (999, 1000)])
def test_the_size_that_is_suggested_is_the_nearest_good_one(n, near):
    assert nearest_size(n) == near
    with pytest.raises(ImagingError, match=f"try {near}"):
        Config.parse({"image": {"imsize": n}})


@pytest.mark.parametrize(("n", "good"), [(1, 16), (1021, 1024), (1500, 1500), (1201, 1250)])
def test_good_size_is_even_with_small_factors(n, good):
    size = good_size(n)
    assert size >= n
    assert size % 2 == 0
    for factor in (2, 3, 5, 7):
        while size % factor == 0:
            size //= factor
    assert size == 1
    assert good_size(n) <= good
