"""What of a request's body nobody has read when the request is refused."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Receive, Scope

from shared.door import BODY_IS_HERE

_DRAINED_BYTES = 32 * 2**20  # as much as the gateway lets through, but for files
_DRAINED_SECONDS = 10.0


async def drain(given: Mapping[bytes, bytes], scope: Scope, receive: Receive) -> None:
    """Take what still comes of a body, for ten seconds and 32 MiB at most.

    The gateway passes bodies on as they come. Whoever is answered before the body has come whole still sends, has the
    connection closed under it, and may lose the answer: so what comes is taken first, and nothing of it is kept.
    """
    has_none = given.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in given
    if has_none or BODY_IS_HERE in scope:
        return
    left, more = _DRAINED_BYTES, True
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAINED_SECONDS):
            while more and left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                more = message.get("more_body", False)
