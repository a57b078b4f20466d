"""Measurement equations written as expressions of named nodes: names, options and values.

ns = NodeScope()
ns.phase << 0.3 * Meq.Sin(Meq.Time() / 600)
ns.G("a") << Meq.Polar(1, ns.phase)
evaluate(ns.G("a"), Tile(time, frequency))        # (T, 1) complex
"""

from imaging.measurement.expressions.definitions import Meq, NodeTags, record
from imaging.measurement.expressions.evaluation import Evaluator, Tile, evaluate
from imaging.measurement.expressions.nodes import Node, NodeScope, is_node

__all__ = ["Evaluator", "Meq", "Node", "NodeScope", "NodeTags", "Tile", "evaluate", "is_node", "record"]
