"""Record what codex-africanus 0.4.5 predicts: python make_africanus_goldens.py (writes africanus_chains.npz).

Chains of Jones terms between given matrices, with K by `phase_delay` (sign "casa"), and Gaussians by
`wsclean_predict`. Inputs are recorded beside the visibilities.
"""

from pathlib import Path

import numpy as np
from africanus.rime import feed_rotation, phase_delay, predict_vis, wsclean_predict

SOURCES, STATIONS, TIMES, CHANNELS = 4, 4, 2, 3


def main():
    rng = np.random.default_rng(1)
    p, q = (np.tile(index, TIMES) for index in np.triu_indices(STATIONS, 1))
    time = np.repeat(np.arange(TIMES), STATIONS * (STATIONS - 1) // 2)
    place = rng.uniform(-500, 500, (TIMES, STATIONS, 3))
    uvw, freq = place[time, p] - place[time, q], np.array([1.3e9, 1.4e9, 1.5e9])
    lm = rng.uniform(-0.02, 0.02, (SOURCES, 2))
    i, q4, u, v = rng.uniform(0.2, 1, (4, SOURCES, CHANNELS)) * np.array([1, 0.3, 0.3, 0.3])[:, None, None]
    light = np.stack([np.stack([i + q4, u + 1j * v], -1), np.stack([u - 1j * v, i - q4], -1)], -2)

    def matrices(*shape):
        return rng.normal(size=(*shape, 2, 2)) + 1j * rng.normal(size=(*shape, 2, 2))

    sky, uv = matrices(SOURCES, TIMES, STATIONS, CHANNELS), matrices(TIMES, STATIONS, CHANNELS)
    fringe = phase_delay(lm, uvw, freq, convention="casa")
    coherency = fringe[..., None, None] * light[:, None]
    chain = predict_vis(time, p, q, dde1_jones=sky, source_coh=coherency, dde2_jones=sky, die1_jones=uv, die2_jones=uv)
    angle = rng.uniform(-3, 3, 5)
    gaussians = np.array([[3e-4, 1e-4, 0.3], [2e-4, 2e-4, 0.0], [5e-4, 3e-4, -1.0], [0, 0, 0]])  # FWHM, FWHM, PA
    kinds = np.array(["GAUSSIAN", "GAUSSIAN", "GAUSSIAN", "POINT"])
    extended = wsclean_predict(
        uvw, lm, kinds, i[:, 0].copy(), np.zeros((SOURCES, 1)), np.zeros(SOURCES, bool), np.full(SOURCES, 1.4e9),
        gaussians, freq,
    )  # fmt: skip
    np.savez_compressed(
        Path(__file__).with_name("africanus_chains.npz"), p=p, q=q, time=time, place=place, uvw=uvw, freq=freq, lm=lm,
        light=light, sky=sky, uv=uv, chain=chain, angle=angle, linear=feed_rotation(angle, "linear"),
        circular=feed_rotation(angle, "circular"), gaussians=gaussians, flux=i[:, 0], extended=extended[..., 0],
    )  # fmt: skip


if __name__ == "__main__":
    main()
