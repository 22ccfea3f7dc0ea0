"""Work that no caller asks for, on links and on places, over all tenants and a bounded number at once."""

import functools
import logging
from typing import Final, LiteralString

from neo4j import AsyncManagedTransaction, AsyncSession

from services.agents.graph import Graph, again_when_overtaken
from services.agents.links import KINDS, Kind
from services.agents.places import PLACED
from shared.loops import keep

_log = logging.getLogger("agents.upkeep")
_LINKED_AT_ONCE = 200
_SWEPT_AT_ONCE = 1000
_SWEEPING_SECONDS = 3600.0
_PLACING_SECONDS = 600.0
_Name = dict[str, str]

# Locked first, and read by a later statement: what one that waited reads may be from before.
_LOCK_PLACE: Final[LiteralString] = (
    "MERGE (s:SchemaVersion {service: 'agents'}) SET s.is_locked = true REMOVE s.is_locked"
)
_PLACE: Final[LiteralString] = "MATCH (s:SchemaVersion {service: 'agents'}) RETURN coalesce(s.linked_through, '') AS id"
_GO_ON: Final[LiteralString] = "MATCH (s:SchemaVersion {service: 'agents'}) SET s.linked_through = $id"
_NEXT: Final[LiteralString] = """
    MATCH (a:Agent) WHERE a.id > $after
    WITH a ORDER BY a.id LIMIT $limit
    SET a.is_locked = true REMOVE a.is_locked
    RETURN collect(a.id) AS ids
"""
_PLACED_AT_ONCE = 500
_PLACE_NEXT: Final[LiteralString] = f"""
    MATCH (a:Agent) WHERE a.id > $after
    WITH a ORDER BY a.id LIMIT $limit
    WITH collect(a) AS agents
    CALL (agents) {{
        UNWIND agents AS a
        WITH a WHERE a.place IS NULL
        {PLACED}
    }}
    RETURN CASE WHEN size(agents) < $limit THEN null ELSE agents[-1].id END AS last
"""


def _linked(kind: Kind) -> LiteralString:
    return f"""
    MATCH (a:Agent) WHERE a.id IN $ids
    AND COUNT {{ (a)-[r:{kind.link}]->() WHERE r.agent_id = a.id }} < size(coalesce(a.{kind.field}, []))
    UNWIND a.{kind.field} AS name
    WITH a, name ORDER BY name
    MERGE (n:{kind.label} {{tenant_id: a.tenant_id, name: name}})
    MERGE (a)-[r:{kind.link}]->(n)
    SET r.tenant_id = a.tenant_id, r.name = name, r.created_at = a.created_at, r.agent_id = a.id
    """


async def link_all(session: AsyncSession) -> None:
    """Link the agents of former releases, a bounded number in each transaction.

    May run in several replicas at once, beside writers, and again after it was cut short: how far it came is kept with
    each transaction, and whoever runs it goes on from there.
    """
    while await session.execute_write(again_when_overtaken(_link_next)):
        pass


async def _link_next(transaction: AsyncManagedTransaction) -> bool:
    """Whether there may be more."""
    await (await transaction.run(_LOCK_PLACE)).consume()
    after = (await (await transaction.run(_PLACE)).single(strict=True))["id"]
    result = await transaction.run(_NEXT, after=after, limit=_LINKED_AT_ONCE)
    ids: list[str] = (await result.single(strict=True))["ids"]
    if not ids:
        return False
    for kind in KINDS:
        await (await transaction.run(_linked(kind), ids=ids)).consume()
    await (await transaction.run(_GO_ON, id=ids[-1])).consume()
    return True


async def place_all(session: AsyncSession) -> None:
    """Give the agents of former releases their places, a bounded number in each transaction.

    May run in several replicas at once, beside writers, and again after it was cut short: what is done is passed over.
    """
    after: str | None = ""
    while after is not None:
        after = await session.execute_write(again_when_overtaken(functools.partial(_place_next, after=after)))


async def _place_next(transaction: AsyncManagedTransaction, *, after: str) -> str | None:
    """Where to go on; None when that was the end."""
    result = await transaction.run(_PLACE_NEXT, after=after, limit=_PLACED_AT_ONCE)
    last: str | None = (await result.single(strict=True))["last"]
    return last


async def place_late(graph: Graph) -> None:
    """Give agents their places that a replica of a former release made beside this one. Never returns."""

    async def place() -> None:
        after: str | None = "" if graph.is_prepared else None
        while after is not None:
            after = await graph.write(functools.partial(_place_next, after=after))

    await keep(place, log=_log, every_seconds=_PLACING_SECONDS)


def _names_after(kind: Kind) -> LiteralString:
    page: LiteralString = "RETURN n ORDER BY n.tenant_id, n.name LIMIT $limit"
    named: LiteralString = f"MATCH (n:{kind.label}) USING INDEX n:{kind.label}(tenant_id, name)"
    return f"""
    CALL () {{
        {named} WHERE n.tenant_id = $tenant_id AND n.name > $name {page}
        UNION ALL
        {named} WHERE n.tenant_id > $tenant_id AND n.name IS NOT NULL {page}
    }}
    WITH n ORDER BY n.tenant_id, n.name LIMIT $limit
    RETURN n.tenant_id AS tenant_id, n.name AS name, COUNT {{ (n)<-[:{kind.link}]-() }} = 0 AS is_unused
    """


def _each_of_them(kind: Kind) -> LiteralString:
    return f"UNWIND $names AS one MATCH (n:{kind.label} {{tenant_id: one.tenant_id, name: one.name}})"


async def sweep_names(graph: Graph) -> None:
    """Delete the names that no agent has any more, again and again. Never returns; several replicas may do it."""

    async def sweep() -> None:
        if graph.is_prepared:
            await sweep_once(graph)

    await keep(sweep, log=_log, every_seconds=_SWEEPING_SECONDS)


async def sweep_once(graph: Graph) -> None:
    """Look at every name there is, so many in each transaction. Raises Unavailable."""
    for kind in KINDS:
        place: _Name | None = {"tenant_id": "", "name": ""}
        while place:
            place = await graph.write(functools.partial(_sweep_next, kind=kind, after=place))


async def _sweep_next(transaction: AsyncManagedTransaction, *, kind: Kind, after: _Name) -> _Name | None:
    """Where to go on; None when that was the end."""
    found = await (await transaction.run(_names_after(kind), after, limit=_SWEPT_AT_ONCE)).data()
    unused = [{"tenant_id": row["tenant_id"], "name": row["name"]} for row in found if row["is_unused"]]
    if unused:
        # Under the lock it is looked at again. Who links to a name that they found before it is deleted waits for the
        # lock, and is then run again (`Graph.write`).
        each = _each_of_them(kind)
        for statement in (
            f"{each} WITH n ORDER BY n.tenant_id, n.name SET n.is_locked = true REMOVE n.is_locked",
            f"{each} WITH n WHERE COUNT {{ (n)<-[:{kind.link}]-() }} = 0 DELETE n",
        ):
            await (await transaction.run(statement, names=unused)).consume()
    if len(found) < _SWEPT_AT_ONCE:
        return None
    return {"tenant_id": found[-1]["tenant_id"], "name": found[-1]["name"]}
