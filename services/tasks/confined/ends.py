"""How the work of a confined program ends where it does not succeed. Light: the program is started for each work."""

from typing import ClassVar

from shared.words import Word


class End(Word):
    """By what it was ended."""

    MEMORY = "memory"
    TIME = "time"
    SIZE = "size"
    """Of what it wrote, or said."""
    FULL = "full"
    """The disk, which says nothing of the work."""
    KILLED = "killed"
    """By another, as where memory is short: likewise."""
    CRASH = "crash"


class Refused(Exception):
    """Why what was given is not taken: it says the same however often it is tried. Each reason is a class with a code;
    `detail` says what is wrong with this one, or what the class means."""

    code: ClassVar[str]
    meaning: ClassVar[str]

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail or self.meaning
