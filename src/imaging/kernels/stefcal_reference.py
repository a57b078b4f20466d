"""StefCal in plain numpy, after Salvini and Wijnholds (2014, A&A 571, A97): what `stefcal` computes."""

import numpy as np


def gains(vis, model, weight, phase_only=False, tolerance=1e-10, most=1000):
    """g (station,) of vis = g model g^H, all (station, station, sample) Hermitian; algorithm 1, equation 11."""
    g = np.ones(len(vis), complex)
    for iteration in range(1, most + 1):
        old, z = g, np.einsum("q,pqs->pqs", g.conj(), model)  # z of station p: what V would be for g_p = 1
        top, bottom = (weight * vis * z.conj()).sum((1, 2)), (weight * abs(z) ** 2).sum((1, 2))
        g = top / (abs(top) if phase_only else bottom)
        if iteration % 2 == 0:
            if np.linalg.norm(g - old) <= tolerance * np.linalg.norm(g):
                return g, iteration
            g = (g + old) / 2
            g = g / abs(g) if phase_only else g
    return g, -most


def jones(vis, model, weight, tolerance=1e-10, most=1000):
    """J (station, 2, 2) of vis = J model J^H, (station, station, sample, 2, 2), weight (station, station, sample)."""
    j = np.tile(np.eye(2, dtype=complex), (len(vis), 1, 1))
    for iteration in range(1, most + 1):
        old, z = j, np.einsum("pqsab,qcb->pqsac", model, j.conj())
        top = np.einsum("pqs,pqsab,pqscb->pac", weight, vis, z.conj())
        j = top @ np.linalg.inv(np.einsum("pqs,pqsab,pqscb->pac", weight, z, z.conj()))
        if iteration % 2 == 0:
            if np.linalg.norm(j - old) <= tolerance * np.linalg.norm(j):
                return j, iteration
            j = (j + old) / 2
    return j, -most
