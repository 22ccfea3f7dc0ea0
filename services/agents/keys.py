"""Idempotency keys beside the agents they made, in the transaction that has both.

(:IdempotencyKey {digest, of, agent_id, taken_by, tenant_id, created_at})
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import LiteralString, NamedTuple

from neo4j import AsyncManagedTransaction

from services.agents.graph import Graph
from shared.loops import keep
from shared.schemas import new_id

_log = logging.getLogger("agents.keys")
_KEPT = timedelta(hours=24)
_FORGOTTEN_AT_ONCE = 500
_FORGETTING_SECONDS = 600.0

# Who takes the same key at the same time waits at its constraint until the other's transaction has ended.
_TAKE: LiteralString = """
    MERGE (k:IdempotencyKey {digest: $digest})
    ON CREATE SET
        k.of = $of, k.agent_id = $agent_id, k.taken_by = $taken_by, k.tenant_id = $tenant_id, k.created_at = $now
    RETURN k.of AS of, k.agent_id AS agent_id, coalesce(k.taken_by = $taken_by, false) AS is_new
"""
_FORGET: LiteralString = """
    MATCH (k:IdempotencyKey) WHERE k.created_at < $before WITH k LIMIT $limit DELETE k RETURN count(*) AS deleted
"""


class StoredKey(NamedTuple):
    """The request that a key came with first, and the agent that was made or changed for it."""

    of: bytes
    agent_id: str


async def take_key(
    transaction: AsyncManagedTransaction, tenant_id: str, digest: bytes, wanted: StoredKey
) -> StoredKey | None:
    """Store the key of what is about to be done to an agent; where it is there already, what it was stored with."""
    result = await transaction.run(
        _TAKE,
        digest=digest.hex(),
        of=wanted.of.hex(),
        agent_id=wanted.agent_id,
        taken_by=new_id(),
        tenant_id=tenant_id,
        now=datetime.now(UTC),
    )
    record = await result.single(strict=True)
    return None if record["is_new"] else StoredKey(bytes.fromhex(record["of"]), record["agent_id"])


async def forget_old_keys(graph: Graph) -> None:
    """Delete keys that nobody may repeat any more, a bounded number at once. Never returns."""

    async def work(transaction: AsyncManagedTransaction) -> int:
        result = await transaction.run(_FORGET, before=datetime.now(UTC) - _KEPT, limit=_FORGOTTEN_AT_ONCE)
        deleted: int = (await result.single(strict=True))["deleted"]
        return deleted

    async def forget() -> bool:
        return graph.is_prepared and await graph.write(work) == _FORGOTTEN_AT_ONCE

    await keep(forget, log=_log, every_seconds=_FORGETTING_SECONDS)
