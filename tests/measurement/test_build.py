"""A section of a configuration as a MeqMaker."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from imaging.errors import ImagingError
from imaging.io.component_list import save_components
from imaging.measurement.build import build, files, native_modules, toward
from imaging.settings import Settings


@pytest.fixture
def section(sky, tmp_path):
    """section(**changes): of the three points of `sky`, and a beam."""
    save_components([x.component for x in sky.source_list()], str(tmp_path / "sky.txt"))

    def make(**changes):
        model = {"module": "ComponentSky", "options": {"components": str(tmp_path / "sky.txt")}}
        beam = {"label": "E", "module": "AnalyticBeam", "options": {"diameter": "25m"}, "pointing": None, "subset": "",
                "unique": "source", "skip_correct": False}  # fmt: skip
        return Settings(sky_models=[model], sky_jones=[beam], sky_vis_proc=[], uv_jones=[], vis_proc=[], smearing=False,
                        seed=1, sky_correct="", **changes)  # fmt: skip

    return make


def corrected(section, observation, where):
    section.sky_correct = where
    maker = build(section, context=observation)
    tree = maker.correct_uv_data(None, maker.make_predict_tree(), sky_correct=toward(section, maker))
    return np.concatenate([tree.evaluate(tile)[0] for _, tile in observation.tiles()])


def test_corrections_toward_a_source_and_its_direction_are_one(section, observe, sky):
    observation = observe()
    source = sky.source_list()[1]
    there = SkyCoord(source.component.ra, source.component.dec, unit="rad").to_string("hmsdms", precision=9)
    named, directed = (corrected(section(), observation, where) for where in (source.name, f"J2000 {there}"))
    np.testing.assert_allclose(directed, named, rtol=1e-6)
    assert np.abs(named - corrected(section(), observation, "")).max() > 0.01


def test_nothing_to_correct_toward_is_refused(section, observe):
    with pytest.raises(ImagingError, match="nothing to correct toward"):
        corrected(section(), observe(), "nobody")


def test_terms_are_for_the_sources_that_are_chosen(section, observe):
    chosen = section()
    chosen.sky_jones[0]["subset"] = "centre"
    maker = build(chosen, context=observe())
    (_, tile), = observe().tiles()  # fmt: skip
    vis, _ = maker.make_predict_tree(sources=["polarised"]).evaluate(tile)
    plain, _ = build(section(), ("sky_models",), observe()).make_predict_tree(sources=["polarised"]).evaluate(tile)
    np.testing.assert_array_equal(vis, plain)


def test_files_and_code_of_a_section(section, tmp_path):
    chosen = section()
    assert files(chosen) == [str(tmp_path / "sky.txt")]
    assert native_modules(chosen) == ["imaging.measurement.jones.beams", "imaging.measurement.sky.components"]


def test_samples_outside_the_bounds_of_a_term_are_flagged(section, observe):
    chosen = section()
    chosen.uv_jones = [{"label": "G", "module": "ComplexGains", "options": {"amplitude": 0.3}, "skip_correct": False,
                        "all_stations": False, "bounds": {"low": 0.9}}]  # fmt: skip
    observation = observe()
    maker = build(chosen, context=observation)
    tree = maker.correct_uv_data(None, maker.make_predict_tree())
    flags = np.concatenate([tree.evaluate(tile)[1] for _, tile in observation.tiles()])
    assert 0 < tree.out_of_bounds == flags.sum() < flags.size
