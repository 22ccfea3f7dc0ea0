"""What of a request's body nobody has read when the request is refused."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Receive, Scope

from shared.door import BODY_IS_HERE

_DRAINED_BYTES = 32 * 2**20  # as much as the gateway lets through, but for files
_DRAINED_SECONDS = 10.0
_GRACE_SECONDS = 2.0
_SLOWEST = 64 * 2**10  # bytes a second, behind the grace


async def drain(given: Mapping[bytes, bytes], scope: Scope, receive: Receive) -> None:
    """Take what still comes of a body, for ten seconds and 32 MiB at most, and of what trickles for two seconds.

    The gateway passes bodies on as they come. Whoever is answered before the body has come whole still sends, has the
    connection closed under it, and may lose the answer: so what comes is taken first, and nothing of it is kept. But
    whoever sends as good as nothing holds a place among all requests, and may be anybody.
    """
    has_none = given.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in given
    if has_none or BODY_IS_HERE in scope:
        return
    began, taken, more = asyncio.get_running_loop().time(), 0, True
    with suppress(TimeoutError):
        while more and taken < _DRAINED_BYTES:
            async with asyncio.timeout_at(began + min(_DRAINED_SECONDS, _GRACE_SECONDS + taken / _SLOWEST)):
                message = await receive()
            taken += len(message.get("body", b""))
            more = message.get("more_body", False)
