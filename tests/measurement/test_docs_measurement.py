"""The examples of docs/measurement.md run as they stand there."""

import re
from pathlib import Path

import numpy as np

from imaging.io.component_list import save_components
from imaging.measurement.meqmaker import MeqMaker

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/measurement.md").read_text(), re.S)


def test_the_examples(observe, sky, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_components([x.component for x in sky.source_list()], "sky.txt")
    names = {"observation": observe()}
    exec(compile(BLOCKS[0], "docs/measurement.md", "exec"), names)
    assert np.isfinite(names["vis"]).all()
    exec(compile(BLOCKS[1], "docs/measurement.md", "exec"), names)
    exec(compile(BLOCKS[2], "docs/measurement.md", "exec"), names)
    seen = []
    for beam in ("Beam", "NodeBeam"):
        maker = MeqMaker(context=names["observation"])
        maker.add_sky_models(sky)
        maker.add_sky_jones("E", modules=names[beam]())
        vis, _ = maker.make_predict_tree(sources=["centre"]).evaluate(names["tile"])
        np.testing.assert_allclose(vis[..., 0, 0], 1, rtol=1e-13)
        seen.append(maker.make_predict_tree().evaluate(names["tile"])[0])
    np.testing.assert_allclose(seen[0], seen[1], rtol=0, atol=1e-13)
