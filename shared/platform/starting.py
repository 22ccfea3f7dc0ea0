"""A start that fails is one readable line and an exit code, not a traceback."""

import errno
import os
import re
import socket
import sys
from collections.abc import Awaitable, Iterator
from typing import Final, NoReturn

from pydantic import ValidationError
from pydantic_settings import SettingsError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import Unavailable
from shared.settings import CannotStart

SETTINGS_ARE_WRONG: Final = os.EX_CONFIG
STORE_IS_AWAY: Final = os.EX_TEMPFAIL


class Starting:
    """`app`, which keeps why its lifespan could not be entered, where that needs no traceback to be understood."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: CannotStart | Unavailable | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self._lifespan(scope, receive, send)
        return self._app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_briefly(message: Message) -> None:
            failure = sys.exception()
            if message["type"] == "lifespan.startup.failed" and isinstance(failure, CannotStart | Unavailable):
                self.failure = failure
                message = {**message, "message": ""}  # else the whole traceback
            await send(message)

        await self._app(scope, receive, send_briefly)


def end(failure: CannotStart | Unavailable) -> NoReturn:
    """End the process with one line: 78 for a setting, 75 for a store that is away and may come back."""
    if isinstance(failure, CannotStart):
        sys.stderr.write(f"cannot start: {failure}\n")
        sys.exit(SETTINGS_ARE_WRONG)
    sys.stderr.write(f"cannot start now: {failure.detail}\n")
    sys.exit(STORE_IS_AWAY)


def claimed(host: str, port: int) -> socket.socket:
    """The address, ours before anything is opened: nobody is registered, or migrated, for a process that cannot serve.

    Not listening yet, so callers are refused until the service is there. Raises CannotStart.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise CannotStart("HOST", f"is no address of this machine: {error.strerror}") from error
    claim = socket.socket(family, kind, protocol)
    try:
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        claim.bind(address)
    except OSError as error:
        claim.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotStart("PORT", f"{port} is taken by another program") from error
        raise CannotStart("HOST", f"{host}:{port} cannot be listened on: {error.strerror}") from error
    return claim


def refusals(error: ValidationError | SettingsError) -> Iterator[str]:
    """What is wrong with which variable. No text of a value is in it, since the value may be a secret."""
    if isinstance(error, SettingsError):
        unreadable = re.search(r'field "(\w+)"', str(error))
        yield f"{unreadable[1].upper()}: is no valid JSON" if unreadable else str(error)
        return
    for problem in error.errors(include_url=False, include_context=True, include_input=False):
        variable, *inside = problem["loc"] or ("settings",)
        place = ": ".join([str(variable).upper(), *map(str, inside)])
        yield f"{place}: {_reason(problem['type'], problem['msg'], problem.get('ctx', {}))}"


def _reason(kind: str, message: str, context: dict[str, object]) -> str:
    match kind:
        case "missing":
            return "is required"
        case "too_short" | "string_too_short":
            return f"is shorter than {context['min_length']} characters"
        case "value_error":
            return message.removeprefix("Value error, ")
        case _:
            return message
