"""Which statement gives a page of agents, so that it costs what the page costs, however many agents there are.

Without a filter the page is read off an index of agents, with names off an index of links to the rarest of them; both
have it in order. Words are looked up in the full-text index, which knows no order: such a page costs what all agents
with the words cost, about a second for 100,000 of them. None is left out for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from services.agents.constraints import TEXT_INDEX
from services.agents.links import KINDS
from services.agents.search import text_query

# While an index is young the planner may hold a scan of all tenants for cheaper.
_BY_PLACE: Final[LiteralString] = (
    "MATCH (a:Agent {tenant_id: $tenant_id}) USING INDEX a:Agent(tenant_id, created_at, id)"
)
_BY_WORDS: Final[LiteralString] = f"""
    CALL db.index.fulltext.queryNodes('{TEXT_INDEX}', $text) YIELD node AS a
    MATCH (a:Agent {{tenant_id: $tenant_id}})
"""
_BY_NAME: Final[Mapping[str, LiteralString]] = {
    kind.field: f"""
    MATCH (a:Agent {{tenant_id: $tenant_id}})-[r:{kind.link}]->(:{kind.label} {{tenant_id: $tenant_id}})
        USING INDEX r:{kind.link}(tenant_id, name, created_at, agent_id)
    """
    for kind in KINDS
}
_COUNTED: Final[Mapping[str, LiteralString]] = {
    kind.field: f"""
    OPTIONAL MATCH (n:{kind.label} {{tenant_id: $tenant_id, name: ${kind.field}}})
    RETURN CASE WHEN n IS NULL THEN 0 ELSE COUNT {{ (n)<-[:{kind.link}]-() }} END AS agents
    """
    for kind in KINDS
}


class _Place(NamedTuple):
    """What stands where an index has it, and tells an agent's place in lists."""

    created_at: LiteralString
    id: LiteralString
    order: LiteralString

    @property
    def anywhere(self) -> LiteralString:
        return f"{self.created_at} IS NOT NULL AND {self.id} IS NOT NULL"

    @property
    def after(self) -> LiteralString:
        return f"""
            {self.created_at} <= $created_at AND {self.id} IS NOT NULL
            AND ({self.created_at} < $created_at OR {self.id} < $id)
        """


_PLACE_OF_AGENT: Final = _Place("a.created_at", "a.id", "a.tenant_id DESC, a.created_at DESC, a.id DESC")
_PLACE_OF_LINK: Final = _Place(
    "r.created_at", "r.agent_id", "r.tenant_id DESC, r.name DESC, r.created_at DESC, r.agent_id DESC"
)


@dataclass(frozen=True, slots=True)
class Position:
    """The place of an agent in lists."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Who is listed: whoever matches each of them; None is no condition."""

    capability: str | None = None
    knowledge: str | None = None
    """The name of a collection."""
    tool: str | None = None
    typed: str | None = None
    """Words of the name or the description, or how they begin."""

    @property
    def names(self) -> dict[str, str]:
        """Those by a name, by the field of an agent that has to have it."""
        wanted = zip(KINDS, (self.capability, self.knowledge, self.tool), strict=True)
        return {kind.field: name for kind, name in wanted if name is not None}

    @property
    def counting(self) -> list[tuple[str, LiteralString]]:
        """A field and a statement that counts the agents with its name, where it matters which of several is rare."""
        return [(field, _COUNTED[field]) for field in self.names] if len(self.names) > 1 and not self.typed else []


@dataclass(frozen=True, slots=True)
class Listing:
    """A statement that returns the agents of a page as `agent`, newest first, and its parameters."""

    statement: LiteralString
    parameters: Mapping[str, Any]


def listing(tenant_id: str, filters: Filters, rarest: str | None, after: Position | None, limit: int) -> Listing:
    """Up to `limit` agents that follow the position. `rarest` is the field whose name the fewest have."""
    names = filters.names
    led_by = None if filters.typed else rarest or next(iter(names), None)
    start = _BY_WORDS if filters.typed else _BY_NAME[led_by] if led_by else _BY_PLACE
    place = _PLACE_OF_LINK if led_by else _PLACE_OF_AGENT
    conditions = [
        f"r.tenant_id = $tenant_id AND r.name = ${led_by}" if led_by else "a.tenant_id = $tenant_id",
        place.after if after else place.anywhere,
        *(f"${field} IN a.{field}" for field in names if field != led_by),
    ]
    statement = f"""
        {start} WHERE {" AND ".join(conditions)}
        RETURN properties(a) AS agent ORDER BY {place.order} LIMIT $limit
    """
    text = text_query(tenant_id, filters.typed) if filters.typed else None
    position = {"created_at": after.created_at, "id": after.id} if after else {}
    return Listing(statement, names | position | {"text": text, "limit": limit})
