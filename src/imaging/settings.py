"""What a stage gets to know of the configuration."""

from __future__ import annotations

from types import SimpleNamespace


class Settings(SimpleNamespace):
    """Plain SI values by attribute, as a stage reads them: `settings.clean.gain`.

    Holds only what `config_reads.READS` lists for the stage; anything else is an AttributeError. No import of the
    configuration's machinery, which would cost every job a fifth of a second.
    """

    @classmethod
    def of(cls, values: dict) -> Settings:
        return cls(**{key: cls.of(value) if isinstance(value, dict) else value for key, value in values.items()})
