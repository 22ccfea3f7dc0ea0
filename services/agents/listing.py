"""Which statement gives a page of agents, so that it costs what the page costs, however many agents there are.

Without a filter the page is read off an index of agents, with a name off an index of links to it; both have it in
order. What is found by words, or by several names, is in `services.agents.searching`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from services.agents.links import KINDS

# While an index is young the planner may hold a scan of all tenants for cheaper.
_BY_PLACE: Final[LiteralString] = (
    "MATCH (a:Agent {tenant_id: $tenant_id}) USING INDEX a:Agent(tenant_id, created_at, id)"
)
_BY_NAME: Final[Mapping[str, LiteralString]] = {
    kind.field: f"""
    MATCH (a:Agent {{tenant_id: $tenant_id}})-[r:{kind.link}]->(:{kind.label} {{tenant_id: $tenant_id}})
        USING INDEX r:{kind.link}(tenant_id, name, created_at, agent_id)
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
    def are_searched(self) -> bool:
        """Whether no index has in order who matches."""
        return self.typed is not None or len(self.names) > 1


@dataclass(frozen=True, slots=True)
class Listing:
    """A statement that returns the agents of a page as `agent`, newest first, and its parameters."""

    statement: LiteralString
    parameters: Mapping[str, Any]


def listing(filters: Filters, after: Position | None, limit: int) -> Listing:
    """Up to `limit` agents that follow the position, by no filter or by one name."""
    [named] = filters.names or [None]
    place = _PLACE_OF_LINK if named else _PLACE_OF_AGENT
    conditions = [
        f"r.tenant_id = $tenant_id AND r.name = ${named}" if named else "a.tenant_id = $tenant_id",
        place.after if after else place.anywhere,
    ]
    statement = f"""
        {_BY_NAME[named] if named else _BY_PLACE} WHERE {" AND ".join(conditions)}
        RETURN properties(a) AS agent ORDER BY {place.order} LIMIT $limit
    """
    position = {"created_at": after.created_at, "id": after.id} if after else {}
    return Listing(statement, filters.names | position | {"limit": limit})
