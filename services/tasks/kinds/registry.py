"""The kinds of this installation, by name."""

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from services.tasks.errors import KindUnknown
from services.tasks.kinds.agent_run import AGENT_RUN
from services.tasks.kinds.echo import ECHO
from services.tasks.kinds.kind import Kind
from services.tasks.kinds.tasks_replay import TASKS_REPLAY
from services.tasks.kinds.vectors_copy import VECTORS_COPY
from services.tasks.kinds.vectors_export import VECTORS_EXPORT
from services.tasks.kinds.vectors_import import VECTORS_IMPORT
from services.tasks.kinds.vectors_ingest import VECTORS_INGEST


class KindRegistry:
    """Looks kinds up."""

    def __init__(self, kinds: Iterable[Kind[Any]]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def get(self, name: str) -> Kind[Any]:
        """Raises KindUnknown."""
        kind = self._kinds.get(name)
        if kind is None:
            raise KindUnknown(name)
        return kind

    @property
    def limits(self) -> dict[str, int]:
        """How many of a kind run at once, of those that have a limit."""
        return {name: kind.at_once for name, kind in self._kinds.items() if kind.at_once is not None}

    @property
    def beyond_share(self) -> frozenset[str]:
        """Those that may run beyond their owner's share."""
        return frozenset(name for name, kind in self._kinds.items() if kind.beyond_share)

    def limited(self, limits: Mapping[str, int]) -> "KindRegistry":
        """The same kinds, some with another limit. Raises OwnKindsUnusable for a name that none has."""
        if unknown := sorted(limits.keys() - self._kinds.keys()):
            raise OwnKindsUnusable(f"TASK_KIND_LIMITS: there is no kind {', '.join(unknown)}")
        return KindRegistry(replace(kind, at_once=limits.get(name, kind.at_once)) for name, kind in self._kinds.items())

    def list(self) -> list[Kind[Any]]:
        """By name."""
        return [self._kinds[name] for name in sorted(self._kinds)]


def with_own(module: str) -> KindRegistry:
    """The kinds there are, and those of an installation's own module: its `KINDS`. No name: those there are.

    Raises OwnKindsUnusable, which ends the start: a task of a kind that nobody has would wait for ever.
    """
    if not module:
        return BUILT_IN
    try:
        own = list(importlib.import_module(module).KINDS)
    except (ImportError, AttributeError, TypeError) as error:
        raise OwnKindsUnusable(f"TASK_KINDS={module}: {error}") from error
    names = [kind.name if isinstance(kind, Kind) else repr(kind) for kind in [*BUILT_IN.list(), *own]]
    if not all(isinstance(kind, Kind) for kind in own) or len(set(names)) < len(names):
        raise OwnKindsUnusable(f"TASK_KINDS={module}: KINDS must be kinds, each with a name of its own: {names}")
    return KindRegistry([*BUILT_IN.list(), *own])


class OwnKindsUnusable(Exception):
    """The module is not there, or has something else."""


BUILT_IN = KindRegistry([ECHO, VECTORS_INGEST, VECTORS_COPY, VECTORS_EXPORT, VECTORS_IMPORT, AGENT_RUN, TASKS_REPLAY])
