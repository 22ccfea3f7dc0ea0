"""Indexes of tables that are in use, built and taken away while others read and write.

A migration that does either does nothing else: each of these is committed by itself, and is done again by the next
start where one was broken off before its revision was written down.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from sqlalchemy import text

_BROKEN = text("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)")


def build_index(
    op: ModuleType,
    name: str,
    table: str,
    columns: Sequence[Any],
    *,
    where: str | None = None,
    unique: bool = False,
) -> None:
    """With Alembic's `op`. One that is there already is left; half of one, of a start that ended early, is made anew.

    Raises what PostgreSQL says of rows that are not unique.
    """
    with _beside_others(op):
        if not op.get_context().as_sql and op.get_bind().scalar(_BROKEN, {"name": name}):
            _drop(op, name, table)
        op.create_index(
            name,
            table,
            list(columns),
            unique=unique,
            if_not_exists=True,
            postgresql_concurrently=True,
            postgresql_where=text(where) if where else None,
        )


def remove_index(op: ModuleType, name: str, table: str) -> None:
    """With Alembic's `op`; none is there afterwards, and none has to be."""
    with _beside_others(op):
        _drop(op, name, table)


@contextmanager
def _beside_others(op: ModuleType) -> Iterator[None]:
    """Outside of any transaction, and for as long as it takes.

    What is waited for are transactions that began before; behind this wait only those who change the table too.
    """
    context = op.get_context()
    with context.autocommit_block():
        if context.as_sql:
            yield
            return
        usual = op.get_bind().scalar(text("SHOW lock_timeout"))
        op.execute(text("SET lock_timeout = 0"))
        yield
        op.execute(text(f"SET lock_timeout = '{usual}'"))


def _drop(op: ModuleType, name: str, table: str) -> None:
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
