"""How tests hear the events of tasks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson


@dataclass(frozen=True, slots=True)
class Heard:
    """One event, as a client hears it."""

    id: str
    type: str
    data: dict[str, Any]


async def events_in(response: httpx.Response, places: list[str] | None = None) -> AsyncIterator[Heard]:
    """The events; ids that came without one are added to `places`."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and "event" in fields:
            yield Heard(fields["id"], fields["event"], orjson.loads(fields["data"]))
            fields = {}
        elif not line:
            if places is not None and "id" in fields:
                places.append(fields["id"])
            fields = {}


async def heard(
    client: httpx.AsyncClient, headers: dict[str, str], task_id: str, after: str | None = None
) -> list[Heard]:
    """All events of a task to its end."""
    more = headers | ({"Last-Event-ID": after} if after else {})
    async with client.stream("GET", f"/api/v1/tasks/{task_id}/events", headers=more) as response:
        assert response.status_code == 200, await response.aread()
        return [event async for event in events_in(response)]
