"""The route classes of creating POSTs, which honour `Idempotency-Key`."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Header, Request, Response
from pydantic import Field, TypeAdapter, ValidationError

from shared.door.demand import caller_of
from shared.door.idempotency import Idempotency
from shared.door.once import Once, is_asked_for, keyed, keyed_unread, tell_repetition
from shared.door.route import GuardedRoute, Handler

_BOUNDS: Final[dict[str, Any]] = {"min_length": 1, "max_length": 255, "pattern": r"^[\x21-\x7e]+$"}
_KEY = TypeAdapter(Annotated[str, Field(**_BOUNDS)])
_DECLARED = inspect.Parameter(
    "idempotency_key",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="repeat the request with the same key and get the first answer again, for 24 hours",
            **_BOUNDS,
        ),
    ],
)


class IdempotentRoute(GuardedRoute):
    """The route class of creating POSTs: `APIRouter(route_class=IdempotentRoute)`.

    It declares the header for its endpoint, which does not see it: it is documented, and one that is out of bounds is
    refused like any other input. The endpoint asks for `Keyed` and has the key stored with its effect, in a store that
    keeps two at once apart; a repetition is answered what was made, as it is now.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Raises TypeError for anything but a POST, and for an endpoint that does not ask for the key."""
        if set(options.get("methods") or ()) != {"POST"}:
            raise TypeError(f"{endpoint!r} is no POST")
        super().__init__(path, endpoint, **options)

    def seen(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        """The endpoint with the header among its parameters."""

        @functools.wraps(endpoint)
        async def declaring(idempotency_key: str | None = None, **values: Any) -> Any:  # noqa: ARG001 - `once` reads it
            return await endpoint(**values)

        signature = inspect.signature(endpoint, eval_str=True)
        if not any(is_asked_for(one.annotation) for one in signature.parameters.values()):
            raise TypeError(f"{endpoint!r} does not ask for Keyed")
        keyword_only = [one.replace(kind=one.KEYWORD_ONLY) for one in signature.parameters.values()]
        declaring.__signature__ = signature.replace(parameters=[*keyword_only, _DECLARED])  # type: ignore[attr-defined]
        return declaring

    def inside(self, handle: Handler) -> Handler:
        async def once(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if key is None or not _is_usable(key):
                return await handle(request)  # an unusable one is refused by the bounds of the parameter
            asked = await self.keyed(request, caller_of(request).owner, key)
            return tell_repetition(await self.answer(request, asked, handle), asked)

        return once

    async def keyed(self, request: Request, owner: str, key: str) -> Once:
        """What is asked for under the key."""
        return await keyed(request, owner, key)

    async def answer(self, request: Request, _once: Once, handle: Handler) -> Response:
        """The answer of a request with a key."""
        return await handle(request)


class UnreadRoute(IdempotentRoute):
    """For a body that is too large to be read before the endpoint: that one says what was asked, in `Once.of`."""

    async def keyed(self, request: Request, owner: str, key: str) -> Once:
        return keyed_unread(request, owner, key)


class ClaimingRoute(IdempotentRoute):
    """For an effect that no transaction keeps together: a letter with its row, records in an engine.

    A claim in Redis keeps two at once apart (409), and the first answer is kept there and given again.
    """

    async def answer(self, request: Request, once: Once, handle: Handler) -> Response:
        idempotency: Idempotency = request.state.platform.idempotency
        return await idempotency.answer(once, lambda: handle(request))


def _is_usable(key: str) -> bool:
    try:
        _KEY.validate_python(key)
    except ValidationError:
        return False
    return True
