"""For whom the present request is worked on: read far below the route, where a call goes on in their name.

Set by the door for as long as a request is handled; what runs in the background works for nobody.
"""

import contextvars
from typing import Final

from shared.identity.caller import Caller

_caller: contextvars.ContextVar[Caller | None] = contextvars.ContextVar("acting_for", default=None)


# The two halves of `acting_for`, for the door: every request of every service passes there, and these are written in C.
act_for: Final = _caller.set
act_no_more: Final = _caller.reset


class acting_for:  # noqa: N801 - read as a verb
    """What the block does is for `caller`; None is nobody."""

    __slots__ = ("_caller", "_token")

    def __init__(self, caller: Caller | None) -> None:
        self._caller = caller

    def __enter__(self) -> None:
        self._token = _caller.set(self._caller)

    def __exit__(self, *_: object) -> None:
        _caller.reset(self._token)


def acted_for() -> Caller | None:
    """Whom the present work is for, None when it is for nobody."""
    return _caller.get()
