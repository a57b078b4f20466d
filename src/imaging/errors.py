"""What a person sees when something is wrong: one message of four parts, never a traceback."""


class ImagingError(Exception):
    """A mistake in the input or the configuration that the user can mend.

    Parameters
    ----------
    what : one sentence naming the thing that is wrong.
    got, expected : the value that was found, and what would have been right.
    next_step : what to do about it.
    """

    def __init__(self, what: str, *, got: object = None, expected: object = None, next_step: str = ""):
        self.what, self.got, self.expected, self.next_step = what, got, expected, next_step
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.what]
        if self.got is not None:
            parts.append(f"  got:       {self.got}")
        if self.expected is not None:
            parts.append(f"  expected:  {self.expected}")
        if self.next_step:
            parts.append(f"  next step: {self.next_step}")
        return "\n".join(parts)

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.got, self.expected, self.next_step)


class LifecycleError(ImagingError, RuntimeError):
    """A verb of the API out of its order."""


class KeywordError(ImagingError, TypeError):
    """A keyword that a function or class of the API does not have."""


def _rebuild(cls, what, got, expected, next_step):
    return cls(what, got=got, expected=expected, next_step=next_step)
