"""Has every secret sealed with the first key, a bounded number at once, so that older keys can be taken away.

Over all tenants; nobody is shown anything. Several replicas may do it at once, beside who writes secrets: the node of a
secret is locked first, and is changed only where it is still as it was looked at.
"""

import functools
import logging
from collections import Counter
from typing import Any, Final, LiteralString, NamedTuple

from neo4j import AsyncManagedTransaction

from services.agents.graph import Graph
from shared.resealing import Resealed, keep_resealing
from shared.sealing import Seal, Sealing

_log = logging.getLogger("agents.secrets")
_AT_ONCE: Final = 50
_PAGE: Final[LiteralString] = "RETURN s ORDER BY s.tenant_id, s.name LIMIT $limit"
_INDEXED: Final[LiteralString] = "MATCH (s:ToolSecret) USING INDEX s:ToolSecret(tenant_id, name)"
_AFTER: Final[LiteralString] = f"""
    CALL () {{
        {_INDEXED} WHERE s.tenant_id = $tenant_id AND s.name > $name {_PAGE}
        UNION ALL
        {_INDEXED} WHERE s.tenant_id > $tenant_id AND s.name IS NOT NULL {_PAGE}
    }}
    WITH s ORDER BY s.tenant_id, s.name LIMIT $limit
    RETURN s.tenant_id AS tenant_id, s.name AS name, s.sealed AS sealed
"""
_EACH: Final[LiteralString] = "UNWIND $renewed AS one MATCH (s:ToolSecret {tenant_id: one.tenant_id, name: one.name})"
# Whether it is still as it was is for a later statement: one that waited for the lock may know what was before.
_LOCK: Final[LiteralString] = f"{_EACH} WITH s ORDER BY s.tenant_id, s.name SET s.is_locked = true REMOVE s.is_locked"
_RENEW: Final[LiteralString] = (
    f"{_EACH} WITH s, one WHERE s.sealed = one.sealed SET s.sealed = one.renewed RETURN count(s) AS renewed"
)


class _Place(NamedTuple):
    tenant_id: str
    name: str


_START: Final = _Place("", "")


async def reseal_secrets(graph: Graph, seal: Seal) -> None:
    """As `keep_resealing`, once the graph is prepared. Never returns."""

    async def look() -> Resealed:
        return await reseal_once(graph, seal) if graph.is_prepared else Resealed.of(Counter())

    await keep_resealing(look, _log)


async def reseal_once(graph: Graph, seal: Seal) -> Resealed:
    """Look at every secret there is. Raises Unavailable; what was done until then stays."""
    place: _Place | None = _START
    total: Counter[str] = Counter()
    while place:
        rows = await graph.read(functools.partial(_page, after=place))
        total += await _resealed(graph, seal, rows)
        place = None if len(rows) < _AT_ONCE else _Place(rows[-1]["tenant_id"], rows[-1]["name"])
    return Resealed.of(total)


async def _page(transaction: AsyncManagedTransaction, *, after: _Place) -> list[dict[str, Any]]:
    return await (await transaction.run(_AFTER, after._asdict(), limit=_AT_ONCE)).data()


async def _resealed(graph: Graph, seal: Seal, rows: list[dict[str, Any]]) -> Counter[str]:
    """What came of these; only where one is sealed with an older key is anything written."""
    by = [seal.sealing(row["sealed"]) for row in rows]
    older = [_renewed(seal, row) for row, sealing in zip(rows, by, strict=True) if sealing is Sealing.OLDER]
    renewed = await graph.write(functools.partial(_renew, older=older)) if older else 0
    return Counter(
        secrets=len(rows),
        renewed=renewed,
        unknown=by.count(Sealing.UNKNOWN),
        overtaken=len(older) - renewed,
    )


async def _renew(transaction: AsyncManagedTransaction, *, older: list[dict[str, Any]]) -> int:
    """How many were still as they had been read."""
    await (await transaction.run(_LOCK, renewed=older)).consume()
    renewed: int = (await (await transaction.run(_RENEW, renewed=older)).single(strict=True))["renewed"]
    return renewed


def _renewed(seal: Seal, row: dict[str, Any]) -> dict[str, Any]:
    return row | {"renewed": seal.renewed(row["sealed"])}
