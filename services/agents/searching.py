"""Pages of agents that are found by words, or by several names: newest first, off an index that knows no order.

It costs what the page costs, however many agents have the words. First the newest few dozen of the tenant are looked
through, which is all for what most of them have. Then all are asked for, up to a bound: for what few have that is all.
Else the rest is looked through from the newest to the oldest in windows of time, each wider than the one before; one
that holds too much is halved.
"""

from collections.abc import AsyncIterator
from typing import Any, Final, LiteralString, NamedTuple

from services.agents.constraints import TEXT_INDEX
from services.agents.listing import Filters, Position
from services.agents.places import Window, moment
from services.agents.search import text_query
from services.agents.tenancy import TenantRepository

_MOST_HITS: Final = 500
"""Are read and put in order at once."""
_FIRST: Final = 40
"""Agents are looked through before all are asked for; twice the page at least."""
_WIDER: Final = 8
_ORDERED: Final[LiteralString] = (
    "MATCH (a:Agent {tenant_id: $tenant_id}) USING INDEX a:Agent(tenant_id, created_at, id)"
)
_OLDEST: Final[LiteralString] = f"""
    {_ORDERED} WHERE a.created_at IS NOT NULL AND a.id IS NOT NULL
    RETURN a.created_at AS created_at ORDER BY a.tenant_id, a.created_at, a.id LIMIT 1
"""
_NEWEST: Final[LiteralString] = f"""
    {_ORDERED} WHERE a.created_at <= $newest AND a.id IS NOT NULL
    RETURN a.created_at AS created_at ORDER BY a.tenant_id DESC, a.created_at DESC, a.id DESC SKIP $skip LIMIT 1
"""
_NEWEST_OF_ALL: Final[LiteralString] = _NEWEST.replace("a.created_at <= $newest", "a.created_at IS NOT NULL")
_HITS: Final[LiteralString] = f"""
    CALL db.index.fulltext.queryNodes('{TEXT_INDEX}', $text, {{limit: $most}}) YIELD node AS a
    RETURN a.id AS id, a.created_at AS created_at, a.tenant_id = $tenant_id
        AND all(field IN keys($names) WHERE $names[field] IN a[field]) AS is_one
"""
_ALL_HITS: Final[LiteralString] = _HITS.replace(", {limit: $most}", "")
_THESE: Final[LiteralString] = """
    MATCH (a:Agent) WHERE a.tenant_id = $tenant_id AND a.id IN $ids
    RETURN properties(a) AS agent ORDER BY a.created_at DESC, a.id DESC
"""


class _Hit(NamedTuple):
    """Sorts as lists do, oldest first."""

    at: int
    id: str


class _Found(NamedTuple):
    hits: list[_Hit]
    """Newest first."""
    seen: int
    """How many were looked at for them."""
    is_all: bool


class SearchRepository(TenantRepository):
    """The agents of one tenant that have words, or several names, as one transaction sees them."""

    async def list_newest(self, filters: Filters, *, after: Position | None, limit: int) -> list[dict[str, Any]]:
        """The properties of up to `limit` agents that come after the position, newest first."""
        agents: list[dict[str, Any]] = []
        async for hits in self._hits(filters, after, max(2 * limit, _FIRST)):
            left = hits
            # One that was deleted since it was found leaves its place to the next.
            while left and len(agents) < limit:
                part, left = left[: limit - len(agents)], left[limit - len(agents) :]
                rows = await self._run(_THESE, ids=[hit.id for hit in part])
                agents += [row["agent"] for row in rows]
            if len(agents) == limit:
                break
        return agents

    async def _hits(self, filters: Filters, after: Position | None, first: int) -> AsyncIterator[list[_Hit]]:
        """All there are, in portions: within each and from one to the next newest first."""
        before = _Hit(moment(after.created_at), after.id) if after else None
        span = await self._first_window(after, first)
        if span is None:
            return
        window, oldest = span
        async for hits in self._portions(filters, [window]):
            yield hits if before is None else [hit for hit in hits if hit < before]
        if window.oldest == oldest:
            return
        found = await self._within(filters, None)
        if found.is_all:
            yield [hit for hit in found.hits if hit.at < window.oldest]
            return
        async for hits in self._portions(filters, _older(window, oldest)):
            yield hits

    async def _portions(self, filters: Filters, windows: list[Window]) -> AsyncIterator[list[_Hit]]:
        """What is in the windows, of which the last is looked through first; one that holds too much in halves."""
        older_half_of: dict[Window, Window] = {}
        known_too_full: Window | None = None
        while windows:
            window = windows.pop()
            is_known = window == known_too_full and window.oldest < window.newest
            found = None if is_known else await self._within(filters, window)
            if found is not None and found.is_all:
                yield found.hits
                if not found.seen:  # so all that was too much for both stands in the other
                    known_too_full = older_half_of.get(window)
                continue
            middle = (window.oldest + window.newest) // 2
            older, newer = Window(window.oldest, middle), Window(middle + 1, window.newest)
            older_half_of[newer] = older
            windows += [older, newer]

    async def _first_window(self, after: Position | None, agents: int) -> tuple[Window, int] | None:
        """A window with so many agents, and the moment of the oldest of all; None where there is none."""
        oldest = await self._moment(_OLDEST)
        if oldest is None:
            return None
        statement, given = (_NEWEST, {"newest": after.created_at}) if after else (_NEWEST_OF_ALL, {})
        newest = moment(after.created_at) if after else await self._moment(statement, skip=0, **given)
        begin = await self._moment(statement, skip=agents, **given)
        if newest is None or newest < oldest:
            return None
        return Window(oldest if begin is None else begin, newest), oldest

    async def _moment(self, statement: LiteralString, **given: Any) -> int | None:
        rows = await self._run(statement, **given)
        return moment(rows[0]["created_at"].to_native()) if rows else None

    async def _within(self, filters: Filters, window: Window | None) -> _Found:
        """All, or some where there are too many; of one moment always all."""
        text = text_query(self._tenant_id, filters.typed, filters.names, window)
        is_bounded = window is None or window.oldest < window.newest
        statement = _HITS if is_bounded else _ALL_HITS
        rows = await self._run(statement, text=text, names=filters.names, most=_MOST_HITS + 1)
        hits = [_Hit(moment(row["created_at"].to_native()), row["id"]) for row in rows if row["is_one"]]
        return _Found(sorted(hits, reverse=True), len(rows), not is_bounded or len(rows) <= _MOST_HITS)


def _older(looked: Window, oldest: int) -> list[Window]:
    """All that is older than the window that was looked through, each wider than the one after it; the oldest first."""
    windows, width, newest = list[Window](), looked.newest - looked.oldest + 1, looked.oldest - 1
    while newest >= oldest:
        width *= _WIDER
        windows.append(Window(max(newest - width + 1, oldest), newest))
        newest = windows[-1].oldest - 1
    return windows[::-1]
