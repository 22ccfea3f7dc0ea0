"""What keeps a list from looking through tasks that it does not show: two words to PostgreSQL's planner.

It reckons with averages. By them the primary key may seem the shortest way through a list in the order of ids, and
leads through whatever a neighbour has submitted since. And a plan that is made once for all values may go through all
tasks of somebody to find the only one of a rare kind.
"""

from typing import Any

from sqlalchemy import ColumnElement, any_, literal, text
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncSession

_FOR_THESE_VALUES = text("SET LOCAL plan_cache_mode = force_custom_plan")


def leads(column: Any, value: str) -> ColumnElement[bool]:
    """That `column` is `value`, and may lead the order: of a plain equation the planner drops it there."""
    return column == any_(array([literal(value, column.type)]))  # type: ignore[no-any-return]


async def plan_anew(session: AsyncSession) -> None:
    """Each statement is planned for the values it comes with, to the end of the transaction, which there has to be."""
    await session.execute(_FOR_THESE_VALUES)
