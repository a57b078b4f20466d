"""The two drivers, Snakemake and SerialImager, make the same bytes, and do not mistake each other's for their own."""

import os
import shutil

import pytest

from imaging.config import Config
from imaging.errors import ImagingError
from imaging.serial_imager import SerialImager


def serial_products(project, folder, config, **wishes) -> dict[str, bytes]:
    """What SerialImager makes of the project's configuration in another folder."""
    made = type(project)(folder, project.values)
    shown = os.getcwd()
    os.chdir(folder)
    try:
        made.summary = SerialImager(config, progress=False, **wishes).run()
    finally:
        os.chdir(shown)
    return made, {name: data for name, data in made.products().items() if not name.endswith(".serial.json")}


def workflow_products(project) -> dict[str, bytes]:
    return {name: data for name, data in project.products().items() if "snakemake_timestamp" not in name}


def different(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


@pytest.mark.parametrize("given", ["yaml", "object", "sections"])
def test_the_small_image(finished, tmp_path, given):
    config = {
        "yaml": lambda: "my.yaml",
        "object": lambda: Config.load(finished.folder / "my.yaml"),
        "sections": lambda: finished.values,
    }[given]()
    _, found = serial_products(finished, tmp_path, config)
    assert len(found) > 25
    assert different(found, workflow_products(finished)) == []


HYBRID_CUBE = {
    "image_format": "casa",
    "gridding": {"major_cycle": "hybrid"},
    "image": {"imsize": 64, "cell": "12arcsec", "specmode": "cube", "stokes": "IV"},
    "clean": {"deconvolver": "multiscale", "scales": [0, 4], "nmajor": 2, "cycleniter": 20},
    "restore": {"restoringbeam": "common"},
}
JOINED = {
    "image": {"imsize": 64, "cell": "12arcsec", "specmode": "cube"},
    "clean": {"deconvolver": "wideband", "join": ["channels"], "fit_spectrum": "polynomial", "niter": 30,
              "savemodel": "modelcolumn"},
    "mask": {"usemask": "pb", "pbmask": 0.3},
    "restore": {"components": True, "pbcor": True},
}  # fmt: skip
TERMS = {
    "image": {"imsize": 64, "cell": "12arcsec"},
    "clean": {"deconvolver": "mtmfs", "scales": [0, 4], "niter": 60, "nmajor": 2, "savemodel": "modelcolumn"},
    "restore": {"components": True, "pbcor": True},
}


@pytest.mark.parametrize("sections", [HYBRID_CUBE, JOINED, TERMS], ids=["hybrid cube", "joined channels", "terms"])
def test_other_images(project, tmp_path, tiny_ms, sections):
    shutil.copytree(tiny_ms, tmp_path / "own.ms")
    made = project(data={"vis": str(tmp_path / "own.ms")}, **sections)
    made.run()
    (tmp_path / "serial").mkdir()
    _, found = serial_products(made, tmp_path / "serial", "my.yaml")
    assert different(found, workflow_products(made)) == []
    if sections is HYBRID_CUBE:
        assert any(".exact." in name for name in found)


def test_the_workflow_takes_over_what_fits_and_refuses_what_does_not(finished, tmp_path):
    made, _ = serial_products(finished, tmp_path, "my.yaml")
    made.run()
    assert made.jobs() == {}
    refused = made.run("clean.niter=100", check=False)
    assert refused.returncode == 1
    assert "made by SerialImager" in refused.stderr
    assert "Traceback" not in refused.stderr
    refused = made.snakemake("--cores", "1", "--configfile", "my.yaml", "--config", "name=small", "clean={niter: 7}",
                             check=False)  # fmt: skip
    assert refused.returncode == 1
    assert "made by SerialImager" in refused.stdout + refused.stderr


def test_one_at_a_time(finished, tmp_path, monkeypatch):
    type(finished)(tmp_path, finished.values)
    monkeypatch.chdir(tmp_path)
    with SerialImager("my.yaml", progress=False), pytest.raises(ImagingError, match="another run"):
        SerialImager("my.yaml", progress=False).setup()
    SerialImager("my.yaml", progress=False).setup()


def test_a_diverged_hybrid_clean_ends_with_an_exact_residual(finished, tmp_path, monkeypatch):
    """Gone back to a cycle whose residual was made by convolution, both drivers make the exact one."""
    from imaging.stages import decide
    from imaging.state import StopCode

    values = finished.values | {"gridding": {"major_cycle": "hybrid"}}
    real = decide.next_state

    def diverging(previous, minor, planes, limits, sidelobe, compat=""):
        state = real(previous, minor, planes, limits, sidelobe, compat)
        if state.cycle < 2:
            return state
        return decide.replace(state, stop=StopCode.DIVERGED, best_cycle=1)

    monkeypatch.setattr(decide, "next_state", diverging)
    made = type(finished)(tmp_path, values)
    _, found = serial_products(made, tmp_path, "my.yaml")
    assert "small.cycle001.exact.residual.fits" in found
    assert b"PSFERROR" not in found["small.residual.fits"][:20000]
    assert b"PSFERROR" in found["small.cycle001.residual.fits"][:20000]
