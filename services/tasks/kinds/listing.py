"""Whatever another service lists, thing by thing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

import httpx

_AT_ONCE: Final = 100


async def listed(get: Callable[[str], Awaitable[httpx.Response]], path: str) -> AsyncIterator[dict[str, Any]]:
    """Each item of the list at `path`, whose pages are asked for with `get`. Raises what that does."""
    cursor: str | None = None
    while True:
        page = (await get(f"{path}?limit={_AT_ONCE}" + (f"&cursor={quote(cursor)}" if cursor else ""))).json()
        for item in page["items"]:
            yield item
        cursor = page["next_cursor"]
        if cursor is None:
            return
