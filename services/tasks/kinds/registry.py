"""The kinds of this installation, by name."""

from collections.abc import Iterable
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

    def list(self) -> list[Kind[Any]]:
        """By name."""
        return [self._kinds[name] for name in sorted(self._kinds)]


BUILT_IN = KindRegistry([ECHO, VECTORS_INGEST, VECTORS_COPY, VECTORS_EXPORT, VECTORS_IMPORT, AGENT_RUN, TASKS_REPLAY])
