"""Work on links that no caller asks for, over all tenants and a bounded number at once."""

from collections.abc import Sequence
from typing import Final, LiteralString

from neo4j import AsyncManagedTransaction, AsyncSession

from services.agents.links import KINDS, Kind

_LINKED_AT_ONCE = 200

# Locked first, and read by a later statement: what one that waited reads may be from before.
_NEXT: Final[LiteralString] = """
    MATCH (a:Agent) WHERE a.id > $after
    WITH a ORDER BY a.id LIMIT $limit
    SET a.is_locked = true REMOVE a.is_locked
    RETURN collect(a.id) AS ids
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

    May run in several replicas at once, beside writers, and again after it was cut short: who is linked is passed over.
    """
    after = ""
    while ids := await session.execute_write(_link_next, after):
        after = ids[-1]


async def _link_next(transaction: AsyncManagedTransaction, after: str) -> Sequence[str]:
    result = await transaction.run(_NEXT, after=after, limit=_LINKED_AT_ONCE)
    ids: list[str] = (await result.single(strict=True))["ids"]
    for kind in KINDS:
        await (await transaction.run(_linked(kind), ids=ids)).consume()
    return ids
