"""By which ways PostgreSQL goes for a statement, and how many rows it reads."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.postgres import Database


class Watch:
    """The statements of a session, with what they were given."""

    def __init__(self, database: Database) -> None:
        self._engine = database.engine.sync_engine
        self.seen: list[tuple[str, Any]] = []

    def __enter__(self) -> "Watch":
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        self.seen.append((statement, given))

    async def plan(self, connection: AsyncConnection) -> list[dict[str, Any]]:
        """The nodes of the last one's plan."""
        statement, given = self.seen[-1]
        found = (await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", given)).scalar_one()
        [whole] = json.loads(found) if isinstance(found, str) else found
        return list(nodes(whole["Plan"]))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def read(watch: Watch, connection: AsyncConnection) -> float:
    """How many rows of tasks the last statement went through, those that it left out as well."""
    statement, given = watch.seen[-1]
    found = (await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)).scalar_one()
    [whole] = json.loads(found) if isinstance(found, str) else found
    of_tasks = [node for node in nodes(whole["Plan"]) if node.get("Relation Name") == "task"]
    of_each = [(node["Actual Rows"] + node.get("Rows Removed by Filter", 0), node["Actual Loops"]) for node in of_tasks]
    assert of_tasks
    return float(sum(rows * loops for rows, loops in of_each))
