"""Jones matrices of gains, rotations and ellipticities for each of a series of stations."""

from __future__ import annotations

from imaging.measurement.expressions import Meq, NodeTags
from imaging.measurement.meow import context
from imaging.measurement.meow.parameters import resolve_parameter


def _series(series):
    return context.get_array().stations() if series is None else series


def _value(jones, quals, value, tags, solvable=True):
    return resolve_parameter(str(quals[-1]), jones(*quals), value, tags, solvable)


def gain_ap_matrix(jones, ampl=1.0, phase=0.0, tags=(), series=None, solvable=True):
    """jones(p) = diag(a_x exp(i phi_x), a_y exp(i phi_y)); parameters are tagged ampl and phase."""
    for p in _series(series):
        terms = []
        for axis in "xy":
            a = _value(jones, (p, f"{axis}a"), ampl, NodeTags(tags) + "ampl", solvable)
            phi = _value(jones, (p, f"{axis}p"), phase, NodeTags(tags) + "phase", solvable)
            terms.append(jones(p, axis) << Meq.Polar(a, phi))
        jones(p) << Meq.Matrix22(terms[0], 0, 0, terms[1])
    return jones


def _angles(jones, p, value, tags, decoupled):
    """One angle for both axes, or one each."""
    if not decoupled:
        node = resolve_parameter("angle", jones("angle", p), value, tags)
        return node, node
    return tuple(resolve_parameter("angle", jones("angle", axis, p), value, tags) for axis in "xy")


def _rotation(jones, value, tags, series, decoupled):
    for p in _series(series):
        x, y = _angles(jones, p, value, NodeTags(tags) + "rotation", decoupled)
        jones(p) << Meq.Matrix22(Meq.Cos(x), -Meq.Sin(x), Meq.Sin(y), Meq.Cos(y))
    return jones


def _ellipticity(jones, value, tags, series, decoupled):
    for p in _series(series):
        x, y = _angles(jones, p, value, NodeTags(tags) + "ellipticity", decoupled)
        jones(p) << Meq.Matrix22(
            Meq.Cos(x), Meq.ToComplex(0, Meq.Sin(x)), Meq.ToComplex(0, Meq.Sin(y)), Meq.Cos(y)
        )  # fmt: skip
    return jones


def rotation_matrix(jones, rot=0.0, tags=(), series=None):
    """jones(p) = [[cos, -sin], [sin, cos]] of one angle."""
    return _rotation(jones, rot, tags, series, False)


def decoupled_rotation_matrix(jones, rot=0.0, tags=(), series=None):
    """As `rotation_matrix`, with an angle for each row."""
    return _rotation(jones, rot, tags, series, True)


def ellipticity_matrix(jones, ell=0.0, tags=(), series=None):
    """jones(p) = [[cos, i sin], [i sin, cos]] of one angle."""
    return _ellipticity(jones, ell, tags, series, False)


def decoupled_ellipticity_matrix(jones, ell=0.0, tags=(), series=None):
    """As `ellipticity_matrix`, with an angle for each row."""
    return _ellipticity(jones, ell, tags, series, True)


def define_rotation_matrix(angle):
    """[[cos, -sin], [sin, cos]], to be bound to a node."""
    return Meq.Matrix22(Meq.Cos(angle), -Meq.Sin(angle), Meq.Sin(angle), Meq.Cos(angle))


def apply_corruption(vis, vis0, jones, extra_term=None, ifrs=None):
    """vis(p, q) = J(p) vis0(p, q) J(q)^H, for one Jones or a list of them, the outermost first."""
    terms = list(jones) if isinstance(jones, (list, tuple)) else [jones]
    for p, q in ifrs or context.get_array().ifrs():
        left, right = [term(p) for term in terms], [Meq.ConjTranspose(term(q)) for term in reversed(terms)]
        middle = [] if extra_term is None else [extra_term(p, q)]
        vis(p, q) << Meq.MatrixMultiply(*left, *middle, vis0(p, q), *right)
    return vis


def apply_correction(vis, vis0, jones, ifrs=None):
    """vis(p, q) = J(p)^-1 vis0(p, q) J(q)^-H."""
    terms = list(jones) if isinstance(jones, (list, tuple)) else [jones]

    def inverse(term, p):
        return term(p)("inv") ** Meq.MatrixInvert22(term(p))

    for p, q in ifrs or context.get_array().ifrs():
        left = [inverse(term, p) for term in reversed(terms)]
        vis(p, q) << Meq.MatrixMultiply(*left, vis0(p, q), *(Meq.ConjTranspose(inverse(term, q)) for term in terms))
    return vis
