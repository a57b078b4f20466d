import sys
import textwrap
import types

import numpy as np
import pytest

from imaging.errors import ImagingError
from imaging.measurement import compat
from imaging.measurement.expressions import Meq, NodeScope, Tile, evaluate
from imaging.measurement.expressions.errors import ExpressionError

TILE = Tile(np.arange(3) * 60.0, np.array([1.0e9, 1.1e9]))


@pytest.fixture
def timba():
    compat.install()
    yield
    compat.uninstall()


def test_nothing_is_installed_by_an_import():
    assert "Timba" not in sys.modules


def test_a_module_written_for_meqtrees(timba):
    module = types.ModuleType("user_module")
    source = """
    from Timba.TDL import *
    import math
    from Timba.Meq import meq
    from Timba import pynode
    import Timba.array, Timba.utils, Kittens.utils
    TDLCompileOption('depth', 'depth', [.1], more=float)
    def compute_jones(Jones, stations=None, tags=None, inspectors=[], **kw):
        for p in stations:
            ns = Jones(p).Subscope()
            ns.ph << Meq.Parm(depth, tags=NodeTags(tags) + 'solvable') * Meq.Sin(Meq.Time()*(2*math.pi/3600))
            Jones(p) << Meq.Matrix22(Meq.Polar(1, ns.ph), 0, 0, 1)
        inspectors.append(Jones.Subscope().inspector << Meq.Composer(dims=[0], *[Jones(p) for p in stations]))
        return Jones
    """
    exec(textwrap.dedent(source), module.__dict__)
    ns, inspectors = NodeScope(), []
    jones = module.compute_jones(ns.G, stations=["a", "b"], tags="G", inspectors=inspectors)
    value, seen = evaluate([jones("b"), inspectors[0]], TILE)
    np.testing.assert_allclose(value[0, 0, :, 0], np.exp(0.1j * np.sin(TILE.time * 2 * np.pi / 3600)))
    assert seen.shape == (8, 3, 1)
    assert len(ns.Search(tags="G solvable")) == 1  # both stations' parameter has no name of its own: it is one
    assert module.re.escape("a.") == r"a\."


def test_another_timba_is_left_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "Timba", types.ModuleType("Timba"))
    with pytest.raises(ImagingError, match="Another Timba"):
        compat.install()


def test_a_class_computes_a_node(tmp_path, timba):
    path = tmp_path / "beam_nodes.py"
    path.write_text(
        textwrap.dedent(
            """
            from Timba.Meq import meq
            from Timba import pynode
            class Doubler(pynode.PyNode):
                def update_state(self, mystate):
                    mystate('factor', 2.0)
                def get_result(self, request, child):
                    time, freq = request.cells.grid.time, request.cells.grid.freq
                    value = meq.vells(meq.shape(request.cells))
                    value[...] = self.factor * child.vellsets[0].value.reshape(-1, 1)
                    return meq.result(meq.vellset(value), request.cells)
            class Broken(pynode.PyNode):
                def get_result(self, request, *children):
                    raise ValueError('no beam file')
            """
        )
    )
    ns = NodeScope()
    ns.double << Meq.PyNode(Meq.Time(), class_name="Doubler", module_name=str(path), factor=3.0)
    ns.broken << Meq.PyNode(class_name="Broken", module_name=str(path))
    ns.absent << Meq.PyNode(class_name="Absent", module_name=str(path))
    np.testing.assert_array_equal(evaluate(ns.double, TILE), 3 * TILE.time[:, None] * np.ones(2))
    with pytest.raises(ExpressionError, match=r"(?s)broken.*ValueError: no beam file"):
        evaluate(ns.broken, TILE)
    with pytest.raises(ExpressionError, match=r"(?s)class of the node absent.*Absent"):
        evaluate(ns.absent, TILE)
