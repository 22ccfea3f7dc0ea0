"""An agent that can do what is asked, and the way to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.agents.relations.domain import AgentName

MOST_STEPS: Final = 5
MOST_CANDIDATES: Final = 10_000
"""Of the agents that have the rarest of the capabilities, so many are looked at."""
MOST_VISITED: Final = 2_000
"""From a start, so many agents are looked at: the nearest, of the last level those with the heaviest ways."""
MOST_FOLLOWED: Final = 20_000
"""From a start, so many relations are looked at: those of the nearest agents, of one level the heaviest first."""


@dataclass(frozen=True, slots=True)
class Reached:
    """An agent that a search came to: by the heaviest of the shortest ways."""

    agent: AgentName
    weight: float
    """The product of the weights along the way; 1 where it begins."""
    via: str | None
    """The agent before it on the way; None where it begins."""
    is_able: bool
    delegates: int
    """To how many it delegates."""


@dataclass(frozen=True, slots=True)
class Match:
    """Who is asked stands first on the path, who has all the capabilities last; it may be one and the same."""

    path: tuple[AgentName, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Matches:
    """Shortest path first, then the heaviest."""

    items: list[Match]
    is_truncated: bool
    """Whether there are more, or could be among those that were not looked at."""


def way_back(reached: Mapping[str, Reached], end: Reached) -> tuple[AgentName, ...]:
    """The agents from `end` to where the search began."""
    way = [end.agent]
    while end.via is not None:
        end = reached[end.via]
        way.append(end.agent)
    return tuple(way)
