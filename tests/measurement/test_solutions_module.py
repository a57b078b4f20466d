"""Solutions as a Station Jones module: read, interpolated, taken out again."""

from dataclasses import replace

import numpy as np
import pytest

from imaging.algorithms.calibration import Gains, GainTable
from imaging.errors import ImagingError
from imaging.io.solutions import save_solutions
from imaging.measurement import contracts
from imaging.measurement.jones.solutions import Solutions
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.trees import Data


@pytest.fixture
def solved(observe):
    """solved(kind): solutions at each time of the small observation, stations in the reverse order."""

    def make(kind="diagonal"):
        observation = observe()
        ends, rng = {"scalar": (), "diagonal": (2,), "full": (2, 2)}[kind], np.random.default_rng(1)
        time, shape = np.unique(observation.time), (5, 3, 1)
        gain = rng.normal(size=(*shape, *ends)) + 1j * rng.normal(size=(*shape, *ends))
        flag = np.zeros((*shape, *ends[:1]) if kind == "diagonal" else shape, bool)
        window = Gains(time, time - 5, time + 5, np.array([1.4e9]), np.array([1.2e9]), np.array([1.6e9]), gain, flag,
                       np.zeros(flag.shape), np.ones(flag.shape[1:], int))  # fmt: skip
        return GainTable(observation.stations[::-1], ("X", "Y"), (window,))

    return make


def array(observation, path, **options):
    maker = MeqMaker(context=observation)
    maker.add_uv_jones("G", modules=Solutions(str(path), **options))
    return contracts.station_array(maker.get_uvjones_nodes("G"), next(observation.tiles())[1])


@pytest.mark.parametrize("kind", ["scalar", "diagonal", "full"])
def test_they_are_found_by_name(tmp_path, observe, solved, kind):
    table = solved(kind)
    save_solutions(table, tmp_path / "g.npz")
    found = array(observe(), tmp_path / "g.npz")[0]
    expected = table.windows[0].gain[::-1].repeat(6, 2)
    np.testing.assert_allclose(np.broadcast_to(found, expected.shape), expected)
    np.testing.assert_allclose(array(observe(), tmp_path / "g.npz", interpolation="nearest")[0], found)


def test_correction_undoes_them_and_flags_what_has_none(tmp_path, observe, solved, sky):
    table, observation = solved(), observe()
    window = table.windows[0]
    window.flag[4, 1, 0, 1] = True  # the first station, the second time, one feed
    save_solutions(replace(table, stations=("nobody", *table.stations[1:])), tmp_path / "g.npz")
    maker = MeqMaker(context=observation)
    maker.add_sky_models(sky)
    _, tile = next(observation.tiles())
    true, _ = maker.make_predict_tree().evaluate(tile)
    maker = MeqMaker(context=observation)
    maker.add_uv_jones("G", modules=Solutions(str(tmp_path / "g.npz")))
    corrupted, _ = maker.corrupt_uv_data(None, Data(true)).evaluate(tile)
    tree = maker.correct_uv_data(None, Data(corrupted))
    back, flag = tree.evaluate(tile)
    p, q = tile.antenna1, tile.antenna2
    lost = (p == 4) | (q == 4) | (((p == 0) | (q == 0)) & (tile.time_index == 1))
    np.testing.assert_array_equal(flag, np.broadcast_to(lost[:, None], flag.shape))
    np.testing.assert_allclose(back[~lost], true[~lost], rtol=1e-10)
    assert tree.singular == flag.sum()


def test_what_cannot_be_used(tmp_path, observe, solved):
    with pytest.raises(ImagingError, match="No solutions are named"):
        Solutions()
    with pytest.raises(ImagingError, match="There are no solutions"):
        array(observe(), tmp_path / "none.npz")
    save_solutions(replace(solved(), stations=tuple("abcde")), tmp_path / "g.npz")
    with pytest.raises(ImagingError, match="of other stations"):
        array(observe(), tmp_path / "g.npz")
    save_solutions(solved(), tmp_path / "g.npz")
    with pytest.raises(ImagingError, match="of other feeds"):
        array(observe(feeds="circular"), tmp_path / "g.npz")
