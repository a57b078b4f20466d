"""The observation that modules are to make nodes for: one at a time, set before a module computes."""

from __future__ import annotations

from imaging.errors import ImagingError
from imaging.measurement.meow.records import MSSelector

array = observation = vdm = None
mssel = MSSelector()
correlations = active_correlations = ("XX", "XY", "YX", "YY")


def set(array=None, observation=None):
    """What follows is for this IfrArray and this Observation; None leaves what is there."""
    names = globals()
    if array is not None:
        names["array"] = array
    if observation is not None:
        names["observation"] = observation
        letters = "RL" if observation.circular() else "XY"
        names["correlations"] = names["active_correlations"] = tuple(a + b for a in letters for b in letters)


def clear():
    """Forget the array and the observation."""
    globals().update(array=None, observation=None)


def get_array(given=None):
    """An array: the one given, or the one that was set."""
    return _known(given or array, "array")


def get_observation(given=None):
    return _known(given or observation, "observation")


def get_dir0(given=None):
    """A direction: the one given, or the phase centre."""
    return given or get_observation().phase_centre


def _known(thing, what):
    if thing is None:
        raise ImagingError(f"The context has no {what}.", next_step="Call Meow.Context.set(array, observation) first.")
    return thing
