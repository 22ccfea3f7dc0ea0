"""Copies in the catalogue's file, beside its collections and aliases, and the journal of what changes meanwhile.

Each function is carried out on the catalogue's one thread, over its one connection, in a file that has one writer: so
nothing comes between what it looks at and what it changes.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from services.vectors.adapters.node_values import Floats, kind_of
from services.vectors.copies.domain import Advance, Change, Copy, CopyPhase, CopyRefused, Noted
from services.vectors.domain import Collection, CollectionStatus
from services.vectors.terms import Condition

# An earlier version that was started again in between deletes collections without regard to copies of them.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS copy (
    target_id TEXT NOT NULL PRIMARY KEY, source_id TEXT NOT NULL, alias TEXT, embeds INTEGER NOT NULL,
    phase TEXT NOT NULL, after TEXT, copied INTEGER NOT NULL DEFAULT 0, noted INTEGER NOT NULL DEFAULT 0,
    rounds INTEGER NOT NULL DEFAULT 0, samples TEXT NOT NULL DEFAULT '[]', count INTEGER, recall REAL,
    turn TEXT, turn_ends REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS copy_of_source ON copy (source_id) WHERE phase <> 'ended';
CREATE TABLE IF NOT EXISTS change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, target_id TEXT NOT NULL, record_id TEXT, condition TEXT, after TEXT,
    UNIQUE (target_id, record_id)
);
DELETE FROM copy WHERE target_id NOT IN (SELECT id FROM collection) OR source_id NOT IN (SELECT id FROM collection);
DELETE FROM change WHERE target_id NOT IN (SELECT target_id FROM copy);
"""
_PATIENCE_IS_KEPT = "SELECT 1 FROM pragma_table_info('copy') WHERE name = 'patience'"
_KEEP_PATIENCE = "ALTER TABLE copy ADD COLUMN patience INTEGER"
_CLOSED_AT_MOST: Final = 20_000
"""Changes that are told at a closing: more than are made good while writers wait, and read in a moment."""
_UNDER_WAY = "phase <> 'ended'"  # spelt as in the index
_SELECT = """
SELECT source_id, (SELECT name FROM collection WHERE id = source_id), alias, embeds, phase, after, copied, noted,
       (SELECT count(*) FROM change WHERE change.target_id = copy.target_id), rounds, samples, count, recall, turn,
       patience
FROM copy WHERE target_id = ?
"""
_NOTE = "INSERT OR REPLACE INTO change (target_id, record_id) VALUES (?, ?)"  # under a new number
_FORGET_CONDITION = "DELETE FROM change WHERE target_id = ? AND record_id IS NULL AND condition = ?"
_NOTE_CONDITION = "INSERT INTO change (target_id, condition) VALUES (?, ?)"
_ADVANCE = """
UPDATE copy SET phase = ?, after = ?, copied = copied + ?, rounds = rounds + ?, samples = coalesce(?, samples),
                count = coalesce(?, count), recall = coalesce(?, recall),
                turn = CASE WHEN ? THEN turn END,
                patience = CASE WHEN ?1 IN ('scanning', 'sweeping') THEN NULL ELSE coalesce(?, patience) END
WHERE target_id = ?
"""
_INSERT = "INSERT INTO copy (target_id, source_id, alias, embeds, phase) VALUES (?, ?, ?, ?, ?)"
_FILL = """
INSERT INTO collection (id, tenant_id, name, engine, dimension, metric, created_at, status, model)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_MADE_READY = """
UPDATE collection SET status = 'ready', model = coalesce(model, (SELECT model FROM collection WHERE id = ?1))
WHERE id = ?2 AND status = 'filling'
"""
_SWITCH = """
UPDATE alias SET collection_id = ?, version = ?, updated_at = ? WHERE tenant_id = ? AND name = ? AND collection_id = ?
"""


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """A file of a version whose copies waited for their writers without end."""
    if connection.execute(_PATIENCE_IS_KEPT).fetchone() is None:
        connection.execute(_KEEP_PATIENCE)


def begin(connection: sqlite3.Connection, target: Collection, wanted: Copy) -> Copy | CopyRefused:
    """As `Copies.begin_copy`."""
    if (present := find(connection, target.id)) and _is_listed(connection, target):
        return present
    if refused := _refusal(connection, target, wanted):
        return refused
    with connection:
        row = (target.id, target.tenant_id, target.name, target.engine.value, target.dimension, target.metric.value)
        connection.execute(_FILL, (*row, target.created_at.isoformat(), CollectionStatus.FILLING.value, target.model))
        values = (target.id, wanted.source_id, wanted.alias, wanted.embeds, CopyPhase.SCANNING.value)
        connection.execute(_INSERT, values)
    return find(connection, target.id) or CopyRefused.SOURCE_GONE


def _refusal(connection: sqlite3.Connection, target: Collection, wanted: Copy) -> CopyRefused | None:
    tenant_id, name, source_id = target.tenant_id, target.name, wanted.source_id
    is_ready = "SELECT 1 FROM collection WHERE tenant_id = ? AND id = ? AND status = 'ready'"
    is_taken = """SELECT 1 FROM collection WHERE id = ?3 OR (tenant_id = ?1 AND name = ?2)
                  UNION SELECT 1 FROM alias WHERE tenant_id = ?1 AND name = ?2"""
    if connection.execute(is_ready, (tenant_id, source_id)).fetchone() is None:
        return CopyRefused.SOURCE_GONE
    if connection.execute(f"SELECT 1 FROM copy WHERE source_id = ? AND {_UNDER_WAY}", (source_id,)).fetchone():  # noqa: S608
        return CopyRefused.UNDER_WAY
    if connection.execute(is_taken, (tenant_id, name, target.id)).fetchone():
        return CopyRefused.NAME_TAKEN
    if wanted.alias and not _points(connection, tenant_id, wanted.alias, source_id):
        return CopyRefused.ALIAS_ELSEWHERE
    return None


def take_turn(connection: sqlite3.Connection, target: Collection, turn: str, seconds: float) -> Copy | None:
    """As `Copies.take_turn`."""
    now = time.time()
    with connection:
        connection.execute(
            f"UPDATE copy SET phase = CASE phase WHEN 'closing' THEN 'following' ELSE phase END, turn = ?, "  # noqa: S608
            f"turn_ends = ? WHERE target_id = ? AND {_UNDER_WAY} AND (turn IS NULL OR turn = ? OR turn_ends < ?)",
            (turn, now + seconds, target.id, turn, now),
        )
    return find(connection, target.id)


def list_changes(connection: sqlite3.Connection, target: Collection, limit: int) -> list[Change]:
    """As `Copies.list_changes`."""
    statement = "SELECT seq, record_id, condition, after FROM change WHERE target_id = ? ORDER BY seq LIMIT ?"
    return [
        Change(seq, record_id, _condition(condition), after)
        for seq, record_id, condition, after in connection.execute(statement, (target.id, limit))
    ]


def advance(connection: sqlite3.Connection, target: Collection, turn: str, step: Advance) -> bool:
    """As `Copies.advance_copy`. What comes twice, its first answer lost, only has some records looked at again."""
    present = find(connection, target.id)
    if present is None or present.phase is CopyPhase.ENDED:
        return False
    is_ours = present.turn == turn
    with connection:
        if is_ours:
            samples = None if step.samples is None else orjson.dumps(step.samples).decode()
            progress = (step.phase.value, step.after, step.copied, step.rounds, samples, step.count, step.recall)
            connection.execute(_ADVANCE, (*progress, step.keeps_turn, step.patience, target.id))
            _settle(connection, target, step.settled)
            if step.named is not None:
                connection.execute("UPDATE change SET after = ? WHERE seq = ?", (step.named_after, step.named))
        _note(connection, target.id, step.unsure if is_ours else (*step.unsure, *step.written))
    return is_ours


def close(connection: sqlite3.Connection, target: Collection, turn: str) -> list[Change] | None:
    """As `Copies.close_copy`."""
    with connection:
        closed = connection.execute(
            "UPDATE copy SET phase = 'closing' WHERE target_id = ? AND turn = ? AND phase IN ('following', 'closing')",
            (target.id, turn),
        )
    return list_changes(connection, target, _CLOSED_AT_MOST) if closed.rowcount == 1 else None


def end(
    connection: sqlite3.Connection,
    target: Collection,
    *,
    alias: str | None,
    turn: str,
    settled: Sequence[int],
    count: int,
    version: str,
    at: datetime,
) -> CopyRefused | None:
    """As `Copies.end_copy`. What comes twice, its first answer lost, is answered as it was."""
    present = find(connection, target.id)
    if present is None:
        return CopyRefused.SOURCE_GONE
    if present.phase is CopyPhase.ENDED:
        return None
    left = {change.seq for change in list_changes(connection, target, len(settled) + 1)} - set(settled)
    if present.turn != turn or present.phase is not CopyPhase.CLOSING or left:
        return CopyRefused.REOPENED
    if alias != present.alias or (alias and not _points(connection, target.tenant_id, alias, present.source_id)):
        return CopyRefused.ALIAS_ELSEWHERE
    with connection:
        if connection.execute(_MADE_READY, (present.source_id, target.id)).rowcount != 1:
            return CopyRefused.SOURCE_GONE
        if alias:
            switched = (target.id, version, at.isoformat(), target.tenant_id, alias, present.source_id)
            connection.execute(_SWITCH, switched)
        connection.execute("DELETE FROM change WHERE target_id = ?", (target.id,))
        connection.execute(
            "UPDATE copy SET phase = 'ended', turn = NULL, count = ? WHERE target_id = ?", (count, target.id)
        )
    return None


def note(
    connection: sqlite3.Connection,
    source: Collection,
    ids: Sequence[str],
    condition: Condition | None,
    *,
    number: int,
    alias: str | None,
    insists: bool,
) -> Noted:
    """As `Copies.note_change`. Of a collection that nobody copies nothing is written.

    What has moved is noted as well: it was changed here, too.
    """
    has_moved = alias is not None and _points_elsewhere(connection, source.tenant_id, alias, source.id)
    noted = Noted.MOVED if has_moved else Noted.DONE
    statement = f"SELECT target_id, phase FROM copy WHERE source_id = ? AND {_UNDER_WAY}"  # noqa: S608 - our own words
    row = connection.execute(statement, (source.id,)).fetchone()
    if row is None:
        return noted
    target_id, phase = row
    is_closing = phase == CopyPhase.CLOSING.value
    if is_closing and not insists:
        return Noted.WAIT
    with connection:
        if is_closing:
            connection.execute("UPDATE copy SET phase = 'following' WHERE target_id = ?", (target_id,))
        connection.execute("UPDATE copy SET noted = noted + ? WHERE target_id = ?", (number, target_id))
        _note(connection, target_id, ids)
        if condition is not None:
            asked = (target_id, _written(condition))
            connection.execute(_FORGET_CONDITION, asked)  # from its beginning again, under a new number
            connection.execute(_NOTE_CONDITION, asked)
    return noted


def forget(connection: sqlite3.Connection, collection_id: str) -> None:
    """Of a collection that is being deleted, within a transaction: nobody copies it, or into it, any more."""
    involved = "SELECT target_id FROM copy WHERE ?1 IN (target_id, source_id)"
    connection.execute(f"DELETE FROM change WHERE target_id IN ({involved})", (collection_id,))  # noqa: S608
    connection.execute("DELETE FROM copy WHERE ?1 IN (target_id, source_id)", (collection_id,))


def find(connection: sqlite3.Connection, target_id: str) -> Copy | None:
    """As `Copies.find_copy`."""
    row = connection.execute(_SELECT, (target_id,)).fetchone()
    if row is None:
        return None
    source_id, source, alias, embeds, phase, after, copied, noted, pending, rounds, samples, *found = row
    count, recall, turn, patience = found
    return Copy(
        source_id=source_id,
        source=source,
        alias=alias,
        embeds=bool(embeds),
        phase=CopyPhase(phase),
        after=after,
        copied=copied,
        noted=noted,
        pending=pending,
        rounds=rounds,
        samples=tuple(orjson.loads(samples)),
        count=count,
        recall=recall,
        turn=turn,
        patience=patience,
    )


def _note(connection: sqlite3.Connection, target_id: str, ids: Iterable[str]) -> None:
    connection.executemany(_NOTE, [(target_id, one) for one in ids])


def _settle(connection: sqlite3.Connection, target: Collection, settled: Sequence[int]) -> None:
    connection.executemany("DELETE FROM change WHERE seq = ? AND target_id = ?", [(one, target.id) for one in settled])


def _is_listed(connection: sqlite3.Connection, target: Collection) -> bool:
    """And not as another's."""
    statement = "SELECT 1 FROM collection WHERE id = ? AND tenant_id = ? AND name = ?"
    return connection.execute(statement, (target.id, target.tenant_id, target.name)).fetchone() is not None


def _points(connection: sqlite3.Connection, tenant_id: str, alias: str, collection_id: str) -> bool:
    statement = "SELECT 1 FROM alias WHERE tenant_id = ? AND name = ? AND collection_id = ?"
    return connection.execute(statement, (tenant_id, alias, collection_id)).fetchone() is not None


def _points_elsewhere(connection: sqlite3.Connection, tenant_id: str, alias: str, collection_id: str) -> bool:
    """Not so when it is gone: what was begun by its name ends where it began."""
    statement = "SELECT 1 FROM alias WHERE tenant_id = ? AND name = ? AND collection_id <> ?"
    return connection.execute(statement, (tenant_id, alias, collection_id)).fetchone() is not None


def _written(condition: Condition) -> str:
    return orjson.dumps(kind_of(Condition).write(condition, Floats())).decode()


def _condition(text: str | None) -> Condition | None:
    if text is None:
        return None
    found: Any = kind_of(Condition).read(orjson.loads(text), Floats())
    condition: Condition = found
    return condition
