"""The limit of what reads a graph: the driver's own reads, one statement each, under an ASGI function.

`NEO4J_URL`, `NEO4J_USER`, `NEO4J_PASSWORD` and `NEO4J_DATABASE` are of the graph, `TENANT_ID` of whom it is asked for.
The last parts of a path are an agent's id and what is asked: nothing, `relations` or `graph`.
"""

import os
from typing import Any, LiteralString

import orjson
from neo4j import AsyncGraphDatabase, AsyncManagedTransaction

from bench.apps.living import live

_AGENT: LiteralString = "MATCH (a:Agent {id: $id, tenant_id: $tenant_id})"
_RELATED: LiteralString = "(b:Agent {tenant_id: $tenant_id})"
_STATEMENTS: dict[str, LiteralString] = {
    "": f"{_AGENT} RETURN properties(a) AS agent",
    "relations": f"{_AGENT}-[r]-{_RELATED} RETURN type(r) AS type, b.id AS id, b.name AS name ORDER BY id LIMIT 20",
    "graph": f"{_AGENT}-[*1..2]-{_RELATED} RETURN DISTINCT b.id AS id, b.name AS name ORDER BY id LIMIT 200",
}


class Reads:
    """An ASGI app that answers with what the graph holds."""

    def __init__(self) -> None:
        credentials = os.environ["NEO4J_USER"], os.environ["NEO4J_PASSWORD"]
        self._driver = AsyncGraphDatabase.driver(os.environ["NEO4J_URL"], auth=credentials)
        self._database, self._tenant_id = os.environ["NEO4J_DATABASE"], os.environ["TENANT_ID"]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send, self._driver.close)
            return
        *_, parent, last = scope["path"].split("/")
        asked, agent_id = (last, parent) if last in _STATEMENTS else ("", last)

        async def read(transaction: AsyncManagedTransaction) -> list[dict[str, Any]]:
            return await (await transaction.run(_STATEMENTS[asked], id=agent_id, tenant_id=self._tenant_id)).data()

        async with self._driver.session(database=self._database) as session:
            body = orjson.dumps(await session.execute_read(read), default=str)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def reads() -> Reads:
    """For uvicorn's `--factory`."""
    return Reads()
