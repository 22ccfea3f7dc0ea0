"""A version of an agent, and how two of them differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.agents.domain import Content
from shared.schemas import Scalar

Value = Scalar | tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentVersion(Content):
    """What an agent was from `created_at` to the next version, and the user who made it so."""

    agent_id: str
    version: int
    created_at: datetime
    created_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionEntry:
    """A version as a history lists it."""

    version: int
    name: str
    created_at: datetime
    created_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One place that differs: a JSON pointer into the agent, and what stood there; None is nothing."""

    pointer: str
    before: Value
    after: Value

    @property
    def added(self) -> list[str] | None:
        """Of a list: what is only in the later one, in its order. None where the place holds no list."""
        return _beyond(self.after, self.before)

    @property
    def removed(self) -> list[str] | None:
        """Of a list: what is only in the earlier one."""
        return _beyond(self.before, self.after)


def differences(before: Content, after: Content) -> list[Change]:
    """From `before` to `after`, in the order of the fields: a list as one place, metadata key by key.

    A list that only changed its order differs, with nothing added or removed.
    """
    earlier, later = before.content, after.content
    changes = [
        Change(pointer=f"/{name}", before=earlier[name], after=later[name])
        for name in earlier
        if name != "metadata" and earlier[name] != later[name]
    ]
    return [*changes, *_of_metadata(before.metadata, after.metadata)]


def _of_metadata(before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        was, became = before.get(key), after.get(key)
        if was != became or type(was) is not type(became):  # `1 == 1.0 == True`, while callers see three values
            yield Change(pointer=f"/metadata/{key}", before=was, after=became)  # no key has a `/` or a `~`


def _beyond(one: Any, other: Any) -> list[str] | None:
    return [item for item in one if item not in other] if isinstance(one, tuple) else None
