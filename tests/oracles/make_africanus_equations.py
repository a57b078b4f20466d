"""Record what codex-africanus 0.4.5 predicts with effects of closed form: python make_africanus_equations.py.

Writes africanus_equations.npz. Z: a dispersive screen over the stations. L: feeds that turn. E: a cos^3 beam with
pointing errors, by station and time. D: leakage. G: gains that vary. The sky is polarised, with spectral indices.
The chains are G E L Z and G D E L Z (Z is nearest the sky), of linear and of circular feeds; K by `phase_delay`,
L by `feed_rotation`, brightness by `spectral_model` and `convert`, the sum by `predict_vis`.
Also africanus_beam.npz: `beam_cube_dde` of a cube whose elements have a phase each (their own rule for phases between
points has no part in it), with pointing errors, turned by angles.
"""

from pathlib import Path

import numpy as np
from africanus.model.coherency import convert
from africanus.model.spectral import spectral_model
from africanus.rime import beam_cube_dde, feed_rotation, phase_delay, predict_vis

SOURCES, STATIONS, TIMES, CHANNELS = 6, 5, 4, 5
CORRELATIONS = {"linear": [["XX", "XY"], ["YX", "YY"]], "circular": [["RR", "RL"], ["LR", "LL"]]}


def main():
    rng = np.random.default_rng(2)
    p, q = (np.tile(index, TIMES) for index in np.triu_indices(STATIONS, 1))
    index = np.repeat(np.arange(TIMES), STATIONS * (STATIONS - 1) // 2)
    place = rng.uniform(-300, 300, (TIMES, STATIONS, 3))
    given = {
        "p": p, "q": q, "time": 5e9 + 600.0 * index, "uvw": place[index, p] - place[index, q],
        "freq": np.array([0.9e9, 1.0e9, 1.15e9, 1.3e9, 1.4e9]), "lm": rng.uniform(-0.01, 0.01, (SOURCES, 2)),
        "stokes": rng.uniform(0.2, 1, (SOURCES, 4)) * [1, 0.3, -0.3, 0.2], "index": rng.uniform(-1.5, 1, SOURCES),
        "reffreq": np.full(SOURCES, 1.1e9), "tec": rng.normal(0, 0.05, (SOURCES, TIMES, STATIONS)),
        "angle": rng.uniform(-3, 3, (TIMES, STATIONS)), "pointing": rng.normal(0, 1e-3, (TIMES, STATIONS, 2)),
        "beam": 65e-9, "leakage": rng.normal(0, 0.05, (STATIONS, 2)) @ [1, 1j],
        "amplitude": rng.uniform(0.8, 1.2, (TIMES, STATIONS, 2)), "phase": rng.uniform(-1, 1, (TIMES, STATIONS, 2)),
        "delay": rng.normal(0, 1e-9, (STATIONS, 2)),
    }  # fmt: skip
    freq, lm = given["freq"], given["lm"]
    z = np.exp(-1j * 8.44797245e9 * given["tec"][..., None] / freq)
    dlm = lm[:, None, None] - given["pointing"]
    e = np.cos(given["beam"] * freq * np.hypot(dlm[..., 0], dlm[..., 1])[..., None]) ** 3
    d = np.ones((STATIONS, 2, 2), complex)
    d[:, 0, 1], d[:, 1, 0] = given["leakage"], -given["leakage"]
    turn = given["phase"][:, :, None] + 2 * np.pi * given["delay"][:, None] * (freq[:, None] - 1.1e9)
    g = given["amplitude"][:, :, None] * np.exp(1j * turn)
    g = g[..., None] * np.eye(2)
    spectrum = spectral_model(given["stokes"], np.repeat(given["index"][:, None, None], 4, 2), given["reffreq"], freq)
    fringe = phase_delay(lm, given["uvw"], freq, convention="casa")
    recorded = dict(given)
    for feeds, names in CORRELATIONS.items():
        light = convert(spectrum, ["I", "Q", "U", "V"], names).astype(complex)
        turned = feed_rotation(given["angle"], feeds).astype(complex)
        sky = (z * e)[..., None, None] * turned[None, :, :, None]
        coherency = fringe[..., None, None] * light[:, None]
        for name, die in (("ZLEG", g), ("ZLEDG", g @ d[None, :, None])):
            recorded[f"{name}_{feeds}"] = predict_vis(
                index, p, q, dde1_jones=sky, source_coh=coherency, dde2_jones=sky, die1_jones=die, die2_jones=die
            )
    np.savez_compressed(Path(__file__).with_name("africanus_equations.npz"), **recorded)


def beam():
    rng = np.random.default_rng(3)
    pixels, freq = 9, np.array([1.0e9, 1.1e9, 1.2e9, 1.3e9])
    extent = np.radians(0.25) * (pixels // 2)
    cube = rng.uniform(0.2, 1, (pixels, pixels, len(freq), 2, 2)) * np.exp(1j * rng.uniform(-3, 3, (2, 2)))
    given = {
        "cube": cube, "cube_freq": freq, "step": 0.25, "lm": rng.uniform(-0.01, 0.01, (7, 2)),
        "angle": rng.uniform(-3, 3, (TIMES, STATIONS)), "pointing": rng.normal(0, 1e-3, (TIMES, STATIONS, 2)),
        "freq": np.array([1.0e9, 1.03e9, 1.17e9, 1.25e9, 1.3e9]),
    }  # fmt: skip
    offsets = np.repeat(-given["pointing"][:, :, None], len(given["freq"]), 2)
    found = beam_cube_dde(
        cube, np.array([[-extent, extent]] * 2), freq, given["lm"], given["angle"], offsets,
        np.ones((STATIONS, len(given["freq"]), 2)), given["freq"],
    )  # fmt: skip
    np.savez_compressed(Path(__file__).with_name("africanus_beam.npz"), **given, beam=found)


if __name__ == "__main__":
    main()
    beam()
