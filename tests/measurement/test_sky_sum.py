"""The sum over the sky: what threads, blocks and kinds of sources do not change."""

import numpy as np
import pytest

from imaging.measurement import sky_sum, trees
from imaging.measurement.contracts import ArrayJones, ArrayProcess, ContractError
from imaging.measurement.meqmaker import MeqMaker
from imaging.measurement.sky.components import ComponentSky


def predict(observation, sky, *terms, process=None, **more):
    maker = MeqMaker(context=observation, **more)
    maker.add_sky_models(sky)
    for number, term in enumerate(terms):
        maker.add_sky_jones(f"E{number}", modules=term)
    if process:
        maker.add_sky_vis_proc_module("S", modules=process)
    return maker.make_predict_tree().evaluate(next(observation.tiles())[1])


class Nodes:
    """A term as functions of each source and station."""

    def compute_jones(self, Jones, sources, stations=None, **kw):
        return lambda x, p: 0.1 + len(x.name) + 1j * stations.index(p)


class Lowered:
    """A processor of each source."""

    def process_visibilities(self, nodes, input_nodes, sources, **kw):
        return ArrayProcess(lambda vis, tile: vis * 0.5)


@pytest.fixture
def many(component):
    """Points and Gaussians, polarised and not."""
    rng = np.random.default_rng(3)
    places, more = rng.uniform(-0.01, 0.01, (40, 2)), {"major": 1e-4, "minor": 5e-5, "pa": 0.3}
    return ComponentSky([
        component(f"x{i}", *place, (1.0, 0.1 * (i % 2), 0, 0), **(more if i % 5 == 0 else {}))
        for i, place in enumerate(places)
    ])  # fmt: skip


@pytest.mark.parametrize("nodes", [False, True])
@pytest.mark.parametrize("process", [None, Lowered()])
def test_threads_do_not_change_a_bit(observe, many, fixed, monkeypatch, nodes, process):
    monkeypatch.setattr(trees, "LEAST", 3)
    monkeypatch.setattr(trees, "MEMORY", 1)
    terms = [fixed("diagonal", 1, (3, 6)), Nodes() if nodes else fixed("scalar", 2, (3, 1))]
    one, _ = predict(observe(), many, *terms, process=process)
    for threads in (2, 3):
        vis, _ = predict(observe(), many, *terms, process=process, threads=threads)
        np.testing.assert_array_equal(vis, one)


def test_blocks_do_not_matter(observe, many, fixed, monkeypatch):
    whole, _ = predict(observe(), many, fixed("full", 1, (3, 6)))
    monkeypatch.setattr(trees, "MEMORY", 1)
    monkeypatch.setattr(trees, "LEAST", 1)
    one_by_one, _ = predict(observe(), many, fixed("full", 1, (3, 6)))
    np.testing.assert_allclose(one_by_one, whole, rtol=0, atol=1e-13 * np.abs(whole).max())


def test_an_error_in_a_thread_is_an_error(observe, many):
    class Broken:
        def compute_jones(self, Jones, sources, **kw):
            return ArrayJones(lambda tile: 1 / 0, "scalar", sources=sources)

    with pytest.raises(ContractError, match="failed"):
        predict(observe(), many, Broken(), threads=2)


def test_brightness_of_all_at_once_and_one_by_one(observe, many):
    tile = next(observe().tiles())[1].with_sources(many.source_list())
    together = sky_sum.light_of(tile)
    np.testing.assert_array_equal(together, [x.brightness(tile) for x in tile.sources])


def test_a_brightness_of_ones_own_is_asked_for(observe, many):
    class Flare(type(many.source_list()[0])):
        def brightness(self, tile):
            return super().brightness(tile) * tile.t[..., None, None]

    flare = Flare(many.source_list()[0].component)
    tile = next(observe().tiles())[1].with_sources([*many.source_list()[1:], flare])
    light = sky_sum.light_of(tile)
    assert light.shape == (40, 3, 6, 2, 2)
    np.testing.assert_array_equal(light[-1], flare.brightness(tile))
