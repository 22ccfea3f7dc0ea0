"""The use case of matching: a search in the breadth, whose work is bounded whatever the graph."""

import itertools
from collections.abc import Sequence

from neo4j import AsyncManagedTransaction

from services.agents.graph import Graph
from services.agents.matching.domain import (
    MOST_CANDIDATES,
    MOST_FOLLOWED,
    MOST_STEPS,
    MOST_VISITED,
    Match,
    Matches,
    Reached,
    way_back,
)
from services.agents.matching.repository import MatchingRepository
from services.agents.matching.schemas import MatchRequest
from shared.identity import Caller


class MatchingService:
    """Who of a tenant's agents can do something. Raises Unavailable when Neo4j cannot serve."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def match(self, caller: Caller, body: MatchRequest) -> Matches:
        """The agents that have all the capabilities, or lead to one that has within five delegations.

        Without a start each agent once, with the best way to any that is able; with one each able agent once, with the
        best way from the start. Raises AgentNotFound for a start that is not there.
        """
        able, most = list(body.capabilities), body.limit + 1

        async def work(transaction: AsyncManagedTransaction) -> Matches:
            agents = MatchingRepository(transaction, caller.tenant_id)
            if body.start_id is None:
                return await _towards_the_able(agents, able, most)
            return await _from(agents, await agents.start(body.start_id, able), able, most)

        return await self._graph.read(work)


async def _towards_the_able(agents: MatchingRepository, capabilities: Sequence[str], most: int) -> Matches:
    """Against the relations: a level that is not whole ends the search, so none is wider than the answer."""
    rarest = await agents.rarest(capabilities)
    level = await agents.list_able(capabilities, rarest=rarest.name, most=MOST_CANDIDATES, limit=most)
    reached = {one.agent.id: one for one in level}
    for _ in range(MOST_STEPS):
        if not level or len(reached) >= most:
            break
        level = await agents.list_delegating(level, seen=reached, capabilities=capabilities, limit=most - len(reached))
        reached |= {one.agent.id: one for one in level}
    found = [Match(way_back(reached, one), one.weight) for one in reached.values()]
    return _cut(found, most, is_whole=rarest.agents <= MOST_CANDIDATES)


async def _from(agents: MatchingRepository, start: Reached, capabilities: Sequence[str], most: int) -> Matches:
    level, reached, is_whole = [start], {start.agent.id: start}, True
    able = [start] if start.is_able else []
    followed = MOST_FOLLOWED
    for _ in range(MOST_STEPS):
        room = MOST_VISITED - len(reached)
        if not level or not is_whole or len(able) >= most:
            break
        asked = _affordable(level, followed)
        followed -= sum(one.delegates for one in asked)
        found = await agents.list_delegates(asked, seen=reached, capabilities=capabilities, limit=room + 1)
        is_whole = len(found) <= room and len(asked) == len(level)
        level = found[:room]
        reached |= {one.agent.id: one for one in level}
        able += [one for one in level if one.is_able]
    matches = [Match(way_back(reached, one)[::-1], one.weight) for one in able]
    return _cut(matches, most, is_whole=is_whole)


def _affordable(level: Sequence[Reached], most: int) -> list[Reached]:
    """The first of the level, that delegate to so many in all."""
    spent = itertools.accumulate(one.delegates for one in level)
    return [one for one, so_far in zip(level, spent, strict=True) if so_far <= most]


def _cut(found: list[Match], most: int, *, is_whole: bool) -> Matches:
    return Matches(found[: most - 1], is_truncated=len(found) >= most or not is_whole)
