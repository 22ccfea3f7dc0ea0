"""Work that no caller asks for, on links and on places, over all tenants and a bounded number at once."""

import functools
import logging
from datetime import UTC, datetime, timedelta
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
_LATE: Final = timedelta(hours=6)
"""An agent is at most so long in coming: a clock may be wrong, and a transaction slow."""
_Name = dict[str, str]

# Locked first, and read by a later statement: what one that waited reads may be from before.
_LOCK_PLACE: Final[LiteralString] = (
    "MERGE (s:SchemaVersion {service: 'agents'}) SET s.is_locked = true REMOVE s.is_locked"
)
_LINKED_THROUGH: Final[LiteralString] = (
    "MATCH (s:SchemaVersion {service: 'agents'}) RETURN coalesce(s.linked_through, '') AS id"
)
_GO_ON: Final[LiteralString] = "MATCH (s:SchemaVersion {service: 'agents'}) SET s.linked_through = $id"
_NEXT: Final[LiteralString] = """
    MATCH (a:Agent) WHERE a.id > $after
    WITH a ORDER BY a.id LIMIT $limit
    SET a.is_locked = true REMOVE a.is_locked
    RETURN collect(a.id) AS ids
"""
_PLACED_AT_ONCE = 200
_PLACED_THROUGH: Final[LiteralString] = _LINKED_THROUGH.replace("linked", "placed")
_PLACE_ON: Final[LiteralString] = _GO_ON.replace("linked", "placed")
_UNPLACED: Final[LiteralString] = """
    MATCH (a:Agent) WHERE a.id > $after
    WITH a ORDER BY a.id LIMIT $limit
    RETURN collect(CASE WHEN a.place IS NULL THEN a.id END) AS ids, max(a.id) AS last
"""
_PLACE: Final[LiteralString] = f"MATCH (a:Agent) WHERE a.id IN $ids AND a.place IS NULL {PLACED}"


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
    after = (await (await transaction.run(_LINKED_THROUGH)).single(strict=True))["id"]
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

    May run in several replicas at once, beside writers, and again after it was cut short, as `link_all`.
    """
    while await session.execute_write(again_when_overtaken(_place_next)):
        pass


async def _place_next(transaction: AsyncManagedTransaction) -> bool:
    """Whether there may be more."""
    await (await transaction.run(_LOCK_PLACE)).consume()
    after = (await (await transaction.run(_PLACED_THROUGH)).single(strict=True))["id"]
    ids, last = await _unplaced(transaction, after=after)
    if last is None:
        return False
    await _place(transaction, ids=ids)
    await (await transaction.run(_PLACE_ON, id=last)).consume()
    return True


async def _unplaced(transaction: AsyncManagedTransaction, *, after: str) -> tuple[list[str], str | None]:
    """Those among the next agents that have no place, and the last that was looked at; None when that was the end."""
    result = await transaction.run(_UNPLACED, after=after, limit=_PLACED_AT_ONCE)
    found = await result.single(strict=True)
    return found["ids"], found["last"]


async def _place(transaction: AsyncManagedTransaction, *, ids: list[str]) -> None:
    await (await transaction.run(_PLACE, ids=ids)).consume()


class LatePlaces:
    """Gives agents their places that a replica of a former release made beside this one.

    All are looked at once, then again and again those that are new since: an id begins with when it was given.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph, self._after, self._begun = graph, "", datetime.now(UTC)

    async def look(self) -> int:
        """How many had to be given one. Raises Unavailable; the next time goes on where this came to."""
        given = 0
        while (found := await self._graph.read(functools.partial(_unplaced, after=self._after)))[1] is not None:
            ids = found[0]
            if ids:
                await self._graph.write(functools.partial(_place, ids=ids))
            given, self._after = given + len(ids), found[1]
        self._after, self._begun = _before_ids_of(self._begun - _LATE), datetime.now(UTC)
        return given


def _before_ids_of(moment: datetime) -> str:
    """What sorts before the ids that are given from this moment on."""
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}"


async def place_late(graph: Graph) -> None:
    """Look for them at the start and every ten minutes. Never returns; several replicas may do it."""
    late = LatePlaces(graph)

    async def place() -> None:
        if graph.is_prepared:
            await late.look()

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
