"""A migration shuts no table that is in use: what it adds an index to is one that it makes, or is built beside others.

By the statements that it comes to, however they are written.
"""

import importlib.util
import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from local.layout import REPOSITORY

BEFORE_THE_RULE = {"auth": "0007", "tasks": "0009"}
_MADE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?\"?(\w+)", re.IGNORECASE)
_INDEX = re.compile(
    r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)[^;]*? ON (?:ONLY )?\"?(\w+)"
    r"|ALTER TABLE (?:ONLY )?\"?(\w+)\"?[^;]*? (?:UNIQUE|PRIMARY KEY|EXCLUDE)\b(?! USING INDEX)",
    re.IGNORECASE,
)
_CONCURRENTLY = re.compile(r"INDEX CONCURRENTLY", re.IGNORECASE)
_BETWEEN = re.compile(r"\b(?:BEGIN|COMMIT);\s*", re.IGNORECASE)


def migrations() -> Iterator[Path]:
    for service, newest in BEFORE_THE_RULE.items():
        files = sorted((REPOSITORY / "services" / service / "migrations" / "versions").glob("[0-9]*.py"))
        yield from (file for file in files if file.name[:4] > newest)


def shut(statements: str) -> set[str]:
    """The tables that nobody could write to while an index of theirs is built."""
    touched = {one or other for one, other in _INDEX.findall(statements)}
    return touched - set(_MADE.findall(statements))


def is_mixed(statements: str) -> bool:
    """Whether something would be done twice where an index is, and the next start goes on from there."""
    alone = [one for one in _BETWEEN.sub("", statements).split(";") if one.strip()]
    return 0 < sum(bool(_CONCURRENTLY.search(one)) for one in alone) < len(alone)


def statements_of(migration: ModuleType) -> str:
    """Written down and not done."""
    written = io.StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written})
    with Operations.context(context):
        migration.upgrade()
    return written.getvalue()


def loaded(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"migration_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", [pytest.param(one, id=f"{one.parts[-4]}-{one.stem}") for one in migrations()])
def test_a_migration_leaves_tables_to_those_who_use_them(file: Path) -> None:
    statements = statements_of(loaded(file))

    assert shut(statements) == set(), "use shared.postgres.build_index, in a migration of its own"
    assert not is_mixed(statements), "indexes that are built beside others have a migration of their own"


@pytest.mark.parametrize(
    ("statements", "tables"),
    [
        ("CREATE INDEX ix ON task (id);", {"task"}),
        ("CREATE UNIQUE INDEX IF NOT EXISTS ix ON task (id) WHERE id > 0;", {"task"}),
        ("ALTER TABLE task ADD COLUMN name TEXT; ALTER TABLE task ADD CONSTRAINT uq UNIQUE (name);", {"task"}),
        ("CREATE TABLE note (id INTEGER, PRIMARY KEY (id)); CREATE INDEX ix ON note (id);", set()),
        ("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON task (id);", set()),
        ("ALTER TABLE task ADD CONSTRAINT uq UNIQUE USING INDEX ix;", set()),
        ("ALTER TABLE task ADD COLUMN name TEXT;", set()),
    ],
)
def test_the_rule_knows_what_shuts_a_table(statements: str, tables: set[str]) -> None:
    assert shut(statements) == tables


def test_the_rule_would_have_refused_what_was_before_it() -> None:
    versions = REPOSITORY / "services" / "tasks" / "migrations" / "versions"

    assert shut(statements_of(loaded(versions / "0009_when.py"))) == {"task"}


@pytest.mark.parametrize(
    ("statements", "mixed"),
    [
        ("COMMIT; CREATE INDEX CONCURRENTLY ix ON task (id); BEGIN;", False),
        ("ALTER TABLE task ADD COLUMN name TEXT; COMMIT; CREATE INDEX CONCURRENTLY ix ON task (id); BEGIN;", True),
    ],
)
def test_the_rule_knows_what_would_be_done_twice(statements: str, mixed: bool) -> None:
    assert is_mixed(statements) == mixed
