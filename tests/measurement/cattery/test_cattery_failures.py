"""Modules of the Cattery that are broken upstream, or ask for what is not here: the message names the cause."""

import pytest

from imaging.measurement.expressions import Meq, evaluate
from imaging.measurement.expressions.errors import ExpressionError, UndefinedNodeError, UnknownNodeTypeError

pytestmark = pytest.mark.filterwarnings("ignore")
BROKEN = {
    "rotation, circular, fixed": ("Siamese.OMS.rotation:Rotation", {"feed_angle": "30"}, NameError, "cmath"),
    "sky, full": ("Calico.OMS.solvable_sky_jones:FullRealImag", {}, TypeError, "NoneType"),
    "sky, compound beams": ("Siamese.OMS.compound_beams", {}, NameError, "read_offsets_file"),
    "sky, compound EMSS beams": ("Siamese.OMS.emss_beams.compound_beams", {}, NameError, "read_offsets_file"),
    "sky, Faraday rotation of ALBUS": ("Siamese.AGW.iono_angle", {}, ExpressionError, "PYRMAngle"),
}
ABSENT = {
    "beams of FITS files, resampled": ("Siamese.OMS.fits_beams0", "Resampler"),
    "beams of LOFAR": ("Siamese.SBY.lofar_beams", "PrivateFunction"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_upstream_names_its_cause(dialect, case, tile):
    field = dialect.field(circular="circular" in case)
    name, settings, error, cause = BROKEN[case]
    sources = field.sources if case.startswith("sky") else None

    def value():
        jones = dialect.compute(field, name, settings, sources=sources)
        return evaluate(jones("a", "0"), tile())

    with pytest.raises(error, match=cause):
        value()


def test_a_cos3_beam_with_pointing_errors_has_an_undefined_node(dialect, tile):
    field = dialect.field()
    for p in field.stations:
        field.ns.dlm(p) << Meq.Composer(1e-4, 2e-4)
    settings = {"model_type": "use_wsrt_cos3"}
    more = {"sources": field.sources, "pointing_offsets": field.ns.dlm}
    jones = dialect.compute(field, "Siamese.OMS.analytic_beams", settings, **more)
    with pytest.raises(UndefinedNodeError, match="dlm_0"):
        evaluate(jones("b", "2"), tile())


def test_a_scale_for_each_station_uses_a_name_that_is_not_there(dialect):
    field = dialect.field()
    module, _ = dialect.module("Calico.OMS.wsrt_cos3_beam")
    beam = module.WSRTCos3Beam("E", solvable=True)
    beam.solve_scale = module.PER_STATION
    with pytest.raises(NameError, match="beamshape"):
        beam.compute_jones(field.ns.E, field.sources, field.stations)


@pytest.mark.parametrize("case", ABSENT)
def test_a_class_of_nodes_that_is_not_there_is_named(dialect, case, tile):
    field = dialect.field()
    name, missing = ABSENT[case]
    jones = dialect.compute(field, name, {}, sources=field.sources)
    with pytest.raises(UnknownNodeTypeError, match=rf"class {missing}, which is not known"):
        evaluate(jones("a", "0"), tile())
