"""What a part of the settings is."""

from typing import ClassVar


class Part:
    """Settings that belong together; a field's name is an environment variable, lower case, unique among all parts.

    A plain class, which only becomes a model as one of the bases of ``Settings``: a model for each part would double
    what it costs every command to import them. Pydantic therefore sees the fields and their ``Annotated`` validators,
    but no decorators such as ``field_validator``.
    """

    title: ClassVar[str]
    """What heads the part's page and its lines in the example file."""
