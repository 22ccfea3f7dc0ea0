"""The use case of asking what became of ingestions.

A task is its maker's, and a collection its tenant's: who may read the collection may know whether a file is in it, and
learns nothing else of the task.
"""

from collections.abc import Sequence

from sqlalchemy import cast, select
from sqlalchemy.dialects.postgresql import JSONB

from services.tasks.kinds.vectors_ingest import VECTORS_INGEST
from services.tasks.models import Task
from services.tasks.outcomes.schemas import OutcomeRead, OutcomesAsked
from shared.identity import Caller
from shared.postgres import Database


class OutcomeService:
    """Raises Unavailable where the store does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_of(self, caller: Caller, asked: OutcomesAsked) -> Sequence[OutcomeRead]:
        """Of ingestions of the caller's tenant into the collection, whoever submitted them."""
        statement = select(Task.id, Task.status, Task.error_code, Task.error_detail).where(
            Task.tenant_id == caller.tenant_id,
            Task.id.in_(asked.ids),
            Task.kind == VECTORS_INGEST.name,
            cast(Task.input, JSONB)["collection"].astext == asked.collection,
        )
        async with self._database.statements() as session:
            return [OutcomeRead.model_validate(row) for row in await session.execute(statement)]
