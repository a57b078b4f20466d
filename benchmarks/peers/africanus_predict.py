"""codex-africanus on one problem: PYTHON africanus_predict.py PROBLEM.npz, which answers the names of ways on stdin.

Ways: predict_vis, which is phase_delay, its product with the brightness and predict_vis, of all sources; chunks, the
same 50 sources at a time, so that the product takes a few hundred MB; fused, the experimental fused RIME with a term
that reads the given matrices. Each line "way path" is answered with a line of JSON, the seconds that it took; with a
path the visibilities are saved.
"""

import json
import sys
import time

import africanus
import numba
import numpy as np
from africanus.experimental.rime.fused.core import RimeFactory
from africanus.experimental.rime.fused.specification import RimeSpecification
from africanus.experimental.rime.fused.terms.core import Term
from africanus.rime import phase_delay, predict_vis


class Given(Term):
    """E as an array (source, time, station, chan, correlation)."""

    def __init__(self, configuration):
        super().__init__(configuration)

    def init_fields(self, typingctx, init_state, dde):
        def nothing(init_state, dde):
            pass

        return [], nothing

    def dask_schema(self, dde):
        return {}

    def sampler(self):
        left = self.configuration == "left"

        def sample(state, s, r, t, f1, f2, a1, a2, c):
            a = a1 if left else a2
            return (
                state.dde[s, t, a, c, 0],
                state.dde[s, t, a, c, 1],
                state.dde[s, t, a, c, 2],
                state.dde[s, t, a, c, 3],
            )

        return sample


def by_predict_vis(x, at_once=None):
    vis, at_once = None, at_once or len(x["lm"])
    for start in range(0, len(x["lm"]), at_once):
        some = slice(start, start + at_once)
        fringe = phase_delay(x["lm"][some], x["uvw"], x["freq"], convention="casa")
        coherency = fringe[..., None, None] * x["brightness"][some, None, None]
        vis = predict_vis(x["time"], x["p"], x["q"], dde1_jones=x["jones"][some], source_coh=coherency,
                          dde2_jones=x["jones"][some], base_vis=vis)  # fmt: skip
    return vis


def chunks(x):
    return by_predict_vis(x, 50)


FUSED = None


def fused(x):
    global FUSED
    if FUSED is None:
        FUSED = RimeFactory(rime_spec=RimeSpecification(
            "(Ep, Kpq, Bpq, Eq): [I,Q,U,V] -> [XX,XY,YX,YY]", terms={"E": Given}))  # fmt: skip
    zero = np.zeros(len(x["time"]), np.int64)
    vis = FUSED(
        x["time"], x["p"], x["q"], zero, zero, lm=x["lm"], uvw=x["uvw"], chan_freq=x["freq"], stokes=x["stokes"],
        spi=np.zeros((len(x["lm"]), 1, 4)), ref_freq=np.full(len(x["lm"]), x["freq"][0]), convention="casa",
        dde=x["jones"].reshape(*x["jones"].shape[:4], 4),
    )  # fmt: skip
    return vis.reshape(*vis.shape[:2], 2, 2)


def main():
    x = dict(np.load(sys.argv[1]))
    print(
        json.dumps({"africanus": africanus.__version__, "numba": numba.__version__, "numpy": np.__version__}),
        flush=True,
    )
    for line in sys.stdin:
        way, *path = line.split()
        started, cpu = time.perf_counter(), time.process_time()
        vis = {"predict_vis": by_predict_vis, "chunks": chunks, "fused": fused}[way](x)
        seconds = {"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        if path:
            np.save(path[0], vis)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
