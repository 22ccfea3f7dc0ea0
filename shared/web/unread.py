"""What of a request's body nobody has read when the request is refused."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Message, Receive

_DRAINED_BYTES = 32 * 2**20  # as much as the gateway lets through
_DRAINED_SECONDS = 10.0


class Unread:
    """Watches how much of its body a request still has to bring.

    The gateway passes bodies on as they come. Whoever is answered before the body has come whole still sends, has the
    connection closed under it, and may lose the answer: so what comes is taken first, and nothing of it is kept.
    """

    def __init__(self, given: Mapping[bytes, bytes], receive: Receive) -> None:
        self._receive = receive
        self._is_whole = given.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in given

    async def receive(self) -> Message:
        """As the server's own."""
        message = await self._receive()
        self._is_whole = self._is_whole or not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Take what still comes, for ten seconds and 32 MiB at most."""
        left = _DRAINED_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAINED_SECONDS):
                while not self._is_whole and left > 0:
                    left -= len((await self.receive()).get("body", b""))
