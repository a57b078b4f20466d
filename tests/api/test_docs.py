"""The examples of docs/api.md run as they stand there, on a smaller image."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
SMALLER = {"1024": "64", '"2arcsec"': '"12arcsec"', "20000": "40", "[0, 5, 15]": "[0, 4]", "500": "20"}


def test_the_examples(tmp_path, monkeypatch, tiny_ms, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_ms, "my.ms")
    sections = {"name": "m31", "data": {"vis": "my.ms"}, "image": {"imsize": 64, "cell": "12arcsec"}}
    Path("m31.yaml").write_text(yaml.safe_dump(sections | {"clean": {"niter": 20}}))
    blocks = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len(blocks) == 5
    names = {}
    for block in blocks:
        for large, small in SMALLER.items():
            block = block.replace(large, small)
        exec(compile(block, "docs/api.md", "exec"), names)
    assert Path("parts/all.residual.fits").exists()
    assert names["mask"].shape == (64, 64)
    assert "done in" in capsys.readouterr().out


def test_every_verb_and_keyword_it_names_exists():
    from imaging.deconvolver import Deconvolver
    from imaging.normalizer import Normalizer
    from imaging.part_imager import PartImager
    from imaging.serial_imager import SerialImager

    verbs = set(re.findall(r"(?:imager|normalizer|part|d)\.(\w+)\(", TEXT))
    known = {name for cls in (SerialImager, Deconvolver, Normalizer, PartImager) for name in dir(cls)}
    assert verbs
    assert verbs <= known


@pytest.mark.parametrize("verb", [
    "setup", "make_psf", "make_pb", "run_major_cycle", "run_minor_cycle", "has_converged", "update_mask", "restore",
    "pbcor", "teardown", "run",
])  # fmt: skip
def test_serial_imager_has_the_verbs_people_know(verb):
    from imaging import SerialImager

    assert callable(getattr(SerialImager, verb))
