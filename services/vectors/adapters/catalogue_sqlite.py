"""The catalogue: a SQLite file of the service's own, so that no engine takes the collections of others along."""

import asyncio
import itertools
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from services.vectors.adapters import catalogue_aliases as aliases
from services.vectors.adapters import catalogue_copies as copies
from services.vectors.adapters import catalogue_expiry as expiring
from services.vectors.adapters import catalogue_stores as stores
from services.vectors.adapters.catalogue_kept_stores import KeptStores
from services.vectors.adapters.fullness import absent
from services.vectors.copies.domain import Advance, Change, Copy, CopyRefused, Noted
from services.vectors.domain import (
    MAX_NAME_CHARS,
    Alias,
    AliasRefused,
    Collection,
    CollectionStatus,
    EngineName,
    Metric,
)
from services.vectors.stores.domain import Span
from services.vectors.terms import Condition
from shared.health import require_kept

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS collection (
    tenant_id TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL UNIQUE, engine TEXT NOT NULL,
    dimension INTEGER NOT NULL, metric TEXT NOT NULL, created_at TEXT NOT NULL, status TEXT NOT NULL,
    PRIMARY KEY (tenant_id, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS probe (id INTEGER PRIMARY KEY CHECK (id = 1), token TEXT NOT NULL);
"""
COMPONENT = "catalogue"
_ADOPTED = "former catalogue adopted"
_MODEL_IS_KEPT = "SELECT 1 FROM pragma_table_info('collection') WHERE name = 'model'"
_KEEP_MODEL = "ALTER TABLE collection ADD COLUMN model TEXT"  # null where it is unknown, as in catalogues without it
_COLUMNS = "id, tenant_id, name, engine, dimension, metric, created_at, status, model"
_INSERT = f"""
INSERT INTO collection ({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
WHERE NOT EXISTS (SELECT 1 FROM alias WHERE tenant_id = ?2 AND name = ?3)
AND (?10 = 0 OR (SELECT count(*) FROM collection WHERE tenant_id = ?2) < ?10) ON CONFLICT DO NOTHING
"""  # noqa: S608 - our own words

Result = TypeVar("Result")


class SqliteCatalogue(KeptStores):
    """Catalogue over one connection on one thread."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalogue")
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def insert(self, collection: Collection, most: int = 0) -> bool:
        return await self._write(_INSERT, *_row(collection), most) == 1

    async def find(self, tenant_id: str, name: str) -> Collection | None:
        rows = await self._read("tenant_id = ? AND name = ?", tenant_id, name)
        return rows[0] if rows else None

    async def resolve(self, tenant_id: str, name: str) -> Collection | None:
        rows = await self._read(aliases.RESOLVED, tenant_id, name)
        return rows[0] if rows else None

    async def find_by_id(self, collection_id: str) -> Collection | None:
        """Of any tenant."""
        rows = await self._read("id = ?", collection_id)
        return rows[0] if rows else None

    async def list_page(self, tenant_id: str, *, after: str | None, limit: int) -> list[Collection]:
        return await self._read("tenant_id = ? AND name > ? ORDER BY name LIMIT ?", tenant_id, after or "", limit)

    async def list_ready(self, engine: EngineName, *, after: str | None, limit: int) -> list[Collection]:
        where = "engine = ? AND status = ? AND id > ? ORDER BY id LIMIT ?"
        return await self._read(where, engine.value, CollectionStatus.READY.value, after or "", limit)

    async def count(self, tenant_id: str) -> int:
        statement = "SELECT count(*) FROM collection WHERE tenant_id = ?"
        (number,) = await self._run(lambda connection: connection.execute(statement, (tenant_id,)).fetchone())
        return int(number)

    async def set_status(
        self, collection: Collection, status: CollectionStatus, *, was: CollectionStatus | None = None
    ) -> bool:
        statement = "UPDATE collection SET status = ?1 WHERE id = ?2 AND status = coalesce(?3, status)"
        return await self._write(statement, status.value, collection.id, was and was.value) == 1

    async def claim_model(self, collection: Collection, model: str) -> str | None:
        def claim(connection: sqlite3.Connection) -> Any:
            with connection:
                connection.execute(
                    "UPDATE collection SET model = ? WHERE id = ? AND model IS NULL", (model, collection.id)
                )
                return connection.execute("SELECT model FROM collection WHERE id = ?", (collection.id,)).fetchone()

        row = await self._run(claim)
        return row[0] if row else None

    async def retire(self, collection: Collection) -> str | None:
        return await self._run(lambda connection: aliases.retire(connection, collection))

    async def remove(self, collection: Collection) -> None:
        await self._run(lambda connection: aliases.remove_with_collection(connection, collection))

    async def find_alias(self, tenant_id: str, name: str) -> Alias | None:
        return await self._run(lambda connection: aliases.find(connection, tenant_id, name))

    async def list_aliases(self, tenant_id: str, *, after: str | None, limit: int) -> list[Alias]:
        return await self._run(lambda connection: aliases.list_page(connection, tenant_id, after or "", limit))

    async def point_alias(
        self, name: str, collection: Collection, *, version: str, at: datetime, was: str | None, most: int
    ) -> Alias | AliasRefused:
        wanted = Alias(collection.tenant_id, name, collection.name, version, at, at)
        return await self._run(lambda connection: aliases.point(connection, wanted, collection.id, was, most))

    async def remove_alias(self, tenant_id: str, name: str, *, was: str) -> bool:
        return await self._write(aliases.REMOVE, tenant_id, name, was) == 1

    async def begin_copy(self, collection: Collection, copy: Copy) -> Copy | CopyRefused:
        return await self._run(lambda connection: copies.begin(connection, collection, copy))

    async def find_copy(self, collection: Collection) -> Copy | None:
        return await self._run(lambda connection: copies.find(connection, collection.id))

    async def take_turn(self, collection: Collection, turn: str, seconds: float) -> Copy | None:
        return await self._run(lambda connection: copies.take_turn(connection, collection, turn, seconds))

    async def list_changes(self, collection: Collection, limit: int) -> list[Change]:
        return await self._run(lambda connection: copies.list_changes(connection, collection, limit))

    async def advance_copy(self, collection: Collection, turn: str, step: Advance) -> bool:
        return await self._run(lambda connection: copies.advance(connection, collection, turn, step))

    async def close_copy(self, collection: Collection, turn: str) -> list[Change] | None:
        return await self._run(lambda connection: copies.close(connection, collection, turn))

    async def end_copy(
        self,
        collection: Collection,
        name: str | None,
        *,
        turn: str,
        settled: Sequence[int],
        count: int,
        version: str,
        at: datetime,
    ) -> CopyRefused | None:
        return await self._run(
            lambda connection: copies.end(
                connection, collection, alias=name, turn=turn, settled=settled, count=count, version=version, at=at
            )
        )

    async def note_change(
        self,
        collection: Collection,
        ids: Sequence[str],
        condition: Condition | None,
        *,
        number: int,
        alias: str | None,
        insists: bool,
    ) -> Noted:
        return await self._run(
            lambda connection: copies.note(
                connection, collection, ids, condition, number=number, alias=alias, insists=insists
            )
        )

    def _listed(self, connection: sqlite3.Connection, tenant_id: str, span: Span) -> list[Collection] | None:
        select, where = f"SELECT {_COLUMNS} FROM collection", ["tenant_id = ?", "status <> ?"]  # noqa: S608 - our own words
        values, anchors = [tenant_id, CollectionStatus.DELETING.value], ("collection", "tenant_id", tenant_id, "name")
        rows = stores.spanned(connection, select, where, values, span, stores.Anchors(*anchors))
        return None if rows is None else [_collection(row) for row in rows]

    async def check(self) -> None:
        """Over when it has ended, even when cancelled: the one thread is not given a second look while it is at one."""
        looking = asyncio.create_task(self._run(_write_and_read_back))
        try:
            await asyncio.shield(looking)
        except asyncio.CancelledError:
            await asyncio.wait({looking})
            raise

    async def has_adopted(self) -> bool:
        """Whether `take` has been done, by this process or one before it."""
        statement = "SELECT count(*) FROM fact WHERE name = ?"
        (number,) = await self._run(lambda connection: connection.execute(statement, (_ADOPTED,)).fetchone())
        return bool(number)

    async def take(self, collections: Sequence[Collection]) -> dict[str, str]:
        """List `collections`, all or none, and that it was done. New names, by id, of those whose own were taken."""
        return await self._run(lambda connection: _take(connection, collections))

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._run(lambda connection: connection.close())
        await asyncio.to_thread(self._thread.shutdown)

    async def _read(self, where: str, *values: Any) -> list[Collection]:
        statement = f"SELECT {_COLUMNS} FROM collection WHERE {where}"  # noqa: S608 - our own words
        rows = await self._run(lambda connection: connection.execute(statement, values).fetchall())
        return [_collection(row) for row in rows]

    async def _write(self, statement: str, *values: Any) -> int:
        def write(connection: sqlite3.Connection) -> int:
            with connection:
                return connection.execute(statement, values).rowcount

        return await self._run(write)

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: work(self._opened()))
        except (sqlite3.OperationalError, OSError) as error:
            raise absent(COMPONENT, error) from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path)
            connection.executescript(_SCHEMA + aliases.SCHEMA + copies.SCHEMA + stores.SCHEMA + expiring.SCHEMA)
            if connection.execute(_MODEL_IS_KEPT).fetchone() is None:
                connection.execute(_KEEP_MODEL)
            copies.bring_up_to_date(connection)
            self._connection = connection
        return self._connection


def _write_and_read_back(connection: sqlite3.Connection) -> None:
    token = secrets.token_hex(8)
    with connection:
        connection.execute("INSERT OR REPLACE INTO probe VALUES (1, ?)", (token,))
    require_kept(f"the {COMPONENT}", (token,), connection.execute("SELECT token FROM probe").fetchone())


def _take(connection: sqlite3.Connection, collections: Sequence[Collection]) -> dict[str, str]:
    renamed: dict[str, str] = {}
    with connection:
        for collection in collections:
            if connection.execute("SELECT 1 FROM collection WHERE id = ?", (collection.id,)).fetchone():
                continue
            for name in _names(collection.name):
                if connection.execute(_INSERT, (*_row(replace(collection, name=name)), 0)).rowcount == 1:
                    break
            if name != collection.name:
                renamed[collection.id] = name
        connection.execute("INSERT OR IGNORE INTO fact VALUES (?)", (_ADOPTED,))
    return renamed


def _names(name: str) -> Iterator[str]:
    """`name`, and what may stand for it where it is taken."""
    yield name
    for number in itertools.count(2):
        ending = f"-{number}"
        yield name[: MAX_NAME_CHARS - len(ending)] + ending


def _row(collection: Collection) -> tuple[Any, ...]:
    return (
        collection.id,
        collection.tenant_id,
        collection.name,
        collection.engine.value,
        collection.dimension,
        collection.metric.value,
        collection.created_at.isoformat(),
        collection.status.value,
        collection.model,
    )


def _collection(row: tuple[Any, ...]) -> Collection:
    collection_id, tenant_id, name, engine, dimension, metric, created_at, status, model = row
    return Collection(
        id=collection_id,
        tenant_id=tenant_id,
        name=name,
        engine=EngineName(engine),
        dimension=dimension,
        metric=Metric(metric),
        created_at=datetime.fromisoformat(created_at),
        status=CollectionStatus(status),
        model=model,
    )
