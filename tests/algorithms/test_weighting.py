"""Imaging weights: tclean's sums, and what holds of any of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from imaging.algorithms.weighting import SPEED_OF_LIGHT, Density, Scheme, Taper, imaging_weight, row_chunks
from imaging.kernels import weighting_reference
from imaging.units import ANGLE, FLUX, TAPER, parse_quantity

GOLDEN = np.load(Path(__file__).parents[1] / "oracles" / "weights.npz")
PARAMETERS = json.loads(str(GOLDEN["record"]))["parameters"]
CASES = [str(case) for case in GOLDEN["case"] if "bwtaper" not in str(case)]
CELL = np.radians(12 / 3600)


def scheme_of(parameters):
    taper = None
    if "uvtaper" in parameters:
        texts = parameters["uvtaper"]
        sizes = [parse_quantity(t, TAPER, "arcsec") for t in (texts[0], texts[min(1, len(texts) - 1)])]
        angle = parse_quantity(texts[2], ANGLE, "deg") if len(texts) > 2 else 0.0
        taper = (Taper.of_uv if "lambda" in texts[0] else Taper.of_image)(*sizes, angle)
    return Scheme(
        parameters["weighting"],
        parameters.get("robust", 0.5),
        parse_quantity(parameters.get("noise", "1Jy"), FLUX, "Jy"),
        parameters.get("npixels", 0),
        taper,
    )


def weigh(scheme, uvw, weight, freq, plane, shape=(120, 120), per_channel=False, parts=1, kernel=None):
    chunks = np.array_split(np.arange(len(uvw)), parts)
    density = None
    if scheme.needs_density:
        density = Density(scheme, (CELL, CELL), shape, int(plane.max()) + 1, per_channel, kernel)
        for rows in chunks:
            density.add(uvw[rows], weight[rows], freq, plane)
    return np.concatenate([imaging_weight(scheme, density, uvw[r], weight[r], freq, plane) for r in chunks])


def golden_samples():
    weight = np.where(GOLDEN["flag"].any(axis=2), 0, GOLDEN["weight"].mean(axis=1)[:, None]).astype(np.float32)
    return GOLDEN["uvw"].astype(float), weight, GOLDEN["freq"]


@pytest.mark.parametrize("case", CASES)
def test_sums_and_psf_are_tcleans(case):
    number = list(GOLDEN["case"]).index(case)
    parameters, expected = PARAMETERS[number], GOLDEN["sumwt"][number]
    uvw, weight, freq = golden_samples()
    cube = parameters.get("specmode") == "cube"
    per_channel = cube and parameters["perchanweightdensity"]
    plane = np.arange(3) if per_channel else np.zeros(3, int)
    made = weigh(scheme_of(parameters), uvw, weight, freq, plane, per_channel=per_channel).astype(float)
    # tclean's sum counts both hands. Its uniform weights of cubes are half of those it gives single images.
    factor = 1 if case == "uniform cube" else 2
    sums = factor * (made.sum(axis=0) if cube else np.array([made.sum()]))
    np.testing.assert_allclose(sums, expected[: len(sums)], rtol=1e-6)

    first = slice(0, 1) if cube else slice(0, 3)
    u, v = (uvw[:, k, None] * freq[first] / SPEED_OF_LIGHT for k in (0, 1))
    east = np.exp(-2j * np.pi * np.outer((60 - np.arange(44, 76)) * CELL, u.ravel()))
    north = np.exp(-2j * np.pi * np.outer((np.arange(44, 76) - 60) * CELL, v.ravel()))
    psf = ((north * made[:, first].ravel()) @ east.T).real / made[:, first].sum()
    # tclean's gridder itself is good to 1e-4.
    np.testing.assert_allclose(psf, GOLDEN["psf"][number], atol=2e-4)


def random_samples(seed=0, rows=300):
    rng = np.random.default_rng(seed)
    uvw, weight = rng.normal(size=(rows, 3)) * 400, rng.uniform(0.1, 2, (rows, 4)).astype(np.float32)
    weight[rng.random(weight.shape) < 0.1] = 0
    return uvw, weight, 1.4e9 + 1e7 * np.arange(4)


@pytest.mark.parametrize("name", ["uniform", "briggs", "superuniform", "briggsabs", "natural", "radial"])
def test_many_parts_are_one_part(name):
    uvw, weight, freq = random_samples()
    plane = np.zeros(4, int)
    whole = weigh(Scheme(name), uvw, weight, freq, plane)
    np.testing.assert_array_equal(weigh(Scheme(name), uvw, weight, freq, plane, parts=7), whole)
    assert ((whole > 0) <= (weight > 0)).all()


@pytest.mark.parametrize("name", ["uniform", "briggs", "superuniform", "briggsabs"])
def test_the_plain_kernel_weighs_the_same(name):
    uvw, weight, freq = random_samples()
    plane = np.array([0, 1, 1, -1])
    fast = weigh(Scheme(name), uvw, weight, freq, plane)
    np.testing.assert_allclose(
        weigh(Scheme(name), uvw, weight, freq, plane, kernel=weighting_reference), fast, rtol=1e-6
    )
    assert (fast[:, 3] == 0).all()


def test_uniform_weights_of_a_cell_add_up_to_half():
    # Every cell also holds the mirrored samples; alone in its cell a sample of uniform weight counts 1.
    uvw = np.array([[800.0, 100, 0], [800.0, 100, 0], [-300, 500, 0]])
    weight = np.array([[1.0], [3], [2]], np.float32)
    made = weigh(Scheme("uniform"), uvw, weight, np.array([1.4e9]), np.zeros(1, int))
    np.testing.assert_allclose(made[:, 0], [0.25, 0.75, 1])


@pytest.mark.parametrize(("robust", "like"), [(-2, "uniform"), (2, "natural")])
def test_briggs_goes_from_uniform_to_natural(robust, like):
    uvw, weight, freq = random_samples()
    plane = np.zeros(4, int)
    made = weigh(Scheme("briggs", robust), uvw, weight, freq, plane).ravel()
    end = weigh(Scheme(like), uvw, weight, freq, plane).ravel()
    use = (made > 0) & (end > 0)
    ratio = (made[use] / made[use].mean()) / (end[use] / end[use].mean())
    assert np.abs(np.log(ratio)).max() < 0.02


def test_samples_outside_the_grid_have_no_weight_but_in_natural():
    uvw, weight, freq = np.array([[3e4, 0, 0], [100.0, 0, 0]]), np.ones((2, 1), np.float32), np.array([1.4e9])
    assert weigh(Scheme("uniform"), uvw, weight, freq, np.zeros(1, int))[:, 0].tolist() == [0, 1]
    assert weigh(Scheme("natural"), uvw, weight, freq, np.zeros(1, int))[:, 0].tolist() == [1, 1]


def test_a_round_taper_makes_the_beam_it_says():
    # Of a filled aperture the taper's transform is a Gaussian of the FWHM asked for: half its height at half of it.
    size = np.radians(30 / 3600)
    u = np.linspace(-3e4, 3e4, 4001)
    taper = Taper.of_image(size, size, 0.3)(u, np.zeros_like(u))
    response = [(taper * np.cos(2 * np.pi * u * x)).sum() / taper.sum() for x in (0, size / 2)]
    assert response == pytest.approx([1, 0.5], abs=1e-6)
    assert Taper.of_uv(1000.0, 1000.0, 0.7)(np.array([600.0]), np.array([800.0])) == pytest.approx(0.5)


def test_an_oblong_taper_acts_along_its_axes():
    angle = np.radians(30)
    taper = Taper.of_uv(2000.0, 500.0, angle)
    along = np.sin(angle), np.cos(angle)
    assert taper(2000 * along[0], 2000 * along[1]) == pytest.approx(0.5)
    assert taper(-500 * along[1], 500 * along[0]) == pytest.approx(0.5)


def test_chunks_cover_the_rows():
    slices = list(row_chunks(1000, 64, 4096))
    assert [s.stop - s.start for s in slices] == [64] * 15 + [40]
    assert list(row_chunks(0, 5)) == []
