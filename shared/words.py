"""Words of the API: each is written as the API writes it wherever a text shows it."""

from enum import StrEnum


class Word(StrEnum):
    """The base of every enumeration that a caller meets.

    An error that quotes a member (`{engine!r}`, or what Pydantic says was expected) shows `'qdrant'`, as in a body, and
    not `<EngineName.QDRANT: 'qdrant'>`.
    """

    __repr__ = str.__repr__
