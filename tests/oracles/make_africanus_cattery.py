"""Record what codex-africanus 0.4.5 predicts for modules of the Cattery: python make_africanus_cattery.py.

Writes africanus_cattery.npz: V = G P D (sum E N K B K^H N^H E^H) D^H P^H G^H, and rotations of feeds. N is the w-term
of stations undone, E the cos^3 beam of WSRT, D a leakage, P a fixed rotation of feeds, G a list of gains.
"""

from pathlib import Path

import numpy as np
from africanus.model.spectral import spectral_model
from africanus.rime import feed_rotation, phase_delay, predict_vis

STATIONS, TIMES = 4, 3
LIGHT = 299792458.0


def main():
    rng = np.random.default_rng(3)
    p, q = (np.tile(index, TIMES) for index in np.triu_indices(STATIONS, 1))
    time = np.repeat(np.arange(TIMES), STATIONS * (STATIONS - 1) // 2)
    place = rng.uniform(-2000, 2000, (TIMES, STATIONS, 3))
    place -= place[:, :1]
    uvw, freq = place[time, q] - place[time, p], np.array([1.0e9, 1.1e9])
    lm = np.array([(0.004, -0.003), (-0.002, 0.005), (0.003, 0.002)])
    stokes = rng.uniform(0.1, 0.3, (3, 4)) + [2, 0, 0, 0]
    spi = np.array([-0.7, 0.0, 0.4])
    i, q4, u, v = (
        spectral_model(stokes[:, k : k + 1], spi[:, None, None], np.full(3, 1e9), freq)[..., 0] for k in range(4)
    )
    light = np.stack([np.stack([i + q4, u + 1j * v], -1), np.stack([u - 1j * v, i - q4], -1)], -2)

    n1 = np.sqrt(1 - (lm**2).sum(1)) - 1
    undone = np.exp(2j * np.pi / LIGHT * n1[:, None, None, None] * place[..., 2][None, ..., None] * freq)
    angle = 65e-9 * freq * np.hypot(*lm.T)[:, None]
    beam = np.where(angle > np.arccos(np.cbrt(0.1)), 0.1, np.cos(angle) ** 3)
    sky = (undone * beam[:, None, None])[..., None, None] * np.eye(2)

    feeds = np.deg2rad([10.0, 20.0, 30.0, 90.0])
    rotation = feed_rotation(feeds, "linear")
    leakage = np.array([[1, 0.04], [-0.04, 1]])
    gains = np.array([0.9, 0.8] + [0.7] * 6).reshape(4, 2) * np.exp(
        1j * np.deg2rad(np.array([0.9, 0.8] + [0.7] * 6).reshape(4, 2))
    )
    uv = gains[:, :, None] * (rotation @ leakage)
    uv = np.broadcast_to(uv[None, :, None], (TIMES, STATIONS, 2, 2, 2)).copy()
    sky = np.ascontiguousarray(sky, complex)
    coherency = phase_delay(lm, uvw, freq, convention="casa")[..., None, None] * light[:, None]
    vis = predict_vis(time, p, q, dde1_jones=sky, source_coh=coherency, dde2_jones=sky, die1_jones=uv, die2_jones=uv)
    angles = rng.uniform(-3, 3, 4)
    np.savez_compressed(
        Path(__file__).with_name("africanus_cattery.npz"), p=p, q=q, time=time, place=place, freq=freq, lm=lm,
        stokes=stokes, spi=spi, vis=vis, angles=angles, linear=feed_rotation(angles, "linear"),
        circular=feed_rotation(angles, "circular"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
