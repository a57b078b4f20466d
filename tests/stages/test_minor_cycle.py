"""The stage minor_cycle with a script of the user's: what it hands over, and what it writes."""

import json
import pickle
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from imaging.algorithms.cycle_control import Limits, next_state, residual_statistics
from imaging.config import Config
from imaging.errors import ImagingError
from imaging.image import Grid, Image
from imaging.io.images import load_image, save_image
from imaging.settings import Settings
from imaging.stages.minor_cycle import minor_cycle
from imaging.state import CleanState, MinorResult, StopCode

FREQ = (1.0e9, 1.2e9, 1.4e9)
SHAPE = (3, 1, 16, 20)
RESULT = 'return {"residual": residual, "model": model, "level": 0.0, "continue": False}'


def limits(**changes):
    return Limits(**{"niter": 500, "threshold": 0.01, "nsigma": 3.0} | changes)


@pytest.fixture
def cycle(tmp_path):
    """cycle(body, chans=3, clean={…}) runs the stage on noise; what it wrote."""

    def run(body: str, chans: int = 3, memory: bytes | None = None, **clean) -> SimpleNamespace:
        random = np.random.default_rng(1)
        shape = (chans, *SHAPE[1:])
        grid = Grid((0.1, 0.2), (1e-5, 1e-5), shape[2:], FREQ[:chans], (2e8,) * chans)
        residual = random.normal(size=shape).astype(np.float32)
        mask, psf = np.ones(shape, np.float32), random.uniform(0, 0.1, shape).astype(np.float32)
        mask[..., :3] = 0
        psf[:, :, 8, 10] = 1
        weights = (1.0 + np.arange(chans, dtype=np.float32)).reshape(-1, 1, 1, 1)
        one_pixel = Grid(grid.centre, grid.cell, (1, 1), grid.freq, grid.width)
        paths = {
            name: str(tmp_path / f"{name}.fits") for name in ("residual", "mask", "psf", "sumwt", "pb", "model_out")
        }
        for name, data in {
            "residual": residual,
            "mask": mask,
            "psf": psf,
            "pb": np.full(shape, 0.5, np.float32),
        }.items():
            save_image(Image(data, grid, ""), paths[name])
        save_image(Image(weights, one_pixel, ""), paths["sumwt"])
        planes = residual_statistics(residual, mask > 0, np.ones(shape, bool), nsigma=3.0)
        state = next_state(None, None, planes, limits(), 0.2)
        (tmp_path / "state.json").write_text(state.to_json())
        (tmp_path / "mine.py").write_text(
            "def deconvolve(residual, model, psf, meta):\n"
            + textwrap.indent(textwrap.dedent(body).strip() + f"\n{RESULT}", "    ")
        )
        if memory is not None:
            (tmp_path / "before.pickle").write_bytes(memory)
        specmode = {"specmode": "cube", "nchan": chans} if chans > 1 else {}
        config = Config.parse({"clean": {"deconvolver": str(tmp_path / "mine.py"), **clean}, "image": specmode})
        minor_cycle(
            **paths, state=str(tmp_path / "state.json"), minor=str(tmp_path / "minor.json"),
            memory="" if memory is None else str(tmp_path / "before.pickle"), memory_out=str(tmp_path / "after.pickle"),
            config=Settings.of(config.settings("minor_cycle")), timeout=60,
        )  # fmt: skip
        return SimpleNamespace(
            state=state, minor=MinorResult.from_json((tmp_path / "minor.json").read_text()),
            text=(tmp_path / "minor.json").read_text(), model=load_image(paths["model_out"]), residual=residual,
            memory=(tmp_path / "after.pickle").read_bytes(), mask=mask > 0,
        )  # fmt: skip

    return run


def test_what_a_script_is_told(cycle):
    made = cycle(
        """
        import json, numpy as np
        assert residual.shape == model.shape == (3, 1, 16, 20) and psf.shape == (3, 16, 20)
        assert [c.frequency for c in meta.channels] == [1.0e9, 1.2e9, 1.4e9]
        assert [c.weight for c in meta.channels] == [1.0, 2.0, 3.0]
        assert meta.gain == 0.25 and abs(meta.mgain - 0.8) < 1e-12 and meta.square_joined_channels is True
        assert meta.iteration_number == 0 and meta.max_iterations == 500
        assert meta.mask.shape == residual.shape and not meta.mask[..., :3].any() and meta.mask[..., 3:].all()
        assert (meta.pb == 0.5).all() and meta.rms.shape == (3, 1)
        assert not residual[..., :3].any() and residual[..., 3:].all()
        fitted = meta.spectral_fitter.fit(np.array([1.0, 1.2, 1.4]))
        np.testing.assert_allclose(fitted, [meta.spectral_fitter.reference_frequency / 1e9] * 2)
        model[:, 0, 0, 0] = meta.rms[:, 0]
        model[:, 0, 5, :2] = 7
        model[:, 0, 5, 5] = meta.final_threshold, meta.major_iter_threshold, len(meta.plane_thresholds)
        """,
        gain=0.25, fit_spectrum="polynomial", fit_terms=2, join=["channels"], squared_join=True,
    )  # fmt: skip
    planes = [plane for chan in made.state.planes for plane in chan]
    assert made.model.data[0, 0, 5, 5] == np.float32(min(p.nsigma_threshold for p in planes))
    assert made.model.data[1:, 0, 5, 5].tolist() == [0, 3]
    assert not made.model.data[~made.mask].any()
    assert made.model.unit == "Jy/pixel"


def test_a_single_plane_knows_the_threshold_of_its_cycle(cycle):
    made = cycle("model[0, 0, 5, 5] = meta.major_iter_threshold", chans=1)
    assert made.model.data[0, 0, 5, 5] == np.float32(made.state.cycle_threshold)


def test_masks_may_be_left_to_the_script(cycle):
    made = cycle("assert residual.all() and not meta.mask.all()\nmodel[..., 0] = 1", script_mask=False)
    assert (made.model.data[..., 0] == 1).all()


@pytest.mark.parametrize("go_on", [True, False])
def test_continue_reaches_the_decision(go_on, cycle):
    made = cycle(f"meta.iteration_number += 3\nmodel[0, 0, 5, 5] = 1\nreturn dict(residual=residual * 0.9, model=model,"
                 f" level=1, **{{'continue': {go_on}}})")  # fmt: skip
    assert made.minor.go_on is go_on
    assert made.minor.iterdone == 3
    assert json.loads(made.text)["go_on"] is go_on
    planes = residual_statistics(made.residual * 0.9, made.mask, np.ones(SHAPE, bool), nsigma=0)
    state = next_state(made.state, made.minor, planes, limits(nsigma=0), 0.2)
    assert state.stop == (StopCode.GO_ON if go_on else StopCode.DECONVOLVER)
    assert CleanState.from_json(state.to_json()).reason == state.stop.sentence


@pytest.mark.parametrize("limit", [{"niter": 3}, {"threshold": 99.0}, {"nmajor": 1}])
def test_limits_come_before_what_the_script_says(limit, cycle):
    made = cycle("meta.iteration_number += 3\nmodel[0, 0, 5, 5] = 1")
    planes = residual_statistics(made.residual * 0.9, made.mask, np.ones(SHAPE, bool), nsigma=0)
    stop = next_state(made.state, made.minor, planes, limits(nsigma=0, **limit), 0.2).stop
    assert (
        stop == {"niter": StopCode.NITER, "threshold": StopCode.THRESHOLD, "nmajor": StopCode.NMAJOR}[next(iter(limit))]
    )


def test_a_script_that_does_nothing_ends_the_loop(cycle):
    made = cycle(f"{RESULT.replace('False', 'True')}")
    planes = residual_statistics(made.residual, made.mask, np.ones(SHAPE, bool), nsigma=0)
    assert next_state(made.state, made.minor, planes, limits(nsigma=0), 0.2).stop == StopCode.NO_CHANGE


def test_memories_of_other_scripts_are_handed_on(cycle, tmp_path):
    made = cycle("deconvolve.n = getattr(deconvolve, 'n', 0) + 1", memory=pickle.dumps({"other.py": b"bytes"}))
    kept = pickle.loads(made.memory)
    assert list(kept) == ["other.py", str(tmp_path / "mine.py")]
    assert kept["other.py"] == b"bytes"
    again = cycle("deconvolve.n = getattr(deconvolve, 'n', 0) + 1\nassert deconvolve.n == 2", memory=made.memory)
    assert pickle.loads(again.memory) != kept


def test_nothing_is_written_where_the_script_fails(cycle, tmp_path):
    with pytest.raises(ImagingError, match="deconvolution function of .*: ValueError"):
        cycle("raise ValueError")
    assert not [p.name for p in tmp_path.iterdir() if p.name in ("model_out.fits", "minor.json", "after.pickle")]
    assert not list(tmp_path.glob(".partial-*"))
