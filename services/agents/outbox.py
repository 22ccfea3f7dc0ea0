"""The outbox: an event is written in the transaction of the change it tells of; docs/decisions/0064.

    (:OutboxEvent {id, name, body, headers, created_at})
    (:OutboxLease {service, held_by, held_until})       whoever publishes holds it, so that one does, oldest first

It is never published for a change that was rolled back.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

import orjson
from neo4j import AsyncManagedTransaction

from services.agents.events import AgentChanged, Event
from services.agents.graph import Graph, Statements
from shared import telemetry
from shared.messages import EVENTS_EXCHANGE, Batch, OutgoingMessage, require_published
from shared.schemas import new_id

# Longer than a batch takes where nothing answers: by the defaults a claim and a settlement 8 s each, publishing 5 s.
_LEASE_SECONDS = 30
WRITTEN: Final[LiteralString] = "CREATE (e:OutboxEvent) SET e = $event"
"""The end of a statement that changes an agent, for which it returned a row."""

_OLDEST: LiteralString = """
    MATCH (e:OutboxEvent) USING INDEX e:OutboxEvent(id) WHERE e.id > ''
    RETURN properties(e) AS event ORDER BY e.id LIMIT $limit
"""
# Locked first, and looked at by a later statement: what one that waited reads may be from before.
_LOCK: LiteralString = "MERGE (l:OutboxLease {service: 'agents'}) SET l.is_locked = true REMOVE l.is_locked"
_TAKE: LiteralString = """
    MATCH (l:OutboxLease {service: 'agents'})
    WHERE l.held_until IS NULL OR l.held_until < datetime() OR l.held_by = $holder
    SET l.held_by = $holder, l.held_until = datetime() + duration({seconds: $seconds})
    RETURN l.held_by
"""
_DELETE: LiteralString = "UNWIND $ids AS id MATCH (e:OutboxEvent {id: id}) DELETE e"
_GIVE_BACK: LiteralString = "MATCH (l:OutboxLease {service: 'agents', held_by: $holder}) REMOVE l.held_by, l.held_until"


def written(event: Event, changed: AgentChanged) -> dict[str, Any]:
    """The parameter of `WRITTEN`: ids are in the order of time. It carries the trace of the request."""
    headers: dict[str, str] = {}
    telemetry.inject(headers)
    return {
        "id": new_id(),
        "name": str(event),
        "body": orjson.dumps(changed.body).decode(),
        "headers": orjson.dumps(headers).decode(),
        "created_at": datetime.now(UTC),
    }


class Outbox:
    """What waits to be published. Every method raises Unavailable when Neo4j cannot serve."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._holder = new_id()
        self.wake = asyncio.Event()

    def notify(self) -> None:
        """Have the relay of this process look now instead of at its next round; call it after the commit."""
        self.wake.set()

    async def oldest(self) -> datetime | None:
        """Since when the oldest event waits; None when none does."""

        async def work(one: Statements) -> datetime | None:
            rows = await (await one.run(_OLDEST, limit=1)).value("event")
            return rows[0]["created_at"].to_native() if rows else None

        return await self._graph.look(work)

    async def check(self) -> None:
        """Raises Finding when its oldest event waits for too long."""
        require_published(await self.oldest())

    @asynccontextmanager
    async def taken(self, limit: int) -> AsyncIterator[Batch]:
        """What `claim` answers, through the block. Most often there is nothing to claim, so that is asked first."""
        if await self.oldest() is None:
            yield Batch([], _nothing)
        else:
            yield Batch(await self.claim(limit), self.settle)

    async def claim(self, limit: int) -> Sequence[OutgoingMessage]:
        """Up to `limit` events, oldest first; none while another replica publishes.

        They are this replica's until it has `settled`, or for half a minute: who died is not waited for longer.
        """

        async def work(transaction: AsyncManagedTransaction) -> list[OutgoingMessage]:
            await (await transaction.run(_LOCK)).consume()
            taken = await transaction.run(_TAKE, holder=self._holder, seconds=_LEASE_SECONDS)
            if not await taken.value():
                return []
            return [_message(event) for event in await (await transaction.run(_OLDEST, limit=limit)).value("event")]

        return await self._graph.write(work)

    async def settle(self, published: Iterable[OutgoingMessage]) -> None:
        """Delete what was published, and let others go on."""
        ids = [message.id for message in published]

        async def work(transaction: AsyncManagedTransaction) -> None:
            await (await transaction.run(_DELETE, ids=ids)).consume()
            await (await transaction.run(_GIVE_BACK, holder=self._holder)).consume()

        await self._graph.write(work)


async def _nothing(_published: Iterable[OutgoingMessage]) -> None:
    """There is nothing to settle."""


def _message(event: dict[str, Any]) -> OutgoingMessage:
    return OutgoingMessage(
        id=event["id"],
        exchange=EVENTS_EXCHANGE,
        routing_key=event["name"],
        body=event["body"].encode(),
        headers=orjson.loads(event["headers"]),
        is_mandatory=False,
    )
