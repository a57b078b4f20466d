"""What can be wrong with a forest of expressions: each error names the node and where it was written."""

from imaging.errors import ImagingError


class ExpressionError(ImagingError):
    """A node that cannot be built or evaluated."""


class NodeRedefinedError(ExpressionError):
    """A second, different definition of a node."""


class UndefinedNodeError(ExpressionError):
    """A node that is used and was never bound."""


class UnknownNodeTypeError(ExpressionError):
    """A node class this package has no evaluator for."""


class DivisionByZeroError(ExpressionError, ZeroDivisionError):
    """A node that divides by zero (or takes the logarithm of it)."""


class OptionError(ImagingError):
    """A module option that does not exist or has a wrong value."""
